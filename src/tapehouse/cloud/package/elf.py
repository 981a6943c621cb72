"""Shared libraries without what only debuggers read.

Loading maps what the program headers name. The symbol table and debug information lie behind that, and make up a fifth
of Polars. No tool is needed to leave them out: the file ends where the last part that is mapped ends, and says that it
has no section headers.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_X86_64 = 62
_GLIBC = re.compile(rb"GLIBC_2\.(\d+)\b")


def is_elf(path: Path) -> bool:
    """Whether the file is a 64-bit little-endian ELF file."""
    with path.open("rb") as file:
        return file.read(6) == b"\x7fELF\x02\x01"


def trim(path: Path) -> int:
    """Drop what is not mapped; returns the bytes saved. What is no ELF file stays as it is."""
    if not is_elf(path):
        return 0
    with path.open("r+b") as file:
        header = list(_HEADER.unpack(file.read(_HEADER.size)))
        start, count = header[5], header[10]
        file.seek(start)
        programs = [_PROGRAM.unpack(file.read(_PROGRAM.size)) for _ in range(count)]
        end: int = max([start + count * _PROGRAM.size, *(program[2] + program[5] for program in programs)])
        saved: int = path.stat().st_size - end
        if saved <= 0:
            return 0
        header[6] = header[12] = header[13] = 0  # section headers: where, how many, which names them
        file.seek(0)
        file.write(_HEADER.pack(*header))
        file.truncate(end)
    return saved


def runs_on(path: Path, glibc_minor: int) -> bool:
    """Whether a library of ours is for x86-64 and needs no younger C library than 2.`glibc_minor`."""
    if not is_elf(path):
        return False
    data = path.read_bytes()
    needed = max((int(version) for version in _GLIBC.findall(data)), default=0)
    return bool(_HEADER.unpack_from(data)[2] == _X86_64) and needed <= glibc_minor

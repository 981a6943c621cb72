"""Bytes of delivered files on their way into the lake.

Files are landed while the main thread imports, and a thread that needs the interpreter has to wait for it each time. So
the kernel copies, and the copy is hashed where it lies in memory: a few large steps for a file, whatever its size.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path

from tapehouse.errors import FeedError

_STEP = 256 << 20
_WINDOW = 32 << 20  # what is mapped counts as memory of the process
_CHUNK = 1 << 20


class readable:  # noqa: N801  (reads as a statement)
    """Turns failure to read a delivered file into FeedError: the sender's move, not the operator's."""

    def __init__(self, source: Path) -> None:
        self.source = source

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise FeedError(reason, path=str(self.source), fix="check that the file exists and is readable") from error


def copy(source: Path, target: Path) -> None:
    """Copy all bytes of `source`, be it a file or a pipe, to `target`, which is made. FeedError when the source cannot
    be read, OSError when the target cannot be written.
    """
    with target.open("xb", buffering=0) as out:
        with readable(source):
            stream = FileIO(source)
        with stream:
            _in_kernel(stream.fileno(), out.fileno())
            _by_hand(source, stream, out)


def digest(path: Path) -> str:
    """The sha256 in hex of a file of the lake. Nobody may shorten it meanwhile: it is read as memory."""
    hasher = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        for start in range(0, size, _WINDOW):
            length = min(_WINDOW, size - start)
            with mmap.mmap(stream.fileno(), length, access=mmap.ACCESS_READ, offset=start) as window:
                hasher.update(window)
    return hasher.hexdigest()


def _in_kernel(source: int, target: int) -> None:
    """Copy as much as the kernel will, from and to where the files stand. Trouble is left to be met again by hand,
    where it is clear whose it is.
    """
    if not hasattr(os, "copy_file_range") or not stat.S_ISREG(os.fstat(source).st_mode):
        return
    with suppress(OSError):
        while os.copy_file_range(source, target, _STEP):
            pass


def _by_hand(source: Path, stream: FileIO, out: FileIO) -> None:
    """Copy what is left: nothing as a rule, and all where the kernel cannot (between some file systems, from pipes)."""
    while True:
        with readable(source):
            chunk = stream.read(_CHUNK)
        if not chunk:
            return
        view = memoryview(chunk)
        while view:  # a write may take only a part
            view = view[out.write(view) or 0 :]

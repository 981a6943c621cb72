"""Members of a zip archive as pieces of bytes, in name order; a truncated archive still gives what precedes the cut."""

from __future__ import annotations

import fnmatch
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from tapehouse.errors import FeedError
from tapehouse.feeds.expand import PIECE_BYTES, Damaged

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_DIRECTORY_MAGIC = b"PK\x01\x02"
_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_ENCRYPTED = 1
# Input per step of a decoder: what one step decoded is lost if it meets damage.
_STEP_BYTES = 1 << 14
Member = tuple[str, Iterator[bytes]]


def zip_members(file: IO[bytes], pattern: str, path: str) -> Iterator[Member]:
    """Yield (name, pieces) of the members whose name matches the glob `pattern`; each must be drained in turn.

    Raises FeedError when no member matches, or one is encrypted or uses an unknown method.
    """
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        yield from _salvage(file, pattern, path)
        return
    with archive:
        files = sorted((info for info in archive.infolist() if not info.is_dir()), key=lambda info: info.filename)
        chosen = [info for info in files if fnmatch.fnmatchcase(info.filename, pattern)]
        if not chosen:
            names = ", ".join(info.filename for info in files[:10]) or "none"
            fix = "set feed.member to a glob that matches one of them"
            raise FeedError(f"no archive member matches {pattern!r}; members: {names}", path=path, fix=fix)
        for info in chosen:
            if info.flag_bits & _ENCRYPTED:
                raise FeedError(f"member {info.filename!r} is encrypted", path=path, fix="deliver it unencrypted")
            yield info.filename, _member_pieces(archive, file, info, path)


def _member_pieces(archive: zipfile.ZipFile, file: IO[bytes], info: zipfile.ZipInfo, path: str) -> Iterator[bytes]:
    name = info.filename
    if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield from _checked(_plain_pieces(file, info), info)
        return
    try:
        with archive.open(info) as member:
            while piece := member.read(PIECE_BYTES):
                yield piece
    except NotImplementedError as error:
        raise FeedError(f"member {name!r}: {error}", path=path, fix="pack it with the deflate method") from error
    except EOFError as error:
        raise Damaged("malformed_truncated", f"member {name!r} ends early", "a complete member") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError) as error:
        raise Damaged("malformed_archive", f"member {name!r}: {error}", "an intact member") from error


def _plain_pieces(file: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Decode a member here and not in `zipfile`, which keeps back what it decoded before it met damage."""
    reader = _Cursor(file, info.header_offset)
    header = _local_header(reader)
    if header is None:
        bound = "an intact archive"
        raise Damaged("malformed_archive", f"member {info.filename!r} is not where the directory says", bound)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        return _inflate(reader, info.filename)
    return _stored(reader, info.filename, info.compress_size)


def _checked(pieces: Iterator[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Pass a member on; raises Damaged at its end if its checksum is not the directory's."""
    checksum = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        yield piece
    if checksum != info.CRC:
        observed = f"member {info.filename!r} has checksum {checksum:08x}"
        raise Damaged("malformed_archive", observed, f"checksum {info.CRC:08x}")


def _local_header(reader: _Cursor) -> tuple[int, int, int, str] | None:
    """Flags, method, packed size and name of the member that begins here; None if none does."""
    header = reader.take(_LOCAL_HEADER.size)
    if header[:4] != _LOCAL_MAGIC or len(header) != _LOCAL_HEADER.size:
        return None
    fields = _LOCAL_HEADER.unpack(header)
    name = reader.take(fields[9]).decode("utf-8", "replace")
    reader.take(fields[10])
    return fields[2], fields[3], fields[7], name


def _salvage(file: IO[bytes], pattern: str, path: str) -> Iterator[Member]:
    """Walk local headers of an archive that lost its directory. Members come in file order: names are not all known."""
    reader = _Cursor(file, 0)
    found = False
    while (header := _local_header(reader)) is not None:
        flags, method, packed, name = header
        if flags & _ENCRYPTED or method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            break
        decoded = _stored(reader, name, packed) if method == zipfile.ZIP_STORED else _inflate(reader, name)
        pieces = _to_next_header(reader, decoded)
        if name.endswith("/") or not fnmatch.fnmatchcase(name, pattern):
            yield from _drained(pieces)
            continue
        found = True
        yield name, pieces
    if not found:
        raise FeedError("not a readable zip archive", path=path, fix="ask the sender to deliver the archive again")


def _to_next_header(reader: _Cursor, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pass a member on; raises Damaged if neither a further member nor the directory follows it."""
    yield from pieces
    following = reader.take(4)
    reader.give_back(following)
    if following not in (_LOCAL_MAGIC, _DIRECTORY_MAGIC):
        raise Damaged("malformed_truncated", "the archive ends before its directory", "a complete archive")


def _drained(pieces: Iterator[bytes]) -> Iterator[Member]:
    """Run past a member nobody asked for; damage in it ends the walk, since nothing after it can be found."""
    try:
        for _ in pieces:
            pass
    except Damaged:
        return
    yield from ()


class _Cursor:
    """Reads forward from `start`, and takes back what a decoder did not use. Keeps its own place in the file."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file = file
        self._position = start
        self._ahead = b""

    def take(self, size: int) -> bytes:
        if len(self._ahead) < size:
            self._file.seek(self._position)
            more = self._file.read(max(size - len(self._ahead), PIECE_BYTES))
            self._position += len(more)
            self._ahead += more
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def give_back(self, data: bytes) -> None:
        self._ahead = data + self._ahead


def _inflate(reader: _Cursor, name: str) -> Iterator[bytes]:
    decoder = zlib.decompressobj(-15)
    data = reader.take(_STEP_BYTES)
    while not decoder.eof:
        if not data:
            raise Damaged("malformed_truncated", f"member {name!r} ends early", "a complete member")
        try:
            piece = decoder.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            raise Damaged("malformed_archive", f"member {name!r}: {error}", "an intact member") from error
        data = decoder.unconsumed_tail or (b"" if decoder.eof else reader.take(_STEP_BYTES))
        if piece:
            yield piece
    reader.give_back(decoder.unused_data + data)
    descriptor = reader.take(16)
    reader.give_back(b"" if descriptor[:4] == _DESCRIPTOR_MAGIC else descriptor)


def _stored(reader: _Cursor, name: str, size: int) -> Iterator[bytes]:
    while size:
        piece = reader.take(min(size, PIECE_BYTES))
        if not piece:
            raise Damaged("malformed_truncated", f"member {name!r} ends early", "a complete member")
        size -= len(piece)
        yield piece

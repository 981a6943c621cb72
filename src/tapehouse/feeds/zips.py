"""Members of a zip archive as pieces of bytes, in name order; a truncated archive still gives what precedes the cut."""

from __future__ import annotations

import fnmatch
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
            yield info.filename, _member_pieces(archive, info, path)


def _member_pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> Iterator[bytes]:
    try:
        with archive.open(info) as member:
            while piece := member.read(PIECE_BYTES):
                yield piece
    except NotImplementedError as error:
        fix = "pack it with the deflate method"
        raise FeedError(f"member {info.filename!r}: {error}", path=path, fix=fix) from error
    except EOFError as error:
        raise Damaged("malformed_truncated", f"member {info.filename!r} ends early", "a complete member") from error
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError) as error:
        raise Damaged("malformed_archive", f"member {info.filename!r}: {error}", "an intact member") from error


def _salvage(file: IO[bytes], pattern: str, path: str) -> Iterator[Member]:
    """Walk local headers of an archive that lost its directory. Members come in file order: names are not all known."""
    reader = _Cursor(file)
    found = False
    while (header := reader.take(_LOCAL_HEADER.size))[:4] == _LOCAL_MAGIC and len(header) == _LOCAL_HEADER.size:
        fields = _LOCAL_HEADER.unpack(header)
        flags, method, packed, name_bytes, extra_bytes = fields[2], fields[3], fields[7], fields[9], fields[10]
        name = reader.take(name_bytes).decode("utf-8", "replace")
        reader.take(extra_bytes)
        if flags & _ENCRYPTED or method not in (0, 8):
            break
        pieces = _to_next_header(reader, _inflate(reader, name) if method == 8 else _stored(reader, name, packed))
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
    """Reads forward, and takes back what a decoder did not use."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        self._file = file
        self._ahead = b""

    def take(self, size: int) -> bytes:
        if len(self._ahead) < size:
            self._ahead += self._file.read(max(size - len(self._ahead), PIECE_BYTES))
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def give_back(self, data: bytes) -> None:
        self._ahead = data + self._ahead


def _inflate(reader: _Cursor, name: str) -> Iterator[bytes]:
    decoder = zlib.decompressobj(-15)
    data = reader.take(PIECE_BYTES)
    while not decoder.eof:
        if not data:
            raise Damaged("malformed_truncated", f"member {name!r} ends early", "a complete member")
        try:
            piece = decoder.decompress(data, PIECE_BYTES)
        except zlib.error as error:
            raise Damaged("malformed_archive", f"member {name!r}: {error}", "an intact member") from error
        data = decoder.unconsumed_tail or (b"" if decoder.eof else reader.take(PIECE_BYTES))
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

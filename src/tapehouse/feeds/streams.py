"""A batch as streams of decompressed bytes, cut into blocks near line ends. Knows compression, not records.

Compression is told by the first bytes, since landed batches are named by their digest and have no suffix.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import PurePosixPath
from typing import Protocol

from tapehouse.contracts.model import Feed
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource
from tapehouse.feeds.expand import Damaged, Expansion, gzip_pieces, zstd_pieces
from tapehouse.feeds.zips import zip_members

_TAIL_BYTES = 1 << 16
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
_SUFFIX = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd", ".zip": "zip"}


class Stream(Protocol):
    """Decompressed bytes of one member (`name` is empty outside archives), read forward only.

    `damage` is set, once the last block has been read, if the bytes ended in damage and not at their own end.
    """

    name: str
    damage: Damaged | None

    def peek(self, size: int) -> bytes:
        """The next `size` bytes (fewer at the end) without moving."""
        ...

    def skip(self, size: int) -> None:
        """Move on by `size` bytes, which must have been peeked."""
        ...

    def read_block(self, size: int) -> tuple[bytes, bool]:
        """About `size` bytes ending right after a line feed if there is one among the last, and whether it is all."""
        ...


class FileStream:
    """An uncompressed file. Blocks are read by position, so that none is ever copied to cut it."""

    name = ""
    damage: Damaged | None = None

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._position = 0

    def peek(self, size: int) -> bytes:
        return os.pread(self._descriptor, size, self._position)

    def skip(self, size: int) -> None:
        self._position += size

    def read_block(self, size: int) -> tuple[bytes, bool]:
        left = self._size - self._position
        if left > size:
            tail = min(_TAIL_BYTES, size)
            cut = os.pread(self._descriptor, tail, self._position + size - tail).rfind(b"\n")
            size = size - tail + cut + 1 if cut >= 0 else size
        else:
            size = left
        data = os.pread(self._descriptor, size, self._position)
        if len(data) != size:
            raise FeedError(f"read {len(data)} of {size} bytes at {self._position}: the file changed while being read")
        self._position += size
        return data, size == left


class PieceStream:
    """Decompressed pieces, gathered into blocks."""

    def __init__(self, name: str, pieces: Iterator[bytes]) -> None:
        self.name = name
        self.damage: Damaged | None = None
        self._pieces = pieces
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._ended = False

    def _hold(self, size: int) -> None:
        """Pull pieces until more than `size` bytes are held, or all: one more tells whether a block is the last."""
        while not self._ended and self._held_bytes <= size:
            try:
                piece = next(self._pieces)
            except StopIteration:
                self._ended = True
            except Damaged as damage:
                self._ended, self.damage = True, damage
            else:
                self._held.append(piece)
                self._held_bytes += len(piece)

    def _replace(self, rest: bytes) -> None:
        self._held = [rest] if rest else []
        self._held_bytes = len(rest)

    def peek(self, size: int) -> bytes:
        self._hold(size)
        data = b"".join(self._held)
        self._replace(data)
        return data[:size]

    def skip(self, size: int) -> None:
        self._replace(b"".join(self._held)[size:])

    def read_block(self, size: int) -> tuple[bytes, bool]:
        self._hold(size)
        if self._held_bytes <= size:
            data = b"".join(self._held)
            self._replace(b"")
            return data, True
        last = self._held.pop()
        room = size - (self._held_bytes - len(last))
        cut = last.rfind(b"\n", 0, room) + 1
        data = b"".join([*self._held, last[:cut] if cut else last[:room]])
        self._replace(last[cut or room :])
        return data, False


def open_streams(source: BatchSource, feed: Feed) -> Generator[Stream, None, None]:
    """Yield the batch's streams in order: one, or one per archive member that matches `feed.member`.

    Raises FeedError when the file is missing, or is not the archive its name says.
    """
    try:
        file = source.path.open("rb")
    except OSError as error:
        raise FeedError(f"cannot be opened: {error.strerror}", path=str(source.path)) from error
    with file:
        compression = _compression(os.pread(file.fileno(), 4, 0), source)
        size = os.fstat(file.fileno()).st_size
        if not compression:
            yield FileStream(file.fileno(), size)
            return
        expansion = Expansion(size, feed.max_expansion)
        if compression == "zip":
            for name, pieces in zip_members(file, feed.member, source.origin):
                yield PieceStream(name, expansion.admit(pieces))
            return
        decode = gzip_pieces if compression == "gzip" else zstd_pieces
        yield PieceStream("", expansion.admit(decode(file)))


def _compression(start: bytes, source: BatchSource) -> str:
    found = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")
    named = _SUFFIX.get(PurePosixPath(source.origin).suffix.lower(), "")
    if named and found != named:
        seen = f"begins with {start.hex(' ')!r}" if start else "is empty"
        fix = f"ask the sender for an intact {named} file, or deliver plain bytes under a name without that suffix"
        raise FeedError(f"the name says {named}, but the file {seen}", path=source.origin, fix=fix)
    return found

"""Where a lake's files are kept for good, and how whoever needs one comes by it.

All of a lake's code names files by their path in the lake's folder. For a lake on disk that is where they are: keeping
one means syncing it. A lake in S3 has a folder that is a working copy, and its place maps the same paths to objects:
fetched when they are read, stored where a lake on disk would sync. Tasks of a distributed engine get the place with
their job, so that they reach files by name on any machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlparse

from tapehouse.lake import disk, transfer

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_FOOTER_END_BYTES = 8  # the footer's length and the magic bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the lake: its size in bytes, and when it was last written, in seconds since 1970."""

    path: Path
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Footer:
    """The end of a Parquet file with all of its metadata, and the size of the whole file in bytes."""

    tail: bytes
    size: int

    @classmethod
    def of(cls, path: Path) -> Footer:
        """That of a file on this machine."""
        size = path.stat().st_size
        with path.open("rb") as stream:
            stream.seek(size - _FOOTER_END_BYTES)
            length = footer_bytes(stream.read(_FOOTER_END_BYTES))
            stream.seek(size - length)
            return cls(stream.read(length), size)

    def read(self) -> pq.FileMetaData:
        """As pyarrow has it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        return pq.read_metadata(pa.BufferReader(self.tail))


def footer_bytes(end: bytes) -> int:
    """How many bytes of a Parquet file are its footer, told by its last eight."""
    return int.from_bytes(end[-_FOOTER_END_BYTES:-4], "little") + _FOOTER_END_BYTES


class Place(Protocol):
    """Paths are those in the lake's folder `root` unless said otherwise. Failures are LakeErrors."""

    @property
    def root(self) -> Path:
        """The lake's folder, as all names of files begin."""
        ...

    @property
    def address(self) -> str:
        """Of the lake, as people and other programs name it."""
        ...

    def location(self, path: Path) -> str:
        """How Iceberg's metadata names the file."""
        ...

    def path(self, location: str) -> Path:
        """Inverse of `location`; also of files outside the lake, where those can be named at all."""
        ...

    def at(self, path: Path) -> Path:
        """Where this process writes the file before it is kept."""
        ...

    def name(self, path: Path) -> Path:
        """Inverse of `at`."""
        ...

    def fetch(self, paths: Iterable[Path]) -> list[Path]:
        """Where each file can be read now. What does not exist is no error before it is read."""
        ...

    def here(self, paths: Iterable[Path]) -> list[Path] | None:
        """Where files can be read without fetching any; None where that cannot be."""
        ...

    def digest(self, path: Path) -> str:
        """The sha256 of the file in hex; FeedError for an input that is no longer what was found."""
        ...

    def words(self, path: Path, first: int, count: int) -> bytes:
        """`count` 64-bit words of a file from number `first` on."""
        ...

    def keep(self, paths: Iterable[Path]) -> None:
        """Make files durable; those that are already cost nothing or little."""
        ...

    def holds(self, path: Path) -> bool:
        """Whether the file is there."""
        ...

    def metadata(self, path: Path) -> tuple[pq.FileMetaData, int]:
        """A Parquet file's footer and its size in bytes."""
        ...

    def footers(self, paths: Iterable[Path]) -> Mapping[Path, Footer]:
        """What a task tells of files that it wrote, so that nobody has to fetch them; empty where nobody would."""
        ...

    def learn(self, footers: Mapping[Path, Footer]) -> None:
        """Take what a task told."""
        ...

    def files(self, folder: Path, beginning: str = "") -> Iterator[Kept]:
        """Every file below a folder, or those whose path below it begins so."""
        ...

    def remove(self, paths: Iterable[Path]) -> tuple[int, int]:
        """Remove files; returns how many were there, and their bytes."""
        ...

    def task(self) -> AbstractContextManager[Place]:
        """The place as a task sees it that may run on another machine; what it fetched and wrote there goes with it."""
        ...


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A folder that every process of a run sees, at the same path."""

    root: Path

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.root)

    def location(self, path: Path) -> str:
        """The path."""
        return str(path)

    def path(self, location: str) -> Path:
        """The path of a plain or `file:` location."""
        return local_path(location)

    def at(self, path: Path) -> Path:
        """The same."""
        return path

    def name(self, path: Path) -> Path:
        """The same."""
        return path

    def fetch(self, paths: Iterable[Path]) -> list[Path]:
        """As they are."""
        return list(paths)

    def here(self, paths: Iterable[Path]) -> list[Path] | None:
        """As they are."""
        return list(paths)

    def digest(self, path: Path) -> str:
        """Read from the file."""
        return transfer.digest(path)

    def words(self, path: Path, first: int, count: int) -> bytes:
        """Read from the file."""
        with path.open("rb") as stream:
            stream.seek(first * 8)
            return stream.read(count * 8)

    def keep(self, paths: Iterable[Path]) -> None:
        """Sync them, and the folders between them and the root."""
        disk.sync_files(paths, root=self.root)

    def holds(self, path: Path) -> bool:
        """Whether it is a file."""
        return path.is_file()

    def metadata(self, path: Path) -> tuple[pq.FileMetaData, int]:
        """Read from the file."""
        import pyarrow.parquet as pq

        return pq.read_metadata(path), path.stat().st_size

    def footers(self, paths: Iterable[Path]) -> Mapping[Path, Footer]:
        """None: the driver sees the files."""
        return {}

    def learn(self, footers: Mapping[Path, Footer]) -> None:
        """Nothing to learn."""

    def files(self, folder: Path, beginning: str = "") -> Iterator[Kept]:
        """By walking the folder."""
        start = str(folder / beginning)
        for path in folder.rglob("*"):
            if str(path).startswith(start) and path.is_file():
                facts = path.stat()
                yield Kept(path, facts.st_size, facts.st_mtime)

    def remove(self, paths: Iterable[Path]) -> tuple[int, int]:
        """Unlink them."""
        return unlink(paths)

    def task(self) -> AbstractContextManager[Place]:
        """The same place."""
        return nullcontext(self)


def local_path(location: str) -> Path:
    """The path of a plain or `file:` location."""
    return Path(unquote(urlparse(location).path)) if location.startswith("file:") else Path(location)


def unlink(paths: Iterable[Path]) -> tuple[int, int]:
    """(files, bytes) removed from this machine; a file already gone is not counted."""
    count = size = 0
    for path in sorted(paths):
        try:
            taken = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        count, size = count + 1, size + taken
    return count, size

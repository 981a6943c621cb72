"""Files of a lake in S3: a path in the working copy, and the object of the same name."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapehouse.errors import FeedError, LakeError
from tapehouse.lake.place import Footer, Kept, footer_bytes, unlink
from tapehouse.lake.s3.objects import Objects

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_AT_ONCE = 16
_TAIL_BYTES = 64 << 10  # holds most footers
_ELSEWHERE = ".elsewhere"  # of files outside the lake: below it the bucket, then the key


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where an input lies that has not landed: an object, and which version of it."""

    bucket: str
    key: str
    etag: str
    size: int


class OnS3:
    """See `lake.place.Place`. Objects of a lake never change once they are written, so what was fetched stays valid.

    Sent to another process it knows names and objects, and gets a folder there with `task`.
    """

    def __init__(
        self,
        root: Path,
        lake: Objects,
        raw: Objects,
        arrivals: Mapping[Path, Arrival] | None = None,
        here: Path | None = None,
    ) -> None:
        self._root, self._lake, self._raw = root, lake, raw
        self.arrivals = dict(arrivals or {})
        self._here = here
        self._kept: set[Path] = set()
        self._footers: dict[Path, Footer] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return OnS3, (self._root, self._lake, self._raw, self.arrivals)

    @property
    def root(self) -> Path:
        """The working copy of whoever opened the lake."""
        return self._root

    @property
    def address(self) -> str:
        """`s3://BUCKET/PREFIX`."""
        return self._lake.uri

    def location(self, path: Path) -> str:
        """The object."""
        objects, name = self._object(path)
        return f"{objects.uri}/{name}"

    def path(self, location: str) -> Path:
        """Where the object would lie in the working copy."""
        for objects, folder in ((self._raw, self._root / "raw"), (self._lake, self._root)):
            if location.startswith(f"{objects.uri}/"):
                return folder / location[len(objects.uri) + 1 :]
        if not location.startswith("s3://"):
            raise LakeError(f"the lake names {location}, which is not in S3", fix="restore the table's metadata")
        return self._root / _ELSEWHERE / location.removeprefix("s3://")

    def at(self, path: Path) -> Path:
        """In this process's folder."""
        if self._here is None:
            raise AssertionError("a place that was sent has a folder only within `task`")
        return path if self._here == self._root else self._here / path.relative_to(self._root)

    def name(self, path: Path) -> Path:
        """As whoever opened the lake has it."""
        return path if self._here == self._root or self._here is None else self._root / path.relative_to(self._here)

    def fetch(self, paths: Iterable[Path]) -> list[Path]:
        """Downloaded where they are not here yet."""
        wanted = list(paths)
        here = [self.at(path) for path in wanted]
        missing = {local: path for local, path in zip(here, wanted, strict=True) if not local.exists()}
        if missing:
            with ThreadPoolExecutor(min(_AT_ONCE, len(missing)), thread_name_prefix="fetch") as pool:
                list(pool.map(self._download, missing.values(), missing))
        return here

    def _download(self, path: Path, local: Path) -> None:
        arrival = self.arrivals.get(path)
        objects, name = self._object(path)
        found = objects.download(name, local, "" if arrival is None else arrival.etag)
        if arrival is not None and not found:
            raise _replaced(arrival)

    def here(self, paths: Iterable[Path]) -> list[Path] | None:
        """Not without asking for each."""
        return None

    def digest(self, path: Path) -> str:
        """Read from the object, of which nothing is kept here."""
        arrival = self.arrivals.get(path)
        objects, name = self._object(path)
        hasher, parts = hashlib.sha256(), objects.stream(name, "" if arrival is None else arrival.etag)
        if parts is None:
            raise _gone(objects, name) if arrival is None else _replaced(arrival)
        for part in parts:
            hasher.update(part)
        return hasher.hexdigest()

    def words(self, path: Path, first: int, count: int) -> bytes:
        """A part of the object."""
        if not count:
            return b""
        objects, name = self._object(path)
        found = objects.slice(name, f"{first * 8}-{(first + count) * 8 - 1}")
        if found is None:
            raise _gone(objects, name)
        return found[0]

    def keep(self, paths: Iterable[Path]) -> None:
        """Uploaded, several at a time; each once."""
        new = [path for path in dict.fromkeys(paths) if path not in self._kept]
        if new:
            with ThreadPoolExecutor(min(_AT_ONCE, len(new)), thread_name_prefix="keep") as pool:
                list(pool.map(self._upload, new))

    def _upload(self, path: Path) -> None:
        objects, name = self._object(path)
        local = self.at(path)
        if local.exists():  # what is not here was stored by the task that wrote it
            objects.upload(name, local)
        elif objects.head(name) is None:
            raise LakeError(f"{objects.uri}/{name} was never stored", fix="run again")
        self._kept.add(path)

    def holds(self, path: Path) -> bool:
        """Whether it is here to be stored, or is stored."""
        if path in self._kept or (self._here is not None and self.at(path).is_file()):
            return True
        objects, name = self._object(path)
        return objects.head(name) is not None

    def metadata(self, path: Path) -> tuple[pq.FileMetaData, int]:
        """What a task told; or from the file that is here; or from the end of the object."""
        footer = self._footers.get(path)
        if footer is None:
            local = self.at(path)
            footer = Footer.of(local) if local.exists() else self._footer(path)
        return footer.read(), footer.size

    def _footer(self, path: Path) -> Footer:
        objects, name = self._object(path)
        found = objects.slice(name, f"-{_TAIL_BYTES}")
        if found is not None and (length := footer_bytes(found[0])) > len(found[0]):
            found = objects.slice(name, f"-{length}")
        if found is None:
            raise _gone(objects, name)
        return Footer(*found)

    def footers(self, paths: Iterable[Path]) -> Mapping[Path, Footer]:
        """Of files that this process wrote."""
        return {path: Footer.of(self.at(path)) for path in paths}

    def learn(self, footers: Mapping[Path, Footer]) -> None:
        """Their files are stored already."""
        self._footers.update(footers)
        self._kept.update(footers)

    def files(self, folder: Path, beginning: str = "") -> Iterator[Kept]:
        """By listing objects."""
        if folder == self._root / "raw":
            for one in self._raw.listed(beginning):
                yield Kept(folder / one.name, one.size, one.modified)
            return
        inside = "" if folder == self._root else f"{folder.relative_to(self._root).as_posix()}/"
        for one in self._lake.listed(f"{inside}{beginning}"):
            yield Kept(self._root / one.name, one.size, one.modified)
        if folder == self._root and not f"{self._raw.uri}/".startswith(f"{self._lake.uri}/"):
            yield from self.files(self._root / "raw")

    def remove(self, paths: Iterable[Path]) -> tuple[int, int]:
        """The objects, and what is here of them."""
        going = sorted(set(paths))
        if not going:
            return 0, 0
        with ThreadPoolExecutor(min(_AT_ONCE, len(going))) as pool:
            found = list(pool.map(self._head, going))
        by_place: dict[Objects, list[str]] = {}
        for path in going:
            objects, name = self._object(path)
            by_place.setdefault(objects, []).append(name)
        for objects, names in by_place.items():
            objects.delete(names)
        unlink(self.at(path) for path in going)
        self._kept.difference_update(going)
        sizes = [size for size in found if size is not None]
        return len(sizes), sum(sizes)

    def _head(self, path: Path) -> int | None:
        objects, name = self._object(path)
        found = objects.head(name)
        return None if found is None else found.size

    @contextmanager
    def task(self) -> Iterator[OnS3]:
        """With a folder of the task's own."""
        with tempfile.TemporaryDirectory(prefix="tapehouse-task-", ignore_cleanup_errors=True) as folder:
            yield OnS3(self._root, self._lake, self._raw, self.arrivals, Path(folder))

    def _object(self, path: Path) -> tuple[Objects, str]:
        arrival = self.arrivals.get(path)
        if arrival is not None:
            return Objects(arrival.bucket, "", self._lake.region), arrival.key
        first, *rest = path.relative_to(self._root).parts
        if first == _ELSEWHERE:
            return Objects(rest[0], "", self._lake.region), "/".join(rest[1:])
        if first == "raw":
            return self._raw, "/".join(rest)
        return self._lake, "/".join((first, *rest))


def _gone(objects: Objects, name: str) -> LakeError:
    return LakeError(f"{objects.uri}/{name} is gone", fix="restore it from a version of the object, or run again")


def _replaced(arrival: Arrival) -> FeedError:
    return FeedError(
        "was replaced or removed while it was being read",
        path=f"s3://{arrival.bucket}/{arrival.key}",
        fix="deliver each file under a name of its own, and run again",
    )

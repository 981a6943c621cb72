"""Inputs on their way into a lake in S3.

What is in S3 already is read once for its digest, by the tasks of a distributed engine where there is one; the copy
under that digest is S3's own, of the very version that was hashed. Files of this machine are copied, hashed and
uploaded. Both are made durable by `settle`; until then whoever judges them reads the origin, or the upload under a name
of its own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tapehouse.errors import LakeError, TapehouseError, UsageError
from tapehouse.lake import transfer
from tapehouse.lake.landing import Digests, each, finished
from tapehouse.lake.raw import Landed
from tapehouse.lake.s3.listing import Listed, listed
from tapehouse.lake.s3.objects import Objects, remove_tree
from tapehouse.lake.s3.place import Arrival, OnS3
from tapehouse.lake.s3.raw import RawObjects

ARRIVING = "arriving"
# Uploads of dead processes are removed when they are so old.
ARRIVING_SECONDS_MAX = 86_400.0
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _Input:
    """A file of this machine, or an object; `origin` is what it is called from now on."""

    source: Path | Listed
    origin: str
    size: int
    modified: float


class S3Landing:
    """See `lake.landing.Arriving`. `lake` are the lake's objects; `here` says that this process will read the inputs
    itself, so that objects are downloaded while they are hashed and files need not be uploaded before they are settled.

    An input that is not there is told when they are asked for, and not before: the others are known by then.
    """

    def __init__(
        self,
        place: OnS3,
        lake: Objects,
        raw: RawObjects,
        inputs: Sequence[str | Path],
        origins: Mapping[Path, str],
        *,
        here: bool,
    ) -> None:
        self._place, self._lake, self._raw, self._here = place, lake, raw, here
        self._folder = place.root / ARRIVING / uuid.uuid4().hex
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="land")
        found = list(self._pool.map(lambda one: _found(one, origins, lake.region), inputs))
        self._inputs = [part for one in found if not isinstance(one, TapehouseError) for part in one]
        self._trouble = next((one for one in found if isinstance(one, TapehouseError)), None)
        self._thorough = False
        self._held: dict[str, Path] = {}
        self._new: dict[str, Path] = {}
        self._uploads: list[str] = []
        self._digests: Digests | None = None
        self._known: dict[Path, str] = {}
        self._coming: dict[Path, Future[Landed]] = {}
        if here:
            self._begin()

    def _begin(self) -> None:
        """Objects that others will read are hashed by them if they can, everything else here."""
        if self._coming or not self._inputs:
            return
        named = dict(self._named())
        if self._digests is not None:
            for path, one in named.items():
                self._arrives(path, one)
            self._known = self._by_others(self._digests)
            if self._trouble is not None:  # this process does not hash what others could not
                unread = self._place.arrivals.keys() - self._known.keys()
                named = {path: one for path, one in named.items() if path not in unread}
        self._coming = {path: self._pool.submit(self._bring, path, one) for path, one in named.items()}

    def _by_others(self, digests: Digests) -> dict[Path, str]:
        """Digests of the objects. When one of them cannot be read, of those that are as they were listed, for whoever
        wants to know of them.
        """
        remote = [path for path, one in self._named() if path in self._place.arrivals]
        if self._trouble is None or self._thorough:
            try:
                return dict(zip(remote, digests(self._place, remote), strict=True))
            except TapehouseError as error:
                self._trouble = self._trouble or error
        if not self._thorough:
            return {}
        there = [path for path, good in zip(remote, self._pool.map(self._unchanged, remote), strict=True) if good]
        with suppress(TapehouseError):
            return dict(zip(there, digests(self._place, there), strict=True))
        return {}

    def _unchanged(self, path: Path) -> bool:
        arrival = self._place.arrivals[path]
        with suppress(LakeError):
            found = Objects(arrival.bucket, "", self._lake.region).head(arrival.key)
            return found is not None and found.etag == arrival.etag
        return False

    def _named(self) -> Iterator[tuple[Path, _Input]]:
        """Each input with its path in the working copy."""
        for number, one in enumerate(self._inputs):
            yield self._folder / f"{number:06d}" / one.origin.rpartition("/")[2], one

    @property
    def bytes(self) -> int:
        """Of all inputs."""
        return sum(one.size for one in self._inputs)

    @property
    def seen(self) -> Sequence[Landed]:
        """Those that are hashed."""
        done = {one.path: one for one in finished(list(self._coming.values()))}
        told = ((path, one, self._known.get(path)) for path, one in self._named())
        hashed = {path: Landed(path, digest, one.origin, one.size) for path, one, digest in told if digest}
        return list({**hashed, **done}.values())

    @property
    def oldest(self) -> float:
        """When the first of the inputs was last written; now, when there is none."""
        return min((one.modified for one in self._inputs), default=time.time())

    def hashed_by(self, digests: Digests) -> None:
        """For objects that are hashed only when they are asked for."""
        self._digests = digests

    def __iter__(self) -> Iterator[Landed]:
        """Each as soon as its digest is known, in order."""
        self._begin()
        coming = list(self._coming.values())
        if self._trouble is not None:
            if self._thorough:
                wait(coming)
            raise self._trouble
        yield from each(coming, thorough=self._thorough)

    def thorough(self) -> None:
        """Of all that are there."""
        self._thorough = True

    def held_before(self, landed: Landed) -> bool:
        """Whether the lake held these bytes when they were hashed."""
        return landed.digest in self._held

    def settle(self) -> None:
        """Every new content under its digest; the caller holds the lake's lock. LakeError when S3 refuses, or an origin
        was replaced meanwhile.
        """
        done = [self._pool.submit(self._land, *one) for one in self._new.items()]
        done += [self._pool.submit(self._land_again, *one) for one in self._held.items()]
        for one in done:
            one.result()
        self._new.clear()
        self.abandon()

    def abandon(self) -> None:
        """Remove uploads that have served; does nothing the second time."""
        for one in self._coming.values():
            one.cancel()
        self._pool.shutdown(wait=True)
        remove_tree(self._folder)
        uploads, self._uploads = self._uploads, []
        with suppress(LakeError):  # what is left goes with age
            self._lake.delete(uploads)

    def _bring(self, path: Path, one: _Input) -> Landed:
        known = self._known.get(path)
        digest = known or (self._of_object(path, one) if isinstance(one.source, Listed) else self._of_file(path, one))
        if self._raw.has(digest):
            self._held.setdefault(digest, path)
        else:
            self._new.setdefault(digest, path)
        return Landed(path, digest, one.origin, one.size)

    def _arrives(self, path: Path, one: _Input) -> None:
        if isinstance(one.source, Listed):
            source = one.source
            self._place.arrivals[path] = Arrival(source.bucket, source.key, source.etag, source.size)

    def _of_object(self, path: Path, one: _Input) -> str:
        self._arrives(path, one)
        return transfer.digest(self._place.fetch([path])[0]) if self._here else self._place.digest(path)

    def _of_file(self, path: Path, one: _Input) -> str:
        if not isinstance(one.source, Path):
            raise AssertionError("an object is not a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        transfer.copy(one.source, path)
        digest = transfer.digest(path)
        if not self._here:
            name = path.relative_to(self._place.root).as_posix()
            self._lake.upload(name, path)
            self._uploads.append(name)
        return digest

    def _land_again(self, digest: str, path: Path) -> None:
        """What the lake held when it was hashed may have been let go of since."""
        if not self._raw.has(digest):
            self._land(digest, path)

    def _land(self, digest: str, path: Path) -> None:
        name, arrival = self._raw.name(digest), self._place.arrivals.get(path)
        if arrival is None:
            self._raw.objects.upload(name, path)
        else:
            self._raw.objects.copy_from(arrival.bucket, arrival.key, arrival.etag, name)


def _found(one: str | Path, origins: Mapping[Path, str], region: str) -> list[_Input] | TapehouseError:
    """Files and objects that an input stands for, or why there are none."""
    try:
        if isinstance(one, str) and "://" in one:
            return [_input(part, origins) for part in listed(one, region)]
        return [_input(Path(one), origins)]
    except TapehouseError as error:
        return error


def _input(one: Path | Listed, origins: Mapping[Path, str]) -> _Input:
    if isinstance(one, Listed):
        return _Input(one, one.uri, one.size, one.modified)
    if not one.is_file():
        raise UsageError(f"input {str(one)!r} names no file", fix="name files or locations in S3")
    # Names need not be Unicode, and columns of text must: other bytes are shown as \\xff.
    origin = origins.get(one, str(one)).encode("utf-8", "backslashreplace").decode()
    facts = one.stat()
    return _Input(one, origin, facts.st_size, facts.st_mtime)

"""Files on their way into the lake: copied and hashed ahead of whoever reads them, durable before they are relied on.

A landed file has its final name only once its bytes are on disk, so that a crash never leaves something under a digest
that it does not have. Waiting for the disk before reading would cost a large part of a run, so a landing hands out each
copy under a temporary name as soon as it is hashed, has it synced meanwhile, and `settle` renames all of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from tapehouse.lake import disk
from tapehouse.lake.place import Place
from tapehouse.lake.raw import Landed, RawStore

# Digests of inputs, by whoever can read them best; in their order.
Digests = Callable[[Place, Sequence[Path]], Sequence[str]]


class Arriving(Protocol):
    """Inputs on their way into a lake."""

    @property
    def bytes(self) -> int:
        """Of all inputs."""
        ...

    @property
    def seen(self) -> Sequence[Landed]:
        """Inputs of which the digest is known by now."""
        ...

    @property
    def oldest(self) -> float:
        """When the first of the inputs came to lie where it was found, in seconds since 1970."""
        ...

    def __iter__(self) -> Iterator[Landed]:
        """Each as soon as its digest is known."""
        ...

    def held_before(self, landed: Landed) -> bool:
        """Whether the lake held these bytes when the landing began."""
        ...

    def thorough(self) -> None:
        """Have every digest taken before it is told that an input cannot be read: somebody wants to know of all."""
        ...

    def hashed_by(self, digests: Digests) -> None:
        """Have others take the digests of inputs that this process will not read, if that has not begun."""
        ...

    def settle(self) -> None:
        """Make all of them durable under their digests."""
        ...

    def abandon(self) -> None:
        """Forget what was not settled."""
        ...


class Landing:
    """Lands `paths` in order in the background, from construction on. Iterate once; then `settle` or `abandon`.
    `origins` says of paths that are copies where they are from.
    """

    def __init__(self, store: RawStore, paths: Sequence[Path], origins: Mapping[Path, str] | None = None) -> None:
        self._store = store
        self._paths = list(paths)
        self._origins = origins or {}
        self._copier = ThreadPoolExecutor(1, thread_name_prefix="land")
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="sync")
        self._known = frozenset(store.digests())
        self._copies: list[tuple[Path, str, Future[None]]] = []
        self._thorough = False
        self._coming = [self._copier.submit(self._bring, path) for path in paths]

    @property
    def bytes(self) -> int:
        """Of all files, as they are now."""
        return sum(path.stat().st_size for path in self._paths)

    @property
    def seen(self) -> Sequence[Landed]:
        """Those that are hashed."""
        return finished(self._coming)

    @property
    def oldest(self) -> float:
        """When the first of the files was last written; now, when none is there any more."""
        return min((path.stat().st_mtime for path in self._paths if path.exists()), default=time.time())

    def __iter__(self) -> Iterator[Landed]:
        """Each file as it is hashed. `path` is readable until `settle` or `abandon`."""
        return each(self._coming, thorough=self._thorough)

    def held_before(self, landed: Landed) -> bool:
        """Whether the lake held these bytes when the landing began."""
        return landed.digest in self._known

    def thorough(self) -> None:
        """All of them are copied then."""
        self._thorough = True

    def hashed_by(self, digests: Digests) -> None:
        """It has begun."""

    def settle(self) -> None:
        """Make every copy durable under its digest. LakeError when the disk refuses."""
        with disk.guarded("landing input", self._store.root):
            for _, _, synced in self._copies:
                synced.result()
            self._store.adopt({temporary: digest for temporary, digest, _ in self._copies})
            self._copies.clear()
        self._close()

    def abandon(self) -> None:
        """Remove the copies that were not settled; does nothing after `settle`."""
        for one in self._coming:
            one.cancel()
        self._copier.shutdown(wait=True)
        for temporary, _, _ in self._copies:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        self._copies.clear()
        self._close()

    def _close(self) -> None:
        self._copier.shutdown(wait=False, cancel_futures=True)
        self._syncer.shutdown(wait=False, cancel_futures=True)

    def _bring(self, source: Path) -> Landed:
        # Names need not be Unicode, and columns of text must: other bytes are shown as \\xff.
        origin = self._origins.get(source, str(source)).encode("utf-8", "backslashreplace").decode()
        held = self._store.held(source)
        if held is not None:
            return replace(held, origin=origin)
        copy, digest = self._store.copy(source)
        self._copies.append((copy, digest, self._syncer.submit(disk.sync_file, copy)))
        return Landed(copy, digest, origin, copy.stat().st_size)


def each(coming: Sequence[Future[Landed]], *, thorough: bool) -> Iterator[Landed]:
    """What comes, in order. When one fails, and it is to be `thorough`, the others are waited for."""
    for one in coming:
        if one.exception() is not None and thorough:
            wait(coming)
        yield one.result()


def finished(coming: Sequence[Future[Landed]]) -> list[Landed]:
    """What has come by now and did not fail."""
    return [one.result() for one in coming if one.done() and not one.cancelled() and one.exception() is None]


def clear_leftovers(store: RawStore) -> int:
    """Remove copies that processes left which no longer live; returns how many. The caller holds the lake's lock."""
    removed = 0
    for path in store.root.glob(".landing-*"):
        process = path.name.split("-")[1]
        if not process.isdigit() or not _alive(int(process)):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

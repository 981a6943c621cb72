"""An object that one process at a time may call its own: taken and renewed by conditional writes, lost with time.

Its age is told by S3, in one answer with the time it is there, so the clocks of machines do not matter. Entity tags
change with every renewal, so that who takes over an expired lease and who renews it at the last moment cannot both
succeed.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tapehouse.errors import LakeError
from tapehouse.lake.s3.objects import Objects, Tagged

SECONDS = 60.0
_RENEWALS = 4  # in the time that a lease lasts
_POLL_SECONDS_MAX = 2.0
_RESOLUTION_SECONDS = 1.0  # of S3's times


class LostLeaseError(LakeError):
    """The process was taken for dead; nothing that it would do now may count."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: nobody when `owner` is empty. It lasts `seconds` from when it was written."""

    owner: str
    seconds: float
    who: str
    decided: tuple[str, ...]

    @classmethod
    def read(cls, body: bytes) -> Holder:
        """From the object; LakeError when it is not one of ours."""
        try:
            form = json.loads(body)
            return cls(form["owner"], float(form["seconds"]), form["who"], tuple(form["decided"]))
        except (ValueError, KeyError, TypeError) as error:
            fix = "remove it while no run is at work"
            raise LakeError(f"a lock of the lake is damaged: {body[:80]!r}", fix=fix) from error


def expired(found: Tagged) -> bool:
    """Whether nobody holds the lease any more."""
    holder = Holder.read(found.body)
    return not holder.owner or found.age_seconds > holder.seconds + _RESOLUTION_SECONDS


class Lease:
    """The lease on object `name`, for this process. Safe to use from several threads."""

    def __init__(self, objects: Objects, name: str, seconds: float = SECONDS) -> None:
        self._objects, self._name, self._seconds = objects, name, seconds
        self._owner = uuid.uuid4().hex
        self._etag: str | None = None
        self._decided: tuple[str, ...] = ()
        self._until = 0.0
        self._writing = threading.RLock()
        self._over = threading.Event()
        self._renewer: threading.Thread | None = None

    @property
    def decided(self) -> tuple[str, ...]:
        """What was decided under this lease, by us or by those before, and is not known to be done."""
        return self._decided

    def take(self, waiting: Callable[[], None] | None = None) -> None:
        """Wait until it is ours; `waiting` is called once if that takes time."""
        pause = min(_POLL_SECONDS_MAX, self._seconds / _RENEWALS)
        while not self.try_take():
            if waiting is not None:
                waiting()
                waiting = None
            time.sleep(pause)

    def try_take(self) -> bool:
        """Take it if nobody holds it; True when it is ours."""
        with self._writing:
            found = self._objects.get(self._name)
            if found is not None and not expired(found):
                return False
            self._decided = () if found is None else Holder.read(found.body).decided
            if not self._write(None if found is None else found.etag):
                return False
        self._over.clear()
        self._renewer = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewer.start()
        return True

    def assure(self) -> None:
        """LostLeaseError unless it is still ours."""
        with self._writing:
            there = self._objects.head(self._name) if self._etag is not None else None
            if there is None or there.etag != self._etag or time.monotonic() >= self._until:
                raise self._lost()

    def decide(self, what: str) -> None:
        """Write down a decision; LostLeaseError, and it does not count, unless the lease is still ours."""
        with self._writing:
            self._rewrite((*self._decided, what))

    def may_name(self, what: str) -> bool:
        """Whether the lock as it is stored names that decision; also true when that cannot be read."""
        try:
            found = self._objects.get(self._name)
        except LakeError:
            return True
        return found is not None and what in Holder.read(found.body).decided

    def withdraw(self, what: str) -> None:
        """Take a decision back; LostLeaseError, and it still counts, unless the lease is still ours."""
        with self._writing:
            self._rewrite(tuple(one for one in self._decided if one != what))

    def _rewrite(self, decided: tuple[str, ...]) -> None:
        before, self._decided = self._decided, decided
        written = False
        try:
            written = self._etag is not None and self._write(self._etag)
        finally:
            if not written:  # else the next renewal would store what was never decided
                self._decided = before
        if not written:
            raise self._lost()

    def done(self, what: Iterable[str]) -> None:
        """These decisions need nothing any more; written down with the next renewal."""
        with self._writing:
            gone = set(what)
            self._decided = tuple(one for one in self._decided if one not in gone)

    def release(self, *, remove: bool = False) -> None:
        """Let others have it; `remove` says that nobody will want it again. Does nothing when it was lost."""
        self._over.set()
        if self._renewer is not None:
            self._renewer.join()
        with self._writing:
            if self._etag is None:
                return
            mine = self._write(self._etag, owner="")
            self._etag = None
            if mine and remove:
                self._objects.delete([self._name])

    def _write(self, etag: str | None, owner: str | None = None) -> bool:
        begun = time.monotonic()
        new = self._objects.swap(self._name, self._body(self._owner if owner is None else owner), etag)
        self._etag, self._until = new, begun + self._seconds
        return new is not None

    def _body(self, owner: str) -> bytes:
        who = f"process {os.getpid()} on {socket.gethostname()}"
        form: dict[str, Any] = {"owner": owner, "seconds": self._seconds, "who": who, "decided": list(self._decided)}
        return json.dumps({**form, "written": uuid.uuid4().hex}).encode()

    def _renew(self) -> None:
        """Write it again in time; trouble is tried again as long as the lease lasts."""
        while not self._over.wait(self._seconds / _RENEWALS):
            with self._writing:
                if self._etag is None or self._over.is_set():
                    return
                kept = self._etag
                try:
                    if not self._write(kept):
                        return
                except LakeError:
                    self._etag = kept

    def _lost(self) -> LostLeaseError:
        return LostLeaseError(
            f"{self._objects.uri}/{self._name} was not renewed for {self._seconds:g} s and is another's by now",
            fix="run again; if it happens often, find what stops the process for so long",
        )

"""A file of JSON lines that several processes append to at once, and a queue made of one.

Appending takes an exclusive lock on the file, so lines never interleave, and is on disk when it returns. A writer that
was killed in the middle of a line damages that line only: the next writer starts a new one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def append_line(path: Path, document: Mapping[str, Any]) -> None:
    """Add `document` as one line, creating the file and its folders; OSError if that cannot be done."""
    line = json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as handle:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        view = memoryview(line)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A locked append handle on the file that is at `path` *now*: `Spool.drain` may have moved it while we waited."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _still_at(path, handle):
                yield handle
                return
        finally:
            os.close(handle)


def _still_at(path: Path, handle: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


@dataclass(frozen=True, slots=True)
class Drained:
    """What `Spool.drain` did. `unreadable` lines were moved to the file of that name beside the spool."""

    sent: int = 0
    kept: int = 0
    unreadable: int = 0
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Spool:
    """Documents waiting to be sent, in `path`. Each is sent at least once: after a crash some may be sent again."""

    path: Path

    def add(self, document: Mapping[str, Any]) -> None:
        """Keep `document`; OSError if it cannot be kept."""
        append_line(self.path, document)

    def drain(self, send: Callable[[dict[str, Any]], bool]) -> Drained:
        """Offer every waiting document to `send`, oldest first, until it returns False; what was not taken stays.

        `busy` comes back when another process is draining: it sends what is here.
        """
        if not self.path.parent.is_dir():
            return Drained()
        lock = os.open(self._beside(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Drained(busy=True)
            return self._drain(send)
        finally:
            os.close(lock)

    def _drain(self, send: Callable[[dict[str, Any]], bool]) -> Drained:
        lines = self._take()
        sent = unreadable = 0
        while lines:
            document = _parsed(lines[0])
            if document is None:
                with self._beside(".unreadable").open("ab") as handle:
                    handle.write(lines[0] + b"\n")
                unreadable += 1
            elif send(document):
                sent += 1
            else:
                break
            lines.pop(0)
        self._keep(lines)
        return Drained(sent=sent, kept=len(lines), unreadable=unreadable)

    def _take(self) -> list[bytes]:
        """Move the spool aside and return its lines, after those a crashed drain left behind."""
        taken = self._beside(".sending")
        lines = _lines(taken) if taken.exists() else []
        fresh = self._beside(".taking")
        if not fresh.exists() and self.path.exists():
            self.path.rename(fresh)
        if fresh.exists():
            with fresh.open("rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)  # a writer that already held the file finishes its line first
                lines += _lines(fresh)
            self._keep(lines)
            fresh.unlink()
        return lines

    def _keep(self, lines: list[bytes]) -> None:
        taken = self._beside(".sending")
        if not lines:
            taken.unlink(missing_ok=True)
            return
        partial = self._beside(".partial")
        with partial.open("wb") as handle:
            handle.writelines(line + b"\n" for line in lines)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(taken)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def _lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None

"""A run's progress on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tapehouse.cli.interrupts import hear_interrupts
from tapehouse.observe.progress import Progress as Shown
from tapehouse.observe.progress import show_progress

_TITLES = {
    "read": "reading",
    "wait": "waiting for another writer",
    "dedupe": "removing duplicates",
    "write": "writing",
    "publish": "publishing",
}


@dataclass(frozen=True, slots=True)
class Bridge:
    """What runs report (see `runs.context.Progress`), passed on to a terminal."""

    shown: Shown

    # From its first stage on a run computes, and must be interruptible: not before, for it would import the engine
    # before the first input is on its way into the lake.
    def stage(self, name: str) -> None:
        """In the words of a person."""
        hear_interrupts()
        self.shown.stage(_TITLES.get(name, name))

    def total(self, size: int) -> None:
        """Bytes to read."""
        self.shown.expect(size)

    def advance(self, rows: int, size: int) -> None:
        """Rows and bytes done."""
        self.shown.advance(rows=rows, size=size)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Bridge]:
    """Shown on standard error while the block runs, if that is a terminal; Ctrl-C ends the block."""
    with show_progress(quiet=quiet) as shown:
        yield Bridge(shown)

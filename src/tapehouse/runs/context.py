"""What every verb that changes the lake shares: identity, clock, and who is to be told of progress."""

from __future__ import annotations

import datetime as dt
import os
import time
from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Told of a run's progress; every method may be called from any thread."""

    def stage(self, name: str) -> None:
        """The run enters a stage: `read`, `wait`, `dedupe`, `write`, `publish`."""
        ...

    def total(self, size: int) -> None:
        """Bytes that the run is going to read."""
        ...

    def advance(self, rows: int, size: int) -> None:
        """Rows judged and bytes read since the last call."""
        ...


class Silence:
    """Progress that nobody watches."""

    def stage(self, name: str) -> None:
        """Ignored."""

    def total(self, size: int) -> None:
        """Ignored."""

    def advance(self, rows: int, size: int) -> None:
        """Ignored."""


def new_run_id(at: dt.datetime) -> str:
    """A run id that sorts by time and never repeats: UTC to the microsecond and 32 random bits."""
    return f"{at:%Y%m%dT%H%M%S%fZ}-{os.urandom(4).hex()}"


@dataclass(frozen=True, slots=True)
class Clock:
    """When a run started; its knowledge time is the start, one instant for all its rows."""

    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    monotonic: float = field(default_factory=time.monotonic)

    @property
    def knowledge_us(self) -> int:
        """Knowledge time in microseconds since the epoch."""
        return (self.started - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)

    def seconds(self) -> float:
        """Wall time since the start."""
        return time.monotonic() - self.monotonic

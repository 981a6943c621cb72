"""A shard and what Lambda does with it: batches, retries, bisection, checkpoints, dead letters, several lanes."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapehouse.handlers.landing import first_of
from tapehouse.handlers.records import Position
from tapehouse.handlers.streaming import Delivered, StreamValidator


class Crash(BaseException):
    """The sandbox dies here."""


class DyingS3:
    """A client that lets the sandbox die around a put: `plan` says for each put whether before, after, or not."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self.plan: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **request: Any) -> Any:
        when = self.plan.pop(0) if self.plan else ""
        if when == "before":
            raise Crash
        answer = self._s3.put_object(**request)
        if when == "after":
            raise Crash
        return answer


Batch = Sequence[Delivered]


@dataclass
class Feeder:
    """Gives the batches of a shard's lanes to a validator as the event source does: those of a lane in order, those of
    several in any. `choose` decides what comes next of so many, and whether what crashed comes again in halves.
    `letters` are the batches given up.
    """

    start: Callable[[], StreamValidator]
    choose: Callable[[int], int]
    retries: int = 2
    letters: list[Batch] = field(default_factory=list)

    def feed(self, lanes: Sequence[Sequence[Batch]]) -> None:
        waiting = [deque((batch, 0) for batch in lane) for lane in lanes]
        while busy := [lane for lane in waiting if lane]:
            lane = busy[self.choose(len(busy))]
            lane.extendleft(reversed(self._attempt(*lane.popleft())))

    def _attempt(self, batch: Batch, retries: int) -> list[tuple[Batch, int]]:
        """One attempt; what is to be tried next in its place."""
        try:
            outcome = self.start().process(batch)
        except Crash:
            if len(batch) > 1 and self.choose(2):
                middle = len(batch) // 2
                return [(batch[:middle], retries), (batch[middle:], retries)]
            return [(batch, retries)]  # crashes end before retries do: what is given up is poison
        if not outcome.poison:
            return []
        first = min(at.order for at in outcome.poison)
        rest = [one for one in batch if one.at.order >= first]
        if retries < self.retries:
            return [(rest, retries + 1)]
        self.letters.append(rest)
        return []


def until_done(start: Callable[[], StreamValidator], batch: Batch) -> None:
    """Process a batch, again after every crash."""
    while True:
        try:
            start().process(batch)
        except Crash:
            continue
        return


def delivered(stream: str, shard: str, number: int, arrived: dt.datetime, payload: bytes) -> Delivered:
    """Record `number` of a shard, with a sequence number as long as Kinesis writes them."""
    sequence = str(49_590_338_271_490_256_608_559_692_538_361_571_095 * 10**17 + number * 7_919)
    return Delivered(Position(stream, shard, sequence), arrived, payload)


def landed(s3: Any, bucket: str, prefix: str) -> list[tuple[str, bytes]]:
    """Keys and bytes of the objects under a prefix, in the order of their first records."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    ordered = sorted(keys, key=first_of)
    return [(key, s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in ordered]

"""The embedded engine: reads batches slice by slice and has others judged, one per processor, while the next is read.

Memory is bounded by the slices in flight and the stage's own bound, not by the size of a batch.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.expr import Scope
from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError
from tapehouse.feeds import reader
from tapehouse.feeds.base import BatchSource, Malformed, RawRecord, Slice
from tapehouse.kernel.fingerprint import Tally, batch_salt
from tapehouse.kernel.parse import FAILED, parse, path_captures
from tapehouse.kernel.profile import Profile
from tapehouse.kernel.refine import Records, Refined, refine
from tapehouse.kernel.verdict import Judge, JudgeState

SLICE_BYTES = 16 << 20
WHOLE_BATCH_BYTES = 2 << 30
THREADS = max(2, min(8, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True)
class JudgedSlice:
    """One slice of batch number `batch` after the kernel, with the feed's slice for access to original bytes.

    `records` and `malformed` are those of the slice, or of the selected rows where a selection was asked for.
    """

    batch: int
    slice: Slice
    refined: Refined
    records: int
    malformed: Sequence[Malformed]


@dataclass(slots=True)
class BatchTotals:
    """Running totals of one batch on the input side of the proof."""

    records: int = 0
    malformed: int = 0
    taken: Tally = field(default_factory=Tally)
    rejected: Tally = field(default_factory=Tally)
    filtered: Tally = field(default_factory=Tally)
    profile: Profile = field(default_factory=Profile)
    first_event: int | None = None
    last_event: int | None = None

    def add(self, judged: JudgedSlice, event_time: str) -> None:
        """Count one more slice."""
        refined = judged.refined
        self.records += judged.records
        self.malformed += len(judged.malformed)
        self.taken = self.taken + refined.taken
        self.rejected = self.rejected + refined.rejected_tally
        self.filtered = self.filtered + refined.filtered_tally
        self.profile = self.profile + refined.profile
        events = refined.kept.get_column(event_time).filter(~refined.bad)
        low, high = events.min(), events.max()
        if isinstance(low, int) and isinstance(high, int):
            self.first_event = low if self.first_event is None else min(low, self.first_event)
            self.last_event = high if self.last_event is None else max(high, self.last_event)


Consume = Callable[[JudgedSlice], None]
Selection = Mapping[str, npt.NDArray[np.int64]]


def salts_of(sources: Iterable[BatchSource]) -> npt.NDArray[np.uint64]:
    """Fingerprint salt per batch ordinal."""
    return np.array([batch_salt(source.digest) for source in sources], np.uint64)


def judge_batches(
    contract: Contract,
    judge: Judge,
    sources: Iterable[tuple[int, BatchSource]],
    consume: Consume,
    only: Selection | None = None,
    threads: int = THREADS,
) -> Iterator[tuple[int, int]]:
    """Judge every slice of every batch and hand it to `consume` (called from `threads` workers, once per slice).

    Yields (records, bytes) as slices finish, for progress. Slices of a contract whose rules look back are judged one
    after another within a batch; otherwise several at a time. `only` selects record numbers by batch digest.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="judge") as pool:
        pending: deque[Future[tuple[int, int]]] = deque()
        for ordinal, source in sources:
            task = _Task(contract, judge, ordinal, source, consume, only)
            for part in _slices(contract, judge, source):
                while pending and (judge.scope != Scope.ROW or len(pending) > threads):
                    yield pending.popleft().result()
                pending.append(pool.submit(task, part))
        while pending:
            yield pending.popleft().result()


class _Task:
    """Judges the slices of one batch; holds the windows that carry over from slice to slice."""

    def __init__(
        self,
        contract: Contract,
        judge: Judge,
        ordinal: int,
        source: BatchSource,
        consume: Consume,
        only: Selection | None,
    ) -> None:
        self._contract, self._judge, self._ordinal, self._consume = contract, judge, ordinal, consume
        self._state = JudgeState()
        self._captures = path_captures(contract, source.origin)
        self._salts = np.zeros(ordinal + 1, np.uint64)
        self._salts[ordinal] = batch_salt(source.digest)
        self._only = None if only is None else only.get(source.digest, np.empty(0, np.int64))

    def __call__(self, part: Slice) -> tuple[int, int]:
        """Judge one slice; returns its records and the bytes they take."""
        first, only = part.first_row, self._only
        rows = part.rows if part.rows is not None else np.arange(first, first + part.frame.height)
        records = Records(part.frame, rows, part.failed, self._ordinal, self._captures, only, part.written)
        refined = refine(self._contract, self._judge, self._state, records, self._salts)
        malformed, count = part.malformed, part.records
        if only is not None:
            chosen = set(only.tolist())
            malformed = [one for one in malformed if one.record.row in chosen]
            count = int(((only >= first) & (only < first + part.records)).sum())
        self._consume(JudgedSlice(self._ordinal, part, refined, count, malformed))
        return part.records, int(part.frame.estimated_size())


def _slices(contract: Contract, judge: Judge, source: BatchSource) -> Iterator[Slice]:
    """The batch's slices; a contract with rules that look ahead gets the whole batch as one."""
    slices = reader(contract.feed.format)(contract, source, slice_bytes=SLICE_BYTES)
    if judge.scope != Scope.BATCH:
        yield from slices
        return
    parts, held, captures = list[Slice](), 0, path_captures(contract, source.origin)
    for part in slices:
        parts.append(_parsed(contract, part, captures))
        held += int(part.frame.estimated_size())
        if held > WHOLE_BATCH_BYTES:
            raise FeedError(
                f"takes more than {WHOLE_BATCH_BYTES} bytes of memory, and rules that look ahead need it all at once",
                path=source.origin,
                fix="deliver smaller batches, or replace the rules of batch scope (next, rolling, unique)",
            )
    if parts:
        yield joined(parts)


def _parsed(contract: Contract, part: Slice, captures: Mapping[str, str]) -> Slice:
    """The slice with canonical values: one slice of a batch may have come as text and the next one typed."""
    frame = parse(contract, part.frame, part.failed, captures)
    failed = {name.removeprefix(FAILED): frame.get_column(name) for name in frame.columns if name.startswith(FAILED)}

    def written(column: str, positions: npt.NDArray[np.int64]) -> pl.Series:
        given = part.frame.get_column(column)
        if given.dtype == pl.String or part.written is None:
            return given.gather(positions).cast(pl.String)
        return part.written(column, positions)

    return replace(part, frame=frame.select(part.frame.columns), failed=failed, written=written)


def joined(parts: list[Slice]) -> Slice:
    """Consecutive slices of one batch as one; all canonical, or all of the same types."""
    if len(parts) == 1:
        return parts[0]
    rows = [
        part.rows if part.rows is not None else np.arange(part.first_row, part.first_row + part.frame.height)
        for part in parts
    ]
    ends = np.cumsum([part.frame.height for part in parts])

    def apart(positions: npt.NDArray[np.int64]) -> Iterator[tuple[Slice, npt.NDArray[np.int64]]]:
        which = np.searchsorted(ends, positions, side="right")
        for index in np.unique(which):
            yield parts[index], positions[which == index] - (ends[index - 1] if index else 0)

    def raw(positions: npt.NDArray[np.int64]) -> list[RawRecord]:
        return [record for part, where in apart(positions) for record in part.raw(where)]

    def written(column: str, positions: npt.NDArray[np.int64]) -> pl.Series:
        texts = [part.written(column, where) for part, where in apart(positions) if part.written is not None]
        return pl.concat(texts)

    malformed: list[Malformed] = [one for part in parts for one in part.malformed]
    texts = {name for part in parts for name, kind in part.frame.schema.items() if kind == pl.String}
    return Slice(
        frame=pl.concat([_as_text(part, texts) for part in parts], how="vertical_relaxed"),
        first_row=parts[0].first_row,
        records=sum(part.records for part in parts),
        raw=raw,
        rows=np.concatenate(rows),
        failed=_joined_failures(parts),
        malformed=malformed,
        written=written if all(part.written is not None for part in parts) else None,
    )


def _as_text(part: Slice, texts: Set[str]) -> pl.DataFrame:
    """The slice's frame, with categories as text where another slice has text."""
    names = [name for name, kind in part.frame.schema.items() if name in texts and kind == pl.Categorical]
    return part.frame.with_columns(pl.col(name).cast(pl.String) for name in names)


def _joined_failures(parts: list[Slice]) -> dict[str, pl.Series]:
    names = {name for part in parts for name in part.failed}
    return {
        name: pl.concat(
            [
                part.failed[name] if name in part.failed else pl.repeat(False, part.frame.height, eager=True)
                for part in parts
            ]
        )
        for name in names
    }

"""A run's heavy steps as tasks.

Rows go from the task of their batch to the task of their partition in one of two ways. *Shuffled*: the engine's own
shuffle takes them there, and of good rows only finished files reach the lake's storage. That needs every copy of a row
in the partition where it is compared, so the contract has no key, or one that holds the event time. *Staged*: tasks
write them to files by partition in the run's folder and the engine only schedules; keys are compared between all
partitions by their hashes before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.engines.embedded import Selection
from tapehouse.engines.tasks import Parcel, Scattered, Tasks
from tapehouse.feeds.base import BatchSource
from tapehouse.kernel.fingerprint import Tally, merged, tally_by_batch
from tapehouse.kernel.verdict import Judge
from tapehouse.lake.home import Lake
from tapehouse.lake.place import OnDisk, Place
from tapehouse.lake.spec import TableSpec
from tapehouse.runs.collect import Collected, number
from tapehouse.runs.context import Progress
from tapehouse.runs.distributed.judge import (
    BatchJob,
    JudgedBatch,
    JudgeJob,
    judge_to_files,
    judge_to_parcels,
    received,
)
from tapehouse.runs.distributed.keys import KeyHashes, find_duplicates
from tapehouse.runs.distributed.write import PartitionJob, write_from_files, write_from_parcels
from tapehouse.runs.engine import digests_of
from tapehouse.runs.keys import Duplicates, lost_of
from tapehouse.runs.published import Before, PublishedRows
from tapehouse.runs.quarantine import QuarantineStage
from tapehouse.runs.stage import Piece, Stage, at_hand
from tapehouse.runs.tables import curated_spec, derived_spec
from tapehouse.runs.write import PartitionWritten, WriteJob, Written, labels_of

T = TypeVar("T")
Exchange = Literal["auto", "shuffled", "staged"]

# Bytes of keys' hashes that the task of one range should have at most, about; and of input that a key is of.
_RANGE_BYTES = 64 << 20
_INPUT_BYTES_PER_HASH_BYTE = 10
_RANGES_MAX = 4096


def keys_are_local(contract: Contract) -> bool:
    """Whether rows with equal keys are always of one partition."""
    return contract.key is None or contract.event_time.name in contract.key.columns


class Distributed:
    """One run on `tasks`. `exchange` is chosen by the contract unless it is told."""

    here = False

    def __init__(self, tasks: Tasks, exchange: Exchange = "auto") -> None:
        self._tasks = tasks
        self._asked = exchange
        self._scattered: Scattered[JudgedBatch] | None = None
        self._hashed: list[KeyHashes] = []
        self._wrote: list[tuple[TableSpec, str]] = []
        self._place: Place = OnDisk(Path())

    @property
    def name(self) -> str:
        """The engine's."""
        return self._tasks.name

    def digests(self, place: Place, paths: Sequence[Path]) -> Sequence[str]:
        """A task per file."""
        return self._tasks.map(partial(digest_of, place), paths)

    def notes(self, contract: Contract) -> tuple[str, ...]:
        """Where it ran and how rows came to their partitions."""
        way, why = self._exchange(contract)
        return (f"{self._tasks.description}; rows {way} to their partitions, as {why}",)

    def _exchange(self, contract: Contract) -> tuple[str, str]:
        key = None if contract.key is None else f"the key ({', '.join(contract.key.columns)})"
        if not keys_are_local(contract):
            return "staged", f"{key} may repeat in another partition"
        if self._asked != "auto":
            return self._asked, "was asked for"
        return "shuffled", "there is no key" if key is None else f"{key} holds the event time"

    def collect(
        self,
        contract: Contract,
        judge: Judge,
        sources: Iterable[BatchSource],
        folder: Path,
        place: Place,
        progress: Progress,
        only: Selection | None,
    ) -> Collected:
        """A task per batch, the largest first."""
        progress.stage("read")
        self._place = place
        out = Collected(Stage(folder / "rows"), QuarantineStage(folder / "quarantine"), remember=only is not None)
        batches = [
            BatchJob(ordinal, source, None if only is None else only.get(source.digest, np.empty(0, np.int64)))
            for ordinal, source in number(sources, out.sources)
        ]
        batches.sort(key=lambda batch: -batch.source.size)
        shuffled = self._exchange(contract)[0] == "shuffled"
        ranges = 0 if shuffled or contract.key is None else _key_ranges(out.sources)
        job = JudgeJob(contract, judge, place, folder, ranges)
        watch = _Advance(progress, [batch.source.size for batch in batches])
        if shuffled:
            self._scattered = self._tasks.scatter(partial(judge_to_parcels, job), batches, watch)
            judged = self._scattered.results
        else:
            judged = self._tasks.map(partial(judge_to_files, job), batches, watch)
        watch.finish(sum(one.totals.records for one in judged))
        for one in sorted(judged, key=lambda one: one.ordinal):
            self._add(out, one)
        return out

    def _add(self, out: Collected, one: JudgedBatch) -> None:
        for piece in one.pieces:
            out.stage.put(piece)
        out.quarantine.add_files(self._place.fetch(one.quarantine))
        out.totals[one.ordinal] = one.totals
        out.codes[one.ordinal] = dict(one.codes)
        if out.remember:
            out.rejected[one.ordinal] = [one.rejected]
        if one.hashes is not None:
            self._hashed.append(one.hashes)

    def duplicates(
        self, contract: Contract, collected: Collected, near: Callable[[], pl.DataFrame | None]
    ) -> Duplicates | None:
        """Found by ranges of their keys' hashes; of rows that are shuffled, while they are written."""
        if contract.key is None or self._scattered is not None:
            return None
        pieces, digests = list(collected.stage), digests_of(collected.sources)
        return find_duplicates(self._tasks, self._place, contract, contract.key, self._hashed, pieces, digests, near())

    def good(self, contract: Contract, collected: Collected, salts: npt.NDArray[np.uint64]) -> Mapping[int, Tally]:
        """A task per partition counts its rows."""
        if self._scattered is not None:
            counted = self._scattered.gather(partial(tally_parcels, self._place, contract, salts))
        else:
            parts = [collected.stage.pieces(value, np.arange(len(salts))) for value in collected.stage.partitions]
            counted = self._tasks.map(partial(tally_pieces, self._place, contract, salts), parts)
        return {batch: rows for batch, rows in merged(counted).items() if batch in collected.totals}

    def write(
        self,
        job: WriteJob,
        collected: Collected,
        duplicates: Duplicates | None,
        published: PublishedRows,
        beside: Callable[[], T],
    ) -> tuple[Written, T]:
        """A task per partition, the largest first."""
        out = Written(dropped=None if duplicates is None else duplicates.rows)
        with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
            other = pool.submit(beside)
            written, dropped = self._written(job, collected, duplicates, published)
            done = other.result()
        for one in sorted(written, key=lambda one: one.label):
            job.place.learn(one.footers)
            out.add(one)
        specs = [curated_spec(job.contract), *(derived_spec(job.contract, one) for one in job.contract.derived)]
        self._wrote = [(spec, one.label) for spec in specs for one in written]
        if dropped:
            out.dropped = pl.concat(dropped)
        return out, done

    def clear(self, lake: Lake, run_id: str) -> None:
        """What is written after this, by an attempt that Spark has yet to stop, is for `lake orphans` to find."""
        lake.discard(run_id, self._wrote)

    def close(self) -> None:
        """Forget what lies with the engine; the next run begins anew."""
        if self._scattered is not None:
            self._scattered.close()
        self._scattered, self._hashed, self._wrote = None, [], []

    def _written(
        self, job: WriteJob, collected: Collected, duplicates: Duplicates | None, published: PublishedRows
    ) -> tuple[list[PartitionWritten], list[pl.DataFrame]]:
        """Partitions, and the duplicates that were found while writing them."""
        values = labels_of(job.contract, collected.stage, published)
        befores = {label: published.before(label) for label in values}
        if self._scattered is None:
            parts = [_part(job, collected, duplicates, befores[label], label, value) for label, value in values.items()]
            parts.sort(key=lambda part: -sum(piece.rows for piece in part.pieces))
            return self._tasks.map(partial(write_from_files, job), parts), []
        bare = [PartitionJob(label, (), (), befores[label]) for label, value in values.items() if value is None]
        written = self._tasks.map(partial(write_from_files, job), bare)
        batches = frozenset(collected.totals)
        sent = [one for one in self._scattered.gather(partial(write_from_parcels, job, befores, batches)) if one]
        dropped = [rows for _, rows in sent if rows is not None]
        return [*written, *(one for one, _ in sent)], dropped


def _part(
    job: WriteJob,
    collected: Collected,
    duplicates: Duplicates | None,
    before: Before,
    label: str,
    value: int | None,
) -> PartitionJob:
    pieces = [] if value is None else collected.stage.pieces(value, job.ranks)
    return PartitionJob(label, pieces, [lost_of(piece, duplicates) for piece in pieces], before)


def digest_of(place: Place, path: Path, attempt: str) -> str:
    """The sha256 of a file."""
    return place.digest(path)


def tally_pieces(
    place: Place, contract: Contract, salts: npt.NDArray[np.uint64], pieces: Sequence[Piece], attempt: str
) -> dict[int, Tally]:
    """Good rows of pieces in files, by ordinal of the batch."""
    with place.task() as here:
        return merged(tally_by_batch(piece.good(), contract.columns, salts) for piece in at_hand(here, pieces))


def tally_parcels(
    place: Place,
    contract: Contract,
    salts: npt.NDArray[np.uint64],
    group: int,
    parcels: Iterable[Parcel],
    attempt: str,
) -> dict[int, Tally]:
    """Good rows of pieces that were sent."""
    return tally_pieces(place, contract, salts, received(parcels), attempt)


def _key_ranges(sources: Sequence[BatchSource]) -> int:
    """So many that the hashes of one range fit a task."""
    hashes = sum(source.size for source in sources) // _INPUT_BYTES_PER_HASH_BYTE
    return max(1, min(_RANGES_MAX, -(-hashes // _RANGE_BYTES)))


class _Advance:
    """Tells a run's progress from the number of batches that are done, which were begun in this order."""

    def __init__(self, progress: Progress, sizes: Sequence[int]) -> None:
        self._progress = progress
        self._sizes = list(sizes)
        self._told = 0

    def __call__(self, done: int) -> None:
        known = min(done, len(self._sizes))
        if known > self._told:
            self._progress.advance(0, sum(self._sizes[self._told : known]))
            self._told = known

    def finish(self, records: int) -> None:
        """All are done, and they had so many records."""
        self._progress.advance(records, sum(self._sizes[self._told :]))
        self._told = len(self._sizes)

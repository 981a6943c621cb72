"""From rows to Parquet files ready to publish, one partition at a time; any process can write one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract, Derivation, Role
from tapehouse.errors import LakeError
from tapehouse.kernel.derive import derive, derived_columns
from tapehouse.kernel.fingerprint import Tally, merged, tally_by_batch
from tapehouse.kernel.order import Positions, partition_label, stored_order
from tapehouse.kernel.pieces import Pieces
from tapehouse.lake.files import write
from tapehouse.lake.place import Footer, Place
from tapehouse.lake.spec import Staged, TableSpec, new_data_file
from tapehouse.runs.keys import Duplicates, lost_of
from tapehouse.runs.published import Before, PublishedRows
from tapehouse.runs.stage import Piece, Stage
from tapehouse.runs.tables import curated_spec, derived_spec

WRITERS = 2
# Rows of one data file at most: keeps files near 256 MB and a partition's sort within memory.
FILE_ROWS = 8_000_000
T = TypeVar("T")

_NONE: npt.NDArray[np.int64] = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class WriteJob:
    """What writing any partition of a run needs to know; can be sent to another process. `ranks` and `salts` are by
    ordinal of the batch. `attempt` tells this process's files from those of another that writes the same.
    """

    place: Place
    warehouse: Path
    contract: Contract
    run_id: str
    knowledge_us: int
    digests: Sequence[str]
    salts: npt.NDArray[np.uint64]
    ranks: npt.NDArray[np.int64]
    attempt: str = ""


@dataclass(frozen=True, slots=True)
class NewRows:
    """A partition's rows to be written, in frames in the order in which ties are resolved. At the positions `bad`
    (rejected) and `lost` (duplicates) of each frame are rows that are not. Used up by writing.
    """

    frames: list[pl.DataFrame]
    bad: Sequence[Positions]
    lost: Sequence[Positions]

    @classmethod
    def of(cls, pieces: Sequence[Piece], duplicates: Duplicates | None) -> NewRows:
        """Rows of a partition's pieces in that order."""
        return cls(
            [piece.frame() for piece in pieces],
            [piece.bad for piece in pieces],
            [lost_of(piece, duplicates) for piece in pieces],
        )


@dataclass(frozen=True, slots=True)
class PartitionWritten:
    """What one partition became: staged files, rows kept and dropped by batch ordinal, per channel (first, last, rows),
    and what `Place.learn` takes of the files.
    """

    label: str
    staged: tuple[Staged, ...]
    tallies: Mapping[int, Tally]
    dropped: Mapping[int, Tally]
    channels: Mapping[str, tuple[int, int, int]]
    footers: Mapping[Path, Footer] = field(default_factory=dict)


@dataclass(slots=True)
class Written:
    """A run's files and the output side of its proof. `dropped` names the duplicates, as `Duplicates.rows` does."""

    staged: list[Staged] = field(default_factory=list)
    tallies: dict[int, Tally] = field(default_factory=dict)
    duplicates: dict[int, Tally] = field(default_factory=dict)
    partitions: list[PartitionWritten] = field(default_factory=list)
    dropped: pl.DataFrame | None = None

    def add(self, partition: PartitionWritten) -> None:
        """Count one more partition; in order of their labels."""
        self.partitions.append(partition)
        self.staged.extend(partition.staged)
        self.tallies = merged([self.tallies, partition.tallies])
        self.duplicates = merged([self.duplicates, partition.dropped])


def write_partitions(
    job: WriteJob, stage: Stage, duplicates: Duplicates | None, published: PublishedRows, beside: Callable[[], T]
) -> tuple[Written, T]:
    """Write every partition of the stage, two at a time and the largest first, so that no writer is left with a large
    one while the other has nothing to do. Pieces are released, and files synced, as they are written.

    `beside` is other work that a writer does when no partition is left for it.
    """
    out = Written(dropped=None if duplicates is None else duplicates.rows)
    partitions = labels_of(job.contract, stage, published)
    sizes = {label: 0 if value is None else stage.rows(value) for label, value in partitions.items()}
    by_size = sorted(sizes, key=lambda label: -sizes[label])

    def write_one(label: str) -> PartitionWritten:
        partition = partitions[label]
        rows = NewRows.of([] if partition is None else stage.pieces(partition, job.ranks), duplicates)
        if partition is not None:
            stage.release(partition)
        return write_partition(job, label, rows, published.before(label))

    with (
        ThreadPoolExecutor(1, thread_name_prefix="sync") as syncer,
        ThreadPoolExecutor(WRITERS, thread_name_prefix="write") as pool,
    ):
        work = {label: pool.submit(write_one, label) for label in by_size}
        other = pool.submit(beside)
        try:
            for label in by_size:
                for staged in work[label].result().staged:
                    syncer.submit(_keep_early, job.place, staged)
            done = other.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has not begun would be for nothing
            raise
    for label in partitions:
        out.add(work[label].result())
    return out, done


def labels_of(contract: Contract, stage: Stage, published: PublishedRows) -> dict[str, int | None]:
    """Labels of the partitions to be written, sorted, and their values in the stage: None for those that only lose rows
    or have to be derived again.
    """
    staged = {partition_label(contract.partitioning.by, value): value for value in stage.partitions}
    return {label: staged.get(label) for label in sorted({*staged, *published.rewritten, *published.underived})}


def _keep_early(place: Place, staged: Staged) -> None:
    """Publishing keeps every file and tells what fails; what is durable by then costs it nothing."""
    with suppress(OSError, LakeError):
        place.keep(staged.add)


def write_partition(job: WriteJob, label: str, new: NewRows, before: Before) -> PartitionWritten:
    """Write a partition's new rows, and what is derived from all of its rows."""
    contract = job.contract
    kept, dropped = _take(job, new) if new.frames else (pl.DataFrame(), {})
    tallies = tally_by_batch(kept, contract.columns, job.salts) if kept.height else {}
    channels = _channels(contract, kept)
    rows = _with_metadata(job, kept)
    del kept
    held = before.rows(contract, job.place) if before.rewrite or contract.derived else None
    files = [_curated(job, label, rows, before, held if before.rewrite else None)]
    if contract.derived:
        every = rows if held is None else _both(contract, held, rows)
        files.extend(_derived_table(job, one, label, every, before) for one in contract.derived)
    return PartitionWritten(label, tuple(files), tallies, dropped, channels)


def _take(job: WriteJob, new: NewRows) -> tuple[pl.DataFrame, dict[int, Tally]]:
    """The rows to be curated, in the order in which they are stored, ties by batch rank and record; and what was
    dropped as duplicates.
    """
    rows = Pieces(list(new.frames))
    starts = rows.starts.tolist()
    lost = np.concatenate([_NONE, *(lost + start for lost, start in zip(new.lost, starts, strict=True))])
    bad = np.concatenate([_NONE, *(bad + start for bad, start in zip(new.bad, starts, strict=True))])
    new.frames.clear()
    dropped = tally_by_batch(rows.take(lost), job.contract.columns, job.salts) if len(lost) else {}
    return rows.sorted(job.contract.partitioning.sort, np.concatenate([lost, bad])), dropped


def _with_metadata(job: WriteJob, rows: pl.DataFrame) -> pl.DataFrame:
    """Canonical rows with the columns every curated row carries."""
    if rows.width == 0:
        return rows
    time = pl.col(job.contract.event_time.name)
    digests = pl.Series(job.digests, dtype=pl.Enum(sorted(set(job.digests))))
    return rows.with_columns(
        (time // 1000).cast(pl.Datetime("us", "UTC")).alias("_event_time"),
        digests.gather(rows.get_column("_batch")).alias("_batch"),
        pl.lit(job.knowledge_us).cast(pl.Datetime("us", "UTC")).alias("_knowledge_time"),
    )


def _both(contract: Contract, before: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Published rows and new ones in the order of one run over both."""
    if rows.width == 0:
        return stored_order(contract, before)
    text = [name for name, kind in rows.schema.items() if isinstance(kind, (pl.Categorical, pl.Enum))]
    plain = [frame.cast(dict.fromkeys(text, pl.String)) for frame in (before, rows)]
    return stored_order(contract, pl.concat(plain, how="diagonal"))


def _curated(job: WriteJob, label: str, rows: pl.DataFrame, before: Before, held: pl.DataFrame | None) -> Staged:
    """New rows are added as a file of their own; a run that replaces batches rewrites the partition."""
    spec = curated_spec(job.contract)
    removed: tuple[str, ...] = ()
    if held is not None:
        removed = tuple(str(path) for path in before.of(spec))
        rows = _both(job.contract, held, rows)
    files = [
        _write(job, spec, label, number, rows[start : start + FILE_ROWS])
        for number, start in enumerate(range(0, rows.height, FILE_ROWS))
    ]
    return Staged(spec, tuple(files), removed)


def _derived_table(job: WriteJob, derivation: Derivation, label: str, rows: pl.DataFrame, before: Before) -> Staged:
    """The derived partition as a whole replaces what the lake held of it."""
    spec = derived_spec(job.contract, derivation)
    removed = tuple(str(path) for path in before.of(spec))
    if rows.height == 0:
        return Staged(spec, (), removed)
    table = derive(job.contract, derivation, rows, stored=True)
    if table.height == 0:
        return Staged(spec, (), removed)
    time = derived_columns(job.contract, derivation)[0].name
    table = table.with_columns(
        (pl.col(time) // 1000).cast(pl.Datetime("us", "UTC")).alias("_event_time"),
        pl.lit(job.knowledge_us).cast(pl.Datetime("us", "UTC")).alias("_knowledge_time"),
    )
    return Staged(spec, (_write(job, spec, label, 0, table),), removed)


def _write(job: WriteJob, spec: TableSpec, label: str, number: int, rows: pl.DataFrame) -> Path:
    path = new_data_file(job.place.at(job.warehouse), spec, label, job.run_id, number, job.attempt)
    write(rows, path, spec.schema)
    return job.place.name(path)


def _channels(contract: Contract, rows: pl.DataFrame) -> dict[str, tuple[int, int, int]]:
    """First and last event time (ns) and rows of each channel; without a channel column all rows are channel `*`."""
    if rows.height == 0:
        return {}
    time = contract.event_time.name
    channel = contract.role(Role.CHANNEL)
    if channel is None:
        span = rows.select(pl.col(time).min().alias("low"), pl.col(time).max().alias("high")).row(0)
        return {"*": (span[0], span[1], rows.height)}
    spans = rows.group_by(pl.col(channel.name).cast(pl.String)).agg(
        pl.col(time).min().alias("low"), pl.col(time).max().alias("high"), pl.len()
    )
    return {str(name): (low, high, count) for name, low, high, count in spans.iter_rows()}

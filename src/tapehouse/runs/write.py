"""From staged pieces to Parquet files ready to publish, one partition at a time."""

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
from tapehouse.kernel.derive import derive, derived_columns
from tapehouse.kernel.fingerprint import Tally, tally_by_batch
from tapehouse.kernel.order import partition_label, stored_order
from tapehouse.kernel.pieces import Pieces
from tapehouse.lake import disk
from tapehouse.lake.files import write
from tapehouse.lake.home import Lake
from tapehouse.lake.spec import Staged, TableSpec
from tapehouse.runs.keys import Duplicates
from tapehouse.runs.published import PublishedRows
from tapehouse.runs.stage import Stage
from tapehouse.runs.tables import curated_spec, derived_spec

WRITERS = 2
# Rows of one data file at most: keeps files near 256 MB and a partition's sort within memory.
FILE_ROWS = 8_000_000
T = TypeVar("T")

_NONE: npt.NDArray[np.int64] = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class WriteJob:
    """Everything that writing a partition needs to know. `published` reads what the lake holds already, without
    the batches that this run supersedes.
    """

    lake: Lake
    contract: Contract
    run_id: str
    knowledge_us: int
    digests: Sequence[str]
    salts: npt.NDArray[np.uint64]
    ranks: npt.NDArray[np.int64]
    published: PublishedRows
    duplicates: Duplicates | None = None


@dataclass(frozen=True, slots=True)
class PartitionWritten:
    """What one partition became: staged files, rows by batch ordinal, and per channel (first, last, rows)."""

    label: str
    staged: tuple[Staged, ...]
    tallies: Mapping[int, Tally]
    channels: Mapping[str, tuple[int, int, int]]


@dataclass(slots=True)
class Written:
    """A run's files and the output side of its proof."""

    staged: list[Staged] = field(default_factory=list)
    tallies: dict[int, Tally] = field(default_factory=dict)
    duplicates: dict[int, Tally] = field(default_factory=dict)
    partitions: list[PartitionWritten] = field(default_factory=list)


def write_partitions(job: WriteJob, stage: Stage, beside: Callable[[], T]) -> tuple[Written, T]:
    """Write every partition of the stage, two at a time and the largest first, so that no writer is left with a large
    one while the other has nothing to do. Pieces are released, and files synced, as they are written.

    `beside` is other work that a writer does when no partition is left for it.
    """
    out = Written()
    by = job.contract.partitioning.by
    partitions = {partition_label(by, value): value for value in stage.partitions}
    labels = sorted({*partitions, *job.published.rewritten, *job.published.underived})
    by_size = sorted(labels, key=lambda label: -stage.rows(partitions[label]) if label in partitions else 0)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="sync") as syncer,
        ThreadPoolExecutor(WRITERS, thread_name_prefix="write") as pool,
    ):
        work = {label: pool.submit(_write_partition, job, stage, label, partitions.get(label)) for label in by_size}
        other = pool.submit(beside)
        try:
            for label in by_size:
                for staged in work[label].result()[0].staged:
                    syncer.submit(_sync_early, staged)
            done = other.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has not begun would be for nothing
            raise
    for label in labels:
        written, dropped = work[label].result()
        out.partitions.append(written)
        out.staged.extend(written.staged)
        _merge(out.tallies, written.tallies)
        _merge(out.duplicates, dropped)
    return out, done


def _sync_early(staged: Staged) -> None:
    """Publishing syncs every file and tells what fails; what is on disk by then costs it nothing."""
    for path in staged.add:
        with suppress(OSError):
            disk.sync_file(path)


def _merge(into: dict[int, Tally], more: Mapping[int, Tally]) -> None:
    for batch, tally in more.items():
        into[batch] = into.get(batch, Tally()) + tally


def _write_partition(
    job: WriteJob, stage: Stage, label: str, partition: int | None
) -> tuple[PartitionWritten, dict[int, Tally]]:
    """`partition` is None for a partition that only loses rows."""
    contract = job.contract
    kept, dropped = (pl.DataFrame(), {}) if partition is None else _take(job, stage, partition)
    tallies = tally_by_batch(kept, contract.columns, job.salts) if kept.height else {}
    channels = _channels(contract, kept)
    rows = _with_metadata(job, kept)
    del kept
    rewrite = label in job.published.rewritten
    before = job.published.partition(label) if rewrite or contract.derived else None
    files = [_curated(job, label, rows, before if rewrite else None)]
    if contract.derived:
        files.extend(_derived(job, label, rows if before is None else _both(contract, before, rows)))
    return PartitionWritten(label, tuple(files), tallies, channels), dropped


def _take(job: WriteJob, stage: Stage, partition: int) -> tuple[pl.DataFrame, dict[int, Tally]]:
    """The rows of a partition to be curated, in the order in which they are stored, ties by batch rank and record; and
    what was dropped as duplicates. Rejected rows are left out. The stage forgets the partition.
    """
    pieces = stage.pieces(partition, job.ranks)
    rows = Pieces([piece.frame() for piece in pieces])
    positions = job.duplicates.positions if job.duplicates is not None else {}
    placed = list(zip(pieces, rows.starts.tolist(), strict=True))
    losing = [positions[id(piece)] + start for piece, start in placed if id(piece) in positions]
    lost = np.concatenate([_NONE, *losing])
    bad = np.concatenate([_NONE, *(piece.bad + start for piece, start in placed)])
    del pieces, placed
    stage.release(partition)
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


def _curated(job: WriteJob, label: str, rows: pl.DataFrame, before: pl.DataFrame | None) -> Staged:
    """New rows are added as a file of their own; a run that replaces batches rewrites the partition."""
    spec = curated_spec(job.contract)
    removed: tuple[str, ...] = ()
    if before is not None:
        removed = tuple(str(path) for path in job.published.files(spec, label))
        rows = _both(job.contract, before, rows)
    files = [
        _write(job, spec, label, number, rows[start : start + FILE_ROWS])
        for number, start in enumerate(range(0, rows.height, FILE_ROWS))
    ]
    return Staged(spec, tuple(files), removed)


def _derived(job: WriteJob, label: str, rows: pl.DataFrame) -> list[Staged]:
    return [_derived_table(job, derivation, label, rows) for derivation in job.contract.derived]


def _derived_table(job: WriteJob, derivation: Derivation, label: str, rows: pl.DataFrame) -> Staged:
    """The derived partition as a whole replaces what the lake held of it."""
    spec = derived_spec(job.contract, derivation)
    removed = tuple(str(path) for path in job.published.files(spec, label))
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
    path = job.lake.data_file(spec, label, job.run_id, number)
    write(rows, path, spec.schema)
    return path


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

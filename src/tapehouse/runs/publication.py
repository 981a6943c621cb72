"""The last act of a run: its tables, in the order in which they become visible; `runs` last."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.errors import ProofError
from tapehouse.kernel.profile import Profile
from tapehouse.lake.files import stage_rows, write
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import publish
from tapehouse.lake.spec import Staged, TableSpec
from tapehouse.runs import records
from tapehouse.runs.collect import Collected
from tapehouse.runs.context import Clock
from tapehouse.runs.intervals import ledger_of
from tapehouse.runs.result import RunResult
from tapehouse.runs.tables import (
    BATCHES,
    INTERVALS,
    LINEAGE,
    METRICS,
    RUNS,
    duplicates_spec,
    quarantine_spec,
)
from tapehouse.runs.write import Written


@dataclass(frozen=True, slots=True)
class QuarantineWritten:
    """The rejected records of a run as files, and how many they are."""

    staged: Staged
    rows: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A proven run, ready to publish. `quarantine` is None for a replay, whose rejected records are in the table
    already; `marks` are rows of `quarantine_marks` that belong to it (replay).
    """

    result: RunResult
    written: Written
    quarantine: QuarantineWritten | None
    collected: Collected
    clock: Clock
    profile: Profile
    marks: tuple[Staged, ...] = ()


def publish_run(lake: Lake, contract: Contract, settled: Settled) -> RunResult:
    """Publish every table of the run under its id and return the result with snapshots and completeness filled in."""
    result, clock = settled.result, settled.clock
    at, run_id = clock.started, result.run_id
    staged = merged([*settled.written.staged])
    if settled.quarantine is not None:
        _check_written(result, "quarantined", settled.quarantine.rows)
        staged.append(settled.quarantine.staged)
    staged.append(_duplicates(lake, contract, settled))
    outputs = [part.spec.identifier for part in staged if part.add]
    partitions = [(one.label, one.channels) for one in settled.written.partitions]
    codes = {**result.rules, **result.warnings}
    counts = {"in": result.rows_in, **result.proof.counts}
    intervals = records.interval_rows(contract, run_id, partitions)
    through = ledger_of(lake, contract, intervals)
    result = dataclasses.replace(result, complete_through=through, seconds=clock.seconds())
    house: list[tuple[TableSpec, pl.DataFrame]] = [
        (METRICS, records.metric_rows(contract, run_id, at, settled.profile, codes, counts)),
        (INTERVALS, intervals),
        (LINEAGE, records.lineage_rows(contract, result, at, outputs)),
        (BATCHES, records.batch_rows(contract, run_id, at, result.batches)),
        (RUNS, records.run_row(contract, result, at, dt.datetime.now(dt.UTC))),
    ]
    staged.extend(settled.marks)
    staged.extend(stage_rows(lake, spec, rows, run_id) for spec, rows in house)
    summary = {"tapehouse.contract": contract.name, "tapehouse.contract-version": contract.version}
    publication = publish(lake, run_id, [part for part in staged if part.add or part.remove], summary)
    snapshots = {one.identifier: one.snapshot_id for one in publication.tables if one.snapshot_id is not None}
    return dataclasses.replace(result, snapshots=snapshots, seconds=clock.seconds())


def record_stopped(lake: Lake, contract: Contract, result: RunResult, collected: Collected, clock: Clock) -> RunResult:
    """Record a stopped run: one row in `runs`, and its rejected records in a file outside every table, so that the
    reasons can be looked at.
    """
    folder = lake.stopped / result.run_id
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "run.json"]
    for number, rows in enumerate(_quarantine_frames(contract, result.run_id, collected, clock)):
        files.append(folder / f"quarantine-{number:05d}.parquet")
        write(rows, files[-1], quarantine_spec(contract).schema)
    files[0].write_text(json.dumps(result.as_dict(), indent=1), encoding="utf-8")
    lake.place.keep(files)
    result = dataclasses.replace(
        result,
        seconds=clock.seconds(),
        notes=(*result.notes, f"rejected records: {lake.place.location(folder)}/quarantine-*.parquet"),
    )
    row = records.run_row(contract, result, clock.started, dt.datetime.now(dt.UTC))
    staged = stage_rows(lake, RUNS, row, result.run_id)
    publish(lake, result.run_id, [staged], {"tapehouse.contract": contract.name, "tapehouse.status": "stopped"})
    return result


def merged(parts: Iterable[Staged]) -> list[Staged]:
    """One `Staged` per table, in order of first appearance."""
    by_table: dict[str, list[Staged]] = {}
    for part in parts:
        by_table.setdefault(part.spec.identifier, []).append(part)
    return [
        Staged(
            group[0].spec,
            tuple(path for part in group for path in part.add),
            tuple(path for part in group for path in part.remove),
        )
        for group in by_table.values()
    ]


def _quarantine_frames(contract: Contract, run_id: str, collected: Collected, clock: Clock) -> Iterable[pl.DataFrame]:
    """Quarantine rows in the table's columns, one bounded frame after another."""
    digests = pl.Series([source.digest for source in collected.sources], dtype=pl.String)
    origins = pl.Series([source.origin for source in collected.sources], dtype=pl.String)
    names = quarantine_spec(contract).schema.names
    for frame in collected.quarantine.frames():
        batch = frame.get_column("_batch")
        yield (
            frame.with_columns(
                digests.gather(batch).alias("_batch"),
                origins.gather(batch).alias("origin"),
                (pl.col("_event_ns") // 1000).cast(pl.Datetime("us", "UTC")).alias("_event_time"),
                pl.lit(contract.version).alias("contract_version"),
                pl.lit(contract.digest).alias("contract_digest"),
                pl.lit(run_id).alias("_run_id"),
                pl.lit(clock.knowledge_us).cast(pl.Datetime("us", "UTC")).alias("_knowledge_time"),
            )
            .select(names)
            .sort("_batch", "_row")
        )


def write_quarantine(
    lake: Lake, contract: Contract, run_id: str, collected: Collected, clock: Clock
) -> QuarantineWritten:
    """Write the rejected records as files ready to publish."""
    spec, label = quarantine_spec(contract), f"{clock.started:%Y-%m-%d}"
    paths, written = list[Path](), 0
    for number, rows in enumerate(_quarantine_frames(contract, run_id, collected, clock)):
        path = lake.data_file(spec, label, run_id, number)
        write(rows, path, spec.schema)
        paths.append(path)
        written += rows.height
    return QuarantineWritten(Staged(spec, tuple(paths)), written)


def _check_written(result: RunResult, disposition: str, written: int) -> None:
    """The proof counts these rows where they were parted from the others; the table must hold as many."""
    proved = result.proof.counts[disposition]
    if written != proved:
        raise ProofError(
            f"{proved} {disposition} rows were proved, {written} were written", fix="nothing was published; run again"
        )


def _duplicates(lake: Lake, contract: Contract, settled: Settled) -> Staged:
    spec = duplicates_spec(contract)
    dropped = settled.written.dropped
    _check_written(settled.result, "duplicates", 0 if dropped is None else dropped.height)
    if dropped is None:
        return Staged(spec)
    rows = dropped.with_columns(
        (pl.col(contract.event_time.name) // 1000).cast(pl.Datetime("us", "UTC")).alias("_event_time"),
        pl.lit(settled.result.run_id).alias("_run_id"),
        pl.lit(settled.clock.knowledge_us).cast(pl.Datetime("us", "UTC")).alias("_knowledge_time"),
    ).select(spec.schema.names)
    return stage_rows(lake, spec, rows.sort("_batch", "_row"), settled.result.run_id)

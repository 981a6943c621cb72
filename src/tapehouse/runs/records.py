"""Rows that a run writes about itself: runs, batches, metrics, intervals, lineage, marks, duplicates."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

import tapehouse
from tapehouse.contracts.model import Contract
from tapehouse.kernel.profile import Profile
from tapehouse.runs.proof import DISPOSITIONS, Proof
from tapehouse.runs.result import BatchResult, RunResult
from tapehouse.runs.tables import BATCHES, INTERVALS, LINEAGE, METRICS, RUNS


def instant(ns: int | None) -> dt.datetime | None:
    """ns since the epoch as a UTC datetime in whole microseconds, rounded down."""
    if ns is None:
        return None
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=ns // 1000)


def rows_of(schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame of that schema's columns and types."""
    return pl.DataFrame([dict(row) for row in rows], schema=pl.Schema(schema))


def disposed(proof: Proof) -> dict[str, int]:
    """Rows by disposition, without those a stopped run withheld: they are nowhere in the lake."""
    return {name: proof.counts[name] for name in DISPOSITIONS}


def run_row(contract: Contract, result: RunResult, started: dt.datetime, finished: dt.datetime) -> pl.DataFrame:
    """The row of table `runs`."""
    row = {
        "run_id": result.run_id,
        "kind": result.kind,
        "status": result.status.value,
        "contract": contract.name,
        "contract_version": contract.version,
        "contract_digest": contract.digest,
        "engine": result.engine,
        "tapehouse_version": tapehouse.__version__,
        "started_at": started,
        "finished_at": finished,
        "seconds": result.seconds,
        "batches": len(result.batches),
        "rows_in": result.rows_in,
        **disposed(result.proof),
        "rules": json.dumps({**result.rules, **result.warnings}, sort_keys=True),
        "proof": json.dumps(result.proof.as_dict(), sort_keys=True),
        "references": json.dumps(dict(result.references), sort_keys=True),
        "stopped_because": json.dumps(list(result.stopped_because)),
    }
    return rows_of(RUNS.schema, [row])


def batch_rows(contract: Contract, run_id: str, at: dt.datetime, batches: Iterable[BatchResult]) -> pl.DataFrame:
    """Rows of table `batches`."""
    return rows_of(
        BATCHES.schema,
        (
            {
                "contract": contract.name,
                "contract_version": contract.version,
                "digest": batch.digest,
                "origin": batch.origin,
                "bytes": batch.size,
                "run_id": run_id,
                "rows_in": batch.proof.records,
                **disposed(batch.proof),
                "malformed": batch.proof.malformed,
                "proof": json.dumps(batch.proof.as_dict(), sort_keys=True),
                "first_event": instant(batch.first_event),
                "last_event": instant(batch.last_event),
                "knowledge_time": at,
            }
            for batch in batches
        ),
    )


def metric_rows(
    contract: Contract,
    run_id: str,
    at: dt.datetime,
    profile: Profile,
    rules: Mapping[str, int],
    counts: Mapping[str, int],
) -> pl.DataFrame:
    """Rows of table `metrics`: `rows_<disposition>`, `rule_broken`, `nulls`, `null_rate`, `refused`, `low`, `high`,
    `lateness_ns_p50`..; canonical units (a scaled price is divided by its scale).
    """
    rows: list[dict[str, Any]] = []

    def add(metric: str, column: str, value: float | None) -> None:
        if value is not None:
            shared = {"run_id": run_id, "contract": contract.name, "at": at}
            rows.append({**shared, "metric": metric, "column": column, "value": float(value)})

    for name, count in counts.items():
        add(f"rows_{name}", "", count)
    for code, count in rules.items():
        add("rule_broken", code, count)
    for column in contract.columns:
        seen = profile.columns.get(column.name)
        if seen is None:
            continue
        unit = 10**column.scale
        add("nulls", column.name, seen.nulls)
        add("null_rate", column.name, seen.nulls / seen.rows if seen.rows else 0.0)
        add("refused", column.name, seen.failed)
        add("low", column.name, None if seen.low is None else seen.low / unit)
        add("high", column.name, None if seen.high is None else seen.high / unit)
    for quantile, value in profile.lateness_quantiles().items():
        add(f"lateness_ns_p{quantile * 100:g}", "", value)
    return rows_of(METRICS.schema, rows)


def interval_rows(
    contract: Contract, run_id: str, partitions: Iterable[tuple[str, Mapping[str, tuple[int, int, int]]]]
) -> pl.DataFrame:
    """Rows of table `intervals` from (partition label, channel -> (first ns, last ns, rows))."""
    return rows_of(
        INTERVALS.schema,
        (
            {
                "contract": contract.name,
                "channel": channel,
                "partition": label,
                "first_event": instant(first),
                "last_event": instant(last),
                "rows": rows,
                "run_id": run_id,
            }
            for label, channels in partitions
            for channel, (first, last, rows) in channels.items()
        ),
    )


def lineage_rows(contract: Contract, result: RunResult, at: dt.datetime, outputs: Sequence[str]) -> pl.DataFrame:
    """Rows of table `lineage`: an edge from every batch and reference table to every table of the contract that the run
    wrote. `rows` counts the batch's rows in it; null for references and for tables computed from several batches' rows.
    """
    days = contract.retention.lineage_days
    expires = None if days is None else at + dt.timedelta(days=days)
    shared = {"run_id": result.run_id, "contract": contract.name, "at": at, "expires_at": expires}
    places = {"curated": "curated", "quarantine": "quarantined", "duplicates": "duplicates"}
    edges = [
        {
            "input": f"raw:{batch.digest}",
            "input_kind": "batch",
            "output": output,
            "rows": batch.proof.counts.get(places.get(output.rpartition(".")[2], "")),
        }
        for batch in result.batches
        for output in outputs
    ]
    edges += [
        {"input": f"{name} {version}", "input_kind": "reference", "output": output, "rows": None}
        for name, version in result.references.items()
        for output in outputs
    ]
    return rows_of(LINEAGE.schema, ({**shared, **edge} for edge in edges))


def mark_rows(contract: str, run_id: str, at: dt.datetime, marked: pl.DataFrame, mark: str, why: str) -> pl.DataFrame:
    """Rows of table `quarantine_marks` for `marked` (columns `_batch` digest and `_row`)."""
    return marked.select(
        pl.lit(contract).alias("contract"),
        pl.col("_batch").cast(pl.String).alias("batch"),
        pl.col("_row").alias("row"),
        pl.lit(mark).alias("mark"),
        pl.lit(why).alias("why"),
        pl.lit(run_id).alias("run_id"),
        pl.lit(at).cast(pl.Datetime("us", "UTC")).alias("at"),
    )

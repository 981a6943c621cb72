"""The lake's memory of its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from tapehouse.errors import UsageError
from tapehouse.lake.home import Lake
from tapehouse.runs.quarantined import plain
from tapehouse.runs.read import house_table
from tapehouse.runs.tables import BATCHES, LINEAGE, METRICS, RUNS

_JSON = ("rules", "proof", "references", "stopped_because")


def list_runs(lake: Lake, *, contract: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
    """Latest runs first, without their proofs."""
    rows = house_table(lake, RUNS)
    if contract is not None:
        rows = rows.filter(pl.col("contract") == contract)
    latest = rows.sort("started_at", "run_id", descending=True).head(limit)
    return [_run(row) for row in latest.drop("proof").to_dicts()]


def show_run(lake: Lake, run_id: str) -> dict[str, Any]:
    """A run with its proof, batches, metrics, lineage and the snapshot it made of each table.

    `run_id` may be any unique beginning of the id. Raises UsageError when none or several begin so.
    """
    found = house_table(lake, RUNS).filter(pl.col("run_id").str.starts_with(run_id))
    if found.height != 1:
        what = "no run" if not found.height else f"{found.height} runs"
        raise UsageError(f"{what} begin with {run_id!r}", fix="see `tapehouse runs list`")
    row = _run(found.row(0, named=True))
    mine = pl.col("run_id") == row["run_id"]
    batches = house_table(lake, BATCHES).filter(mine).drop("proof", "run_id", "contract").to_dicts()
    metrics = house_table(lake, METRICS).filter(mine).select("metric", "column", "value").to_dicts()
    lineage = house_table(lake, LINEAGE).filter(mine).select("input", "output", "rows").to_dicts()
    return {
        **row,
        "batch_list": [plain(batch) for batch in batches],
        "metrics": metrics,
        "lineage": lineage,
        "snapshots": {
            table.identifier: snapshot
            for table in lake.tables()
            if (snapshot := table.snapshot_of_run(row["run_id"])) is not None
        },
    }


def _run(row: Mapping[str, Any]) -> dict[str, Any]:
    out = plain(row)
    return {name: json.loads(value) if name in _JSON and value is not None else value for name, value in out.items()}

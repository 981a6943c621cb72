"""A process that publishes runs into a lake and may kill itself (SIGKILL) at a given step. Not a test.

Usage: writer.py LAKE RUN_ID FIRST_TRADE [STEP]: STEP is the number of the step to die at, counted from 0; the steps
are those publishing names, with "spilled" and "written" before them. Prints the steps survived.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from tapehouse.lake.files import stage_rows
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import publish, recover
from tapehouse.lake.spec import Staged, TableSpec

SPEC = TableSpec(
    "trades",
    "curated",
    pa.schema(
        [
            pa.field("trade_id", pa.int64(), nullable=False),
            pa.field("_event_time", pa.timestamp("us", "UTC"), nullable=False),
        ]
    ),
    ("hour", "_event_time"),
)
RUNS = TableSpec("tapehouse", "runs", pa.schema([pa.field("run_id", pa.large_string(), nullable=False)]))


def main(root: str, run_id: str, first: int, die_at: int | None) -> None:
    steps: list[str] = []

    def fault(step: str) -> None:
        if len(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps.append(step)
        print(step, flush=True)

    lake = Lake.open(root)
    time = datetime(2024, 1, 2, 14, tzinfo=UTC)
    rows = pl.DataFrame(
        {"trade_id": range(first, first + 10), "_event_time": [time] * 10},
        schema_overrides={"_event_time": pl.Datetime("us", "UTC")},
    )
    with lake.staging(run_id) as spill:
        (spill / "part").write_bytes(b"spilled")
        fault("spilled")
        with lake.lock():
            recover(lake)
            table = lake.table("trades", "curated")
            if table is not None and table.snapshot_of_run(run_id) is not None:
                return
            # Like a late batch: the partition's files are replaced by one with all rows.
            old = [str(file.path) for file in table.files()] if table is not None else []
            known = [pl.read_parquet(path) for path in old]
            staged = stage_rows(lake, SPEC, pl.concat([*known, rows]), run_id)
            runs = stage_rows(lake, RUNS, pl.DataFrame({"run_id": [run_id]}), run_id)
            fault("written")
            publish(lake, run_id, [Staged(SPEC, staged.add, tuple(old)), runs], {"rows": "10"}, fault=fault)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else None)

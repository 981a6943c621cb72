"""Small tables, and the moves most tests of the lake make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa

from tapehouse.lake.files import stage_rows, write
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import Publication, publish
from tapehouse.lake.spec import Staged, TableSpec
from tapehouse.lake.table import LakeTable

START = datetime(2024, 1, 2, 14, tzinfo=UTC)
TRADES = TableSpec(
    "trades",
    "curated",
    pa.schema(
        [
            pa.field("trade_id", pa.int64(), nullable=False),
            pa.field("symbol", pa.large_string(), nullable=False),
            pa.field("price", pa.decimal128(18, 6)),
            pa.field("_event_time", pa.timestamp("us", "UTC"), nullable=False),
        ]
    ),
    ("hour", "_event_time"),
    ("symbol", "trade_id"),
)
RUNS = TableSpec("tapehouse", "runs", pa.schema([pa.field("run_id", pa.large_string(), nullable=False)]))


def trades(first: int, rows: int, *, hour: int = 0) -> pl.DataFrame:
    """`rows` trades with ids from `first`, one a second from 14:00 UTC plus `hour` hours."""
    ids = range(first, first + rows)
    times = [START + timedelta(hours=hour, seconds=i % 3600) for i in range(rows)]
    return pl.DataFrame(
        {
            "trade_id": ids,
            "symbol": [("MSFT", "AAPL", "SPY")[i % 3] for i in ids],
            "price": [1_000_000 + i if i % 7 else None for i in ids],
            "_event_time": times,
        },
        schema_overrides={"_event_time": pl.Datetime("us", "UTC")},
    )


@dataclass
class Bench:
    """A lake under test, with the moves most tests make."""

    lake: Lake

    def run(
        self, run_id: str, *frames: pl.DataFrame, remove: tuple[str, ...] = (), spec: TableSpec = TRADES
    ) -> Publication:
        """Publish the frames' rows and a row in the runs table under `run_id`."""
        with self.lake.lock(), self.lake.staging(run_id):
            rows = stage_rows(self.lake, spec, pl.concat(frames), run_id)
            runs = stage_rows(self.lake, RUNS, pl.DataFrame({"run_id": [run_id]}), run_id)
            return publish(self.lake, run_id, [Staged(rows.spec, rows.add, remove), runs], {"note": "test"})

    def file(self, run_id: str, rows: pl.DataFrame, number: int = 0, spec: TableSpec = TRADES) -> Path:
        """One data file of the run, written but not published."""
        path = self.lake.data_file(spec, "label", run_id, number)
        write(rows, path, spec.schema)
        return path

    def table(self, spec: TableSpec = TRADES) -> LakeTable:
        """The table now; fails the test when absent."""
        table = self.lake.table(spec.namespace, spec.name)
        assert table is not None
        return table

    def ids(self, spec: TableSpec = TRADES, column: str = "trade_id") -> list[object]:
        """Sorted values of one column now; empty when the table is absent."""
        table = self.lake.table(spec.namespace, spec.name)
        if table is None:
            return []
        paths = [file.path for file in table.files()]
        return sorted(pl.concat([pl.read_parquet(path) for path in paths])[column].to_list()) if paths else []

"""SQL over the lake: right rows, readable mistakes, nothing written."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tapehouse.errors import UsageError
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import publish
from tapehouse.lake.query import query
from tapehouse.lake.spec import Staged, TableSpec

from .support import TRADES, Bench, trades


def one(lake: Lake, sql: str, as_of: datetime | str | None = None) -> object:
    return query(lake, sql, as_of).column(0).to_pylist()[0]


def test_tables_join_and_keep_their_types(bench: Bench) -> None:
    bench.run("r1", trades(0, 10))
    table = query(bench.lake, "SELECT * FROM trades.curated, tapehouse.runs ORDER BY trade_id")
    assert table.num_rows == 10
    assert table.schema.field("price").type == pa.decimal128(18, 6)
    assert table.schema.field("_event_time").type == pa.timestamp("us", "UTC")
    assert table.column_names == [*TRADES.schema.names, "run_id"]


def test_columns_no_file_has_and_tables_without_files(bench: Bench) -> None:
    bench.run("r1", trades(0, 10))
    nested = pa.schema([pa.field("reasons", pa.large_list(pa.struct([("code", pa.large_string())])))])
    wider = replace(TRADES, schema=TRADES.schema.append(pa.field("venue", pa.large_string())))
    with bench.lake.lock():
        publish(bench.lake, "r2", [Staged(wider), Staged(TableSpec("trades", "quarantine", nested))], {})
    assert one(bench.lake, "SELECT count(*) FROM trades.curated WHERE venue IS NULL") == 10
    assert one(bench.lake, "SELECT count(*) FROM trades.quarantine") == 0
    assert query(bench.lake, "SELECT * FROM trades.quarantine").schema.names == ["reasons"]
    bench.run("r3", trades(10, 5).with_columns(venue=pl.lit("XNAS")), spec=wider)
    rows = query(bench.lake, "SELECT venue, count(*) AS n FROM trades.curated GROUP BY 1 ORDER BY 2").to_pylist()
    assert rows == [{"venue": "XNAS", "n": 5}, {"venue": None, "n": 10}]


def test_all_tables_travel_together(bench: Bench) -> None:
    before = datetime.now(UTC)
    time.sleep(0.01)
    bench.run("r1", trades(0, 10))
    other = replace(TRADES, name="other")
    time.sleep(0.01)
    bench.run("r2", trades(0, 4), spec=other)
    names = ("trades.curated", "trades.other", "tapehouse.runs")
    counts = "SELECT " + ", ".join(f"(SELECT count(*) FROM {name}) AS n{i}" for i, name in enumerate(names))

    def at(as_of: datetime | str | None) -> tuple[object, ...]:
        return tuple(query(bench.lake, counts, as_of).to_pylist()[0].values())

    assert at(before) == (0, 0, 0)
    assert at("r1") == (10, 0, 1)
    assert at("r2") == at(None) == (10, 4, 2)
    with pytest.raises(UsageError, match="no table has a snapshot of run r9"):
        at("r9")


def test_an_unknown_table_lists_the_known(bench: Bench) -> None:
    with pytest.raises(UsageError) as caught:
        query(bench.lake, "SELECT 1 FROM trades.curated")
    assert caught.value.fix == "tables: none yet"
    bench.run("r1", trades(0, 10))
    with pytest.raises(UsageError, match="curatd") as caught:
        query(bench.lake, "SELECT * FROM trades.curatd")
    assert caught.value.fix == "tables: tapehouse.runs, trades.curated"
    with pytest.raises(UsageError, match="trade_idd"):
        query(bench.lake, "SELECT trade_idd FROM trades.curated")
    with pytest.raises(UsageError, match="syntax error"):
        query(bench.lake, "SELEC 1")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO trades.curated SELECT * FROM trades.curated",
        "COPY (SELECT 1) TO '{warehouse}/x.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{warehouse}/x.csv'",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW trades.curated",
        "SET enable_external_access=true",
        "ATTACH '{warehouse}/x.db'",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_only_one_reading_statement_goes_through(bench: Bench, sql: str) -> None:
    bench.run("r1", trades(0, 10))
    before = sorted(bench.lake.root.rglob("*"))
    with pytest.raises(UsageError):
        query(bench.lake, sql.format(warehouse=bench.lake.warehouse))
    assert sorted(bench.lake.root.rglob("*")) == before


def test_other_files_stay_out_of_reach(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(UsageError, match="Permission") as caught:
        query(bench.lake, f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    assert "no other file" in caught.value.fix


@pytest.mark.parametrize("sql", ["DESCRIBE trades.curated", "SUMMARIZE trades.curated", "WITH x AS (SELECT 1) FROM x"])
def test_describing_is_reading(bench: Bench, sql: str) -> None:
    bench.run("r1", trades(0, 10))
    assert query(bench.lake, sql).num_rows >= 1


def test_a_lake_opened_read_only_can_be_asked(bench: Bench) -> None:
    bench.run("r1", trades(0, 10))
    assert one(Lake.open(bench.lake.root, read_only=True), "SELECT count(*) FROM trades.curated") == 10

"""`query`: tables, CSV, JSON, time travel, and what it refuses."""

from __future__ import annotations

import csv
import io

import pytest

from tapehouse.cli import exits

CURATED = "consolidated_trades.curated"


def test_json(call, lake):
    sql = f"select symbol, price, ts_event, _event_time from {CURATED} order by ts_event limit 2"
    done = call("query", sql, "--lake", lake, "--json")
    assert list(done.json) == ["columns", "row_count", "rows"]
    assert [column["name"] for column in done.json["columns"]] == ["symbol", "price", "ts_event", "_event_time"]
    row = done.json["rows"][0]
    assert isinstance(row["price"], str), "decimals are text, for JSON numbers round"
    assert row["_event_time"].endswith("+00:00")
    assert call("query", sql, "--lake", lake, "--format", "json").json == done.json


def test_csv_keeps_decimals_lists_and_bytes(program, lake):
    columns = "_raw, reasons, cast(1.50 as decimal(9, 2)) d, null n, 'a,b' t"
    sql = f"select {columns} from consolidated_trades.quarantine limit 3"
    done = program("query", sql, "--lake", lake, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert len(rows) == 3
    assert rows[0]["d"] == "1.50"
    assert rows[0]["t"] == "a,b"
    assert '"code"' in rows[0]["reasons"]


def test_a_table_is_cut_and_says_so(call, lake):
    done = call("query", f"select trade_id from {CURATED}", "--lake", lake, "--limit", "5")
    assert done.code == exits.OK
    assert "more rows" in done.err
    assert len([line for line in done.out.splitlines() if line.strip()]) == 7


def test_numbers_of_a_table_are_as_they_are(call, lake):
    assert "1709562600000000000" in call("query", "select 1709562600000000000 as t", "--lake", lake).out


def test_as_of_a_time_and_a_run(call, own_lake, contract, tape):
    first = call("runs", "list", "--lake", own_lake, "--json").json["runs"][0]["run_id"]
    sql = f"select count(*) n, count(distinct _knowledge_time) k, max(_knowledge_time) t from {CURATED}"
    then = call("query", sql, "--lake", own_lake, "--json").json["rows"][0]
    call("backfill", contract, "-r", tape / "ref.csv", "--lake", own_lake)
    now = call("query", sql, "--lake", own_lake, "--json").json["rows"][0]
    assert now["t"] > then["t"]
    assert call("query", sql, "--lake", own_lake, "--as-of", first, "--json").json["rows"][0] == then
    assert call("query", sql, "--lake", own_lake, "--as-of", "2000-01-01", "--json").json["rows"][0]["n"] == 0


@pytest.mark.parametrize(
    ("sql", "more", "said"),
    [
        ("select * from nowhere", (), CURATED),
        ("selec 1", (), "correct the SQL"),
        (f"delete from {CURATED}", (), "one SELECT"),
        ("select 1", ("--as-of", "yesterday"), "not a time"),
        ("select 1", ("--as-of", "20200101T000000000000Z-00000000"), "runs list"),
        ("select * from read_csv('/etc/passwd')", (), "no other file"),
    ],
)
def test_refused(call, lake, sql, more, said):
    done = call("query", sql, "--lake", lake, *more)
    assert (done.code, done.out) == (exits.USAGE, "")
    assert said in done.err

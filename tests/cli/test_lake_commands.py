"""`lake`: listings and upkeep change no row."""

from __future__ import annotations

import pytest

from tapehouse.cli import exits

COUNT = "select count(*) n, sum(price * size) v from consolidated_trades.curated"


def test_tables_and_usage(call, lake):
    tables = call("lake", "tables", "--lake", lake, "--json").json["tables"]
    assert {"consolidated_trades.curated", "tapehouse.runs"} <= {one["table"] for one in tables}
    assert set(tables[0]) == {"table", "rows", "files", "bytes", "snapshot", "columns"}
    usage = call("lake", "usage", "--lake", lake, "--json").json
    assert usage["raw_files"] >= 2
    assert usage["total_bytes"] > sum(one["bytes"] for one in tables)
    assert "consolidated_trades.curated" in call("lake", "tables", "--lake", lake).out
    assert "total" in call("lake", "usage", "--lake", lake).out


def test_snapshots(call, lake):
    rows = call("lake", "snapshots", "consolidated_trades.curated", "--lake", lake, "--json").json["snapshots"]
    assert len(rows) == 1
    run_id = call("runs", "list", "--lake", lake, "--json").json["runs"][0]["run_id"]
    assert rows[0]["run_id"] == run_id
    assert isinstance(rows[0]["snapshot"], str), "JSON numbers lose large integers"
    done = call("lake", "snapshots", "nope.nope", "--lake", lake)
    assert done.code == exits.USAGE
    assert "consolidated_trades.curated" in done.err


def test_compact_and_expire_keep_every_row(call, own_lake, contract, tape, tmp_path):
    more = tmp_path / "more"
    call("generate", "trades", "--rows", "1000", "--seed", "99", "--files", "1", "--faults", "none", "--out", more)
    done = call("run", contract, more / "trades_00.csv", "-r", more / "ref.csv", "-l", own_lake, "--json")
    assert done.code == exits.OK, done.out
    before = call("query", COUNT, "--lake", own_lake, "--json").json["rows"]
    compacted = call("lake", "compact", "--lake", own_lake, "--json").json["compacted"]
    curated = next(one for one in compacted if one["table"] == "consolidated_trades.curated")
    assert curated["files_before"] > curated["files_after"] > 0
    expired = call("lake", "expire", "--keep-last", "1", "--lake", own_lake, "--json").json["expired"]
    assert sum(one["files_removed"] for one in expired) > 0
    assert call("query", COUNT, "--lake", own_lake, "--json").json["rows"] == before
    assert call("verify", "--lake", own_lake).code == exits.OK


@pytest.mark.parametrize("words", [[], ["--older-than", "soon"], ["--older-than", "1y"]])
def test_expire_must_be_told_what(call, own_lake, words):
    done = call("lake", "expire", *words, "--lake", own_lake)
    assert done.code == exits.USAGE
    assert "fix:" in done.err


def test_orphans(call, own_lake):
    stray = own_lake / "warehouse" / "consolidated_trades" / "curated" / "data" / "stray.parquet"
    stray.write_bytes(b"x" * 10)
    spared = call("lake", "orphans", "--lake", own_lake, "--json").json
    assert spared == {"files": [], "bytes": 0, "removed": False}
    found = call("lake", "orphans", "--older-than", "0s", "--lake", own_lake, "--json").json
    assert found == {"files": [str(stray)], "bytes": 10, "removed": False}
    assert stray.exists()
    gone = call("lake", "orphans", "--older-than", "0s", "--remove", "--lake", own_lake, "--json").json
    assert gone == {"files": [str(stray)], "bytes": 10, "removed": True}
    assert not stray.exists()
    assert call("verify", "--lake", own_lake).code == exits.OK


def test_recover_has_nothing_to_do(call, own_lake):
    assert call("lake", "recover", "--lake", own_lake, "--json").json == {"finished": []}
    assert "nothing to finish" in call("lake", "recover", "--lake", own_lake).out


@pytest.mark.parametrize(
    "words",
    [
        "lake tables",
        "lake usage",
        "lake orphans",
        "lake recover",
        "lake compact",
        "runs list",
        "verify",
        "quarantine list",
    ],
)
def test_there_must_be_a_lake(call, tmp_path, words):
    done = call(*words.split(), "--lake", tmp_path / "none", "--json")
    assert (done.code, done.json["error"]["type"]) == (5, "LakeError")
    assert not (tmp_path / "none").exists()


def test_retain_tells_what_went(call, contract, own_lake):
    done = call("lake", "retain", contract, "--lake", own_lake, "--json")
    assert done.code == exits.OK
    assert done.json == {
        "expired": [],
        "protected": [],
        "rows": 0,
        "quarantine_rows": 0,
        "raw_batches": 0,
        "lineage_rows": 0,
    }
    assert "kept for open quarantine" in call("lake", "retain", contract, "--lake", own_lake).out

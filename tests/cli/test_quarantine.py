"""`quarantine`: looking, exporting, replaying, discarding."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tapehouse.cli import exits

NAME = "consolidated-trades"


def _id(row):
    return f"{row['_batch'][:12]}:{row['_row']}"


def test_list(call, lake):
    done = call("quarantine", "list", "--lake", lake, "--limit", "3", "--json")
    assert list(done.json) == ["total", "groups", "rows"]
    assert done.json["total"] > 3
    assert len(done.json["rows"]) == 3
    assert done.json["groups"]["price_band"] > 0
    one = call("quarantine", "list", "--lake", lake, "--rule", "late", "--contract", NAME, "--json").json
    assert one["total"] == done.json["groups"]["late"]
    assert all("late" in [reason["code"] for reason in row["reasons"]] for row in one["rows"])
    page = call("quarantine", "list", "--lake", lake, "--limit", "3").out
    assert f"{done.json['total']} open rows" in page
    assert _id(done.json["rows"][0]) in page


def test_list_of_an_unknown_contract(call, lake):
    done = call("quarantine", "list", "--lake", lake, "--contract", "other", "--json")
    assert done.code == exits.USAGE
    assert NAME in done.json["error"]["fix"]


def test_an_empty_lake_has_no_contract(call, tmp_path):
    from tapehouse import open_lake

    open_lake(tmp_path / "lake", create=True)
    done = call("quarantine", "list", "--lake", tmp_path / "lake")
    assert done.code == exits.USAGE
    assert "no batches yet" in done.err


def test_show_has_bytes_and_reasons(call, lake, tape):
    row = call("quarantine", "list", "--lake", lake, "--rule", "price_invalid", "--limit", "1", "--json").json["rows"][
        0
    ]
    shown = call("quarantine", "show", _id(row), "--lake", lake, "--json").json
    line = (tape / row["origin"].rpartition("/")[2]).read_bytes().splitlines()[row["_row"] + 1]
    assert shown["_raw"] == line.decode()
    reason = next(reason for reason in shown["reasons"] if reason["code"] == "price_invalid")
    assert reason["observed"] == shown["_raw"].split(",")[4]
    assert shown["_raw"] in call("quarantine", "show", _id(row), "--lake", lake).out


@pytest.mark.parametrize("text", ["x", "12:", "zzzz:1", "abcd:-1", "abcdef123456:999999999"])
def test_show_of_what_is_not_there(call, lake, text):
    done = call("quarantine", "show", text, "--lake", lake)
    assert done.code == exits.USAGE
    assert "quarantine list" in done.err


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ndjson"])
def test_export(call, lake, tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    total = call("quarantine", "list", "--lake", lake, "--json").json["total"]
    done = call("quarantine", "export", path, "--lake", lake, "--json")
    assert done.json == {"path": str(path), "rows": total}
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "ndjson": pl.read_ndjson}[suffix]
    assert read(path).height == total


@pytest.mark.parametrize("name", ["out.xlsx", "absent/out.csv"])
def test_export_to_where_it_cannot_go(call, lake, tmp_path, name):
    done = call("quarantine", "export", tmp_path / name, "--lake", lake)
    assert done.code == exits.USAGE
    assert "fix:" in done.err


def test_replay_after_a_fix_and_again(call, contract, own_lake, tape, tmp_path):
    refused = call("quarantine", "list", "--lake", own_lake, "--rule", "venue_unknown", "--json").json["total"]
    mended = tmp_path / "mended.yaml"
    lines = contract.read_text().splitlines(keepends=True)
    start = next(n for n, line in enumerate(lines) if "name: venue_unknown" in line)
    severity = next(n for n in range(start, len(lines)) if "severity: error" in lines[n])
    lines[severity] = lines[severity].replace("error", "warning")
    mended.write_text("".join(lines).replace("version: 1.0.0", "version: 2.0.0"))
    words = [
        "quarantine",
        "replay",
        mended,
        "--rule",
        "venue_unknown",
        "-r",
        tape / "ref.csv",
        "-l",
        own_lake,
        "--json",
    ]
    preview = call(*words, "--dry-run").json
    assert (preview["status"], preview["rows_in"]) == ("preview", refused)
    done = call(*words).json
    assert (done["kind"], done["status"]) == ("replay", "published")
    assert done["curated"] > 0
    assert preview["withheld"] >= done["curated"]
    assert preview["quarantined"] == done["quarantined"]
    left = call("quarantine", "list", "--lake", own_lake, "--rule", "venue_unknown", "--json").json["total"]
    assert left == refused - done["curated"] - done["duplicates"]
    again = call(*words).json
    assert (again["status"], again["curated"]) == ("nothing", 0)
    assert call("verify", "--lake", own_lake).code == exits.OK


def test_discard_needs_a_reason_and_keeps_the_row(call, own_lake):
    rows = call("quarantine", "list", "--lake", own_lake, "--limit", "2", "--json").json["rows"]
    ids = [_id(row) for row in rows]
    assert call("quarantine", "discard", *ids, "--lake", own_lake).code == exits.USAGE
    assert call("quarantine", "discard", *ids, "--why", " ", "--lake", own_lake).code == exits.USAGE
    before = call("quarantine", "list", "--lake", own_lake, "--json").json["total"]
    done = call("quarantine", "discard", *ids, "--why", "test prints", "--lake", own_lake, "--json")
    assert done.json == {"asked": 2, "discarded": 2}
    assert call("quarantine", "list", "--lake", own_lake, "--json").json["total"] == before - 2
    assert call("quarantine", "list", "--lake", own_lake, "--all", "--json").json["total"] == before
    shown = call("quarantine", "show", ids[0], "--lake", own_lake, "--json").json
    assert (shown["mark"], shown["why"]) == ("discarded", "test prints")
    assert call("verify", "--lake", own_lake).code == exits.OK
    assert json.loads(call("quarantine", "discard", ids[0], "--why", "x", "--lake", own_lake, "--json").out) == {
        "asked": 1,
        "discarded": 0,
    }

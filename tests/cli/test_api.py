"""The verbs from Python: friendly arguments, typed results, rows in every form."""

from __future__ import annotations

import threading
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

import tapehouse
from tapehouse import UsageError


def test_every_name_is_there():
    for name in tapehouse.__all__:
        assert getattr(tapehouse, name) is not None
    assert set(tapehouse.__all__) <= set(dir(tapehouse))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tapehouse.nonsense


@pytest.mark.parametrize("form", ["paths", "objects"])
def test_run_takes_paths_and_objects(contract, tape, tmp_path, form):
    terms, lake = (
        (str(contract), str(tmp_path / "lake"))
        if form == "paths"
        else (tapehouse.load_contract(contract), tapehouse.open_lake(tmp_path / "lake", create=True))
    )
    inputs = str(tape / "trades_*.csv") if form == "paths" else sorted(tape.glob("trades_*.csv"))
    references = tape / "ref.csv" if form == "paths" else {"symbols": tape / "ref.csv"}
    result = tapehouse.run(terms, inputs, lake=lake, references=references)
    assert isinstance(result, tapehouse.RunResult)
    assert result.status == tapehouse.Status.PUBLISHED
    rows = result.to_polars()
    assert isinstance(rows, pl.DataFrame)
    assert rows.height == result.proof.counts["curated"]
    assert isinstance(result.to_arrow(), pa.Table)
    assert len(result.to_pandas()) == rows.height
    assert "<table>" in result._repr_html_()
    assert "published" in str(result)


def test_query_gives_rows_in_every_form(lake):
    rows = tapehouse.query(lake, "select symbol, price from consolidated_trades.curated order by ts_event limit 3")
    assert isinstance(rows, tapehouse.Rows)
    assert (len(rows), rows.columns) == (3, ["symbol", "price"])
    assert rows.to_polars().height == rows.to_arrow().num_rows == len(rows.to_pandas()) == 3
    assert isinstance(rows.to_dicts()[0]["price"], Decimal)
    assert "<table" in rows._repr_html_()
    assert "symbol" in str(rows)


def test_quarantine_and_history(lake):
    listed = tapehouse.quarantine(lake, limit=5)
    assert listed.to_polars().height == 5
    assert listed.total == sum(run["quarantined"] for run in tapehouse.list_runs(lake))
    run_id = tapehouse.list_runs(lake, limit=1)[0]["run_id"]
    assert tapehouse.show_run(lake, run_id)["run_id"] == run_id


def test_verify(lake):
    report = tapehouse.verify(lake)
    assert isinstance(report, tapehouse.VerifyReport)
    assert (report.ok, report.batches, report.rows) == (True, 2, 4_000)


def test_one_reference_needs_no_name_and_none_that_is_unknown_is_taken(contract, tape, tmp_path):
    terms = tapehouse.load_contract(contract)
    from tapehouse.arguments import reference_paths

    assert reference_paths(terms, None) == {}
    assert reference_paths(terms, "x.csv") == reference_paths(terms, {"symbols": "x.csv"})
    with pytest.raises(UsageError, match="no reference table 'nope'"):
        reference_paths(terms, {"nope": "x.csv"})


def test_lint_and_diff(contract):
    assert isinstance(tapehouse.lint(contract), list)
    assert tapehouse.diff(contract, tapehouse.load_contract(contract)) == []


def test_generate_what_is_not_known(tmp_path):
    with pytest.raises(UsageError, match="'news'"):
        tapehouse.generate("news", tmp_path, rows=1)


def test_watch_until_told_to_stop(contract, tape, tmp_path):
    stop, seen = threading.Event(), []

    def took(result):
        seen.append(result)
        stop.set()

    tapehouse.watch(
        contract,
        tape_copy(tape, tmp_path / "landing"),
        lake=tmp_path / "lake",
        references=tape / "ref.csv",
        interval_seconds=0.05,
        stop=stop,
        on_result=took,
    )
    assert [result.rows_in for result in seen] == [4_000]


def tape_copy(tape, folder):
    folder.mkdir()
    for path in tape.glob("trades_*.csv"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_retain_takes_out_what_is_past_its_time(contract, own_lake, tmp_path):
    """The tape is of 2024: with a retention of a year its partitions go, except where rows wait in quarantine."""
    short = tmp_path / "short.yaml"
    text = contract.read_text()
    assert "property: retention, value: 7, unit: y" in text
    short.write_text(text.replace("property: retention, value: 7, unit: y", "property: retention, value: 1, unit: y"))
    done = tapehouse.retain(short, lake=own_lake)
    assert done.expired or done.protected
    assert tapehouse.verify(own_lake).ok

"""Rules on whole batches, in runs: against the lake's history, the clock, and totals in the file's name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tapehouse.runs.replay import backfill
from tapehouse.runs.result import Status

from .conftest import NewLake
from .support import replaced, rule, trade, write_csv


def batch(path: Path, first: int, count: int, *, size: str = "100", day: str = "2024-03-08") -> Path:
    return write_csv(path, [trade("14:50:00", first + n, size=size, day=day) for n in range(count)])


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_a_row_count_far_from_its_history(new_lake: NewLake, tmp_path: Path, severity: str) -> None:
    anomaly = rule(
        "row_count_odd", severity, "{rule: row_count_anomaly, low: 0.5, high: 2.0, minHistory: 3, window: 5}"
    )
    bench = new_lake(made=replaced(tmp_path, "made.yaml", {}, anomaly))
    for number in range(3):
        result = bench.run(batch(tmp_path / f"{number}.csv", number * 100, 10 + number))
        assert result.status == Status.PUBLISHED
        assert not result.notes
    assert bench.run(batch(tmp_path / "usual.csv", 1_000, 20)).status == Status.PUBLISHED
    odd = bench.run(batch(tmp_path / "odd.csv", 2_000, 5))
    said = odd.stopped_because if severity == "error" else odd.notes
    assert odd.status == (Status.STOPPED if severity == "error" else Status.PUBLISHED)
    assert len(said) == 1
    assert "row_count_odd" in said[0]
    assert "odd.csv" in said[0]
    assert "observed 5" in said[0]
    assert (odd.rules if severity == "error" else odd.warnings) == {"row_count_odd": 1}
    assert bench.rows("curated").height == 10 + 11 + 12 + 20 + (0 if severity == "error" else 5)
    bench.clean()
    again = backfill(bench.contract, lake=bench.lake, references=bench.references)
    assert again.status == Status.PUBLISHED


def test_a_batch_that_is_stale(new_lake: NewLake, tmp_path: Path) -> None:
    bench = new_lake(made=replaced(tmp_path, "made.yaml", {}, rule("stale", "error", "{rule: freshness, max: 3d}")))
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    assert bench.run(batch(tmp_path / "new.csv", 0, 5, day=str(yesterday))).status == Status.PUBLISHED
    old = bench.run(batch(tmp_path / "old.csv", 100, 5))
    assert old.status == Status.STOPPED
    assert "latest event at most 3d before landing" in old.stopped_because[0]


@pytest.mark.parametrize(
    ("name", "stops"), [("t_10_1000.csv", False), ("t_11_1000.csv", True), ("t_10_1001.csv", True)]
)
def test_totals_that_the_files_name_states(new_lake: NewLake, tmp_path: Path, name: str, stops: bool) -> None:
    totals = rule("totals_differ", "error", "{rule: control_total, rowsFrom: count, sumsFrom: {size: total}}")
    path = {"emptyIsNull: true}": "emptyIsNull: true, path: '_(?P<count>[0-9]+)_(?P<total>[0-9]+)[.]csv$'}"}
    bench = new_lake(made=replaced(tmp_path, "made.yaml", path, totals))
    result = bench.run(batch(tmp_path / name, 0, 10))
    assert (result.status == Status.STOPPED) == stops
    if stops:
        assert "rows=10, size=1000" in result.stopped_because[0]
        assert result.proof.closed


def test_one_odd_batch_stops_all_batches_of_its_run(new_lake: NewLake, tmp_path: Path) -> None:
    fixed = rule("ten_rows", "error", "{rule: control_total, rows: 10}")
    bench = new_lake(made=replaced(tmp_path, "made.yaml", {}, fixed))
    good, bad = batch(tmp_path / "a.csv", 0, 10), batch(tmp_path / "b.csv", 100, 9)
    assert bench.run(good, bad).status == Status.STOPPED
    assert bench.rows("curated").height == 0
    assert bench.run(good).status == Status.PUBLISHED
    bench.clean()

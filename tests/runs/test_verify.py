"""`verify` against real tampering: whatever is changed behind the lake's back must be found."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tapehouse.contracts.model import Contract
from tapehouse.runs.replay import backfill, replay
from tapehouse.runs.verify import VerifyReport, verify
from tapehouse.synthetic.truth import Generated

from .conftest import NewLake
from .support import Bench, replaced, trade, write_csv


@pytest.fixture
def published(bench: Bench, tape: Generated) -> Bench:
    bench.run(*tape.files)
    assert verify(bench.lake).ok
    return bench


def found(bench: Bench, *, deep: bool = False) -> VerifyReport:
    report = verify(bench.lake, deep=deep)
    assert not report.ok
    return report


FIRST = pl.int_range(pl.len()) == 0


@pytest.mark.parametrize(
    "change",
    [
        pl.when(FIRST).then(pl.col("size") + 1).otherwise(pl.col("size")).alias("size"),
        pl.when(FIRST).then(pl.col("ts_event") + 1).otherwise(pl.col("ts_event")).alias("ts_event"),
        pl.when(FIRST).then(pl.lit("XXXXXXX")).otherwise(pl.col("symbol")).alias("symbol"),
        pl.when(FIRST).then(None).otherwise(pl.col("side")).alias("side"),
        pl.col("size").shift(1, fill_value=pl.col("size").last()).alias("size"),
        pl.when(FIRST).then(pl.col("price") * 2).otherwise(pl.col("price")).cast(pl.Decimal(18, 6)).alias("price"),
    ],
    ids=["size", "time by 1 ns", "longer text", "text to null", "sizes rotated", "price"],
)
def test_a_changed_value(published: Bench, change: pl.Expr) -> None:
    published.rewrite("curated", change)
    assert any("curated values differ" in one.what for one in found(published).findings)


def test_a_text_changed_to_another_of_equal_length(published: Bench) -> None:
    published.rewrite("curated", pl.when(FIRST).then(pl.lit("ZZZZ")).otherwise(pl.col("venue")).alias("venue"))
    report = found(published, deep=True)
    assert any("curated" in one.what for one in report.findings)


@pytest.mark.parametrize("table", ["curated", "quarantine", "duplicates"])
def test_a_lost_row(published: Bench, table: str) -> None:
    published.rewrite(table, keep=~FIRST)
    report = found(published)
    assert any(one.what.startswith(f"{table} holds") for one in report.findings)
    assert "things do not hold" in str(report)
    assert report.as_dict()["ok"] is False


def test_a_copy_of_a_row_that_is_not_there(published: Bench) -> None:
    published.rewrite(
        "duplicates", pl.when(FIRST).then(pl.lit(10**6)).otherwise(pl.col("_kept_row")).alias("_kept_row")
    )
    assert any("copies of rows that are not curated" in one.what for one in found(published).findings)


def test_a_row_moved_to_another_record(published: Bench) -> None:
    published.rewrite(
        "curated", pl.when(FIRST).then(pl.col("_row").max() + 10**6).otherwise(pl.col("_row")).alias("_row")
    )
    found(published)


def test_a_row_that_lies_in_two_places(published: Bench) -> None:
    row = published.rows("quarantine").row(0, named=True)
    published.rewrite(
        "curated",
        [
            pl.when(FIRST).then(pl.lit(row["_batch"])).otherwise(pl.col("_batch").cast(pl.String)).alias("_batch"),
            pl.when(FIRST).then(pl.lit(row["_row"])).otherwise(pl.col("_row")).alias("_row"),
        ],
    )
    assert any("in two places" in one.what for one in found(published).findings)


def test_rows_of_a_batch_that_no_run_took(published: Bench) -> None:
    published.rewrite(
        "curated", pl.when(FIRST).then(pl.lit("ab" * 32)).otherwise(pl.col("_batch").cast(pl.String)).alias("_batch")
    )
    assert any("no published run names" in one.what for one in found(published).findings)


@pytest.mark.parametrize("how", ["changed", "removed", "cut"])
def test_landed_bytes(published: Bench, tape: Generated, how: str) -> None:
    path = published.lake.raw.path(published.lake.raw.digest(tape.files[1]))
    raw = path.read_bytes()
    path.chmod(0o644)
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(raw[:-10] if how == "cut" else raw.replace(b"XNAS", b"XNYS", 1))
    for deep in (False, True):
        report = found(published, deep=deep)
        assert [one.what for one in report.findings if "landed bytes are missing or changed" in one.what]


def test_quarantined_bytes(published: Bench) -> None:
    changed = pl.when(FIRST).then(pl.lit(b"something else")).otherwise(pl.col("_raw")).alias("_raw")
    published.rewrite("quarantine", changed)
    assert any("quarantine" in one.what for one in found(published, deep=True).findings)


@pytest.mark.parametrize("column", ["close", "volume", "vwap"])
def test_a_derived_value(published: Bench, column: str) -> None:
    kind = published.rows("bars_1m").schema[column]
    published.rewrite(
        "bars_1m", pl.when(FIRST).then(pl.col(column) * 2).otherwise(pl.col(column)).cast(kind).alias(column)
    )
    assert verify(published.lake).ok
    report = found(published, deep=True)
    assert ["bars_1m" in one.subject for one in report.findings] == [True]


def test_a_lost_bar(published: Bench) -> None:
    published.rewrite("bars_1m", keep=~FIRST)
    found(published, deep=True)


@pytest.mark.parametrize("table", ["curated", "quarantine", "duplicates"])
def test_a_data_file_that_is_gone(published: Bench, table: str) -> None:
    published.files(table)[0].path.unlink()
    assert any("missing" in one.what for one in found(published).findings)


def test_a_data_file_that_is_no_longer_one(published: Bench) -> None:
    path: Path = published.files("curated")[0].path
    path.chmod(0o644)
    path.write_bytes(b"not a table")
    assert any("read" in one.what for one in found(published).findings)


def test_one_contract_of_several(new_lake: NewLake, tmp_path: Path, tape: Generated) -> None:
    other: Contract = replaced(tmp_path, "other.yaml", {"name: consolidated-trades  ": "name: other-trades  "})
    bench = new_lake()
    bench.run(tape.files[0])
    second = Bench(bench.lake, other, bench.references)
    second.run(tape.files[0])
    assert second.rows("curated").equals(bench.rows("curated"))
    second.rewrite("curated", keep=~FIRST)
    assert verify(bench.lake, contract="consolidated-trades").ok
    report = verify(bench.lake, contract="other-trades")
    assert not report.ok
    assert {one.contract for one in found(bench).findings} == {"other-trades"}
    assert verify(bench.lake).batches == 2


def test_an_empty_lake_has_nothing_to_verify(bench: Bench) -> None:
    report = verify(bench.lake, deep=True)
    assert report.ok
    assert (report.batches, report.rows) == (0, 0)


def test_accounts_hold_after_runs_replays_and_backfills_in_any_order(
    bench: Bench, tape: Generated, tmp_path: Path
) -> None:
    relaxed = replaced(
        tmp_path,
        "relaxed.yaml",
        {'max: "20%"': 'max: "900%"', "{rule: lateness, max: 1h}": "{rule: lateness, max: 9h}"},
    )
    references = bench.references
    bench.run(tape.files[2])
    replay(relaxed, lake=bench.lake, references=references)
    bench.run(tape.files[0])
    backfill(bench.contract, lake=bench.lake, references=references, batches=[bench.lake.raw.digest(tape.files[2])])
    bench.run(tape.files[1], contract=relaxed)
    replay(relaxed, lake=bench.lake, references=references)
    bench.run(write_csv(tmp_path / "more.csv", [trade("16:00:00", n) for n in range(5)]))
    bench.clean()

"""`tapehouse check` on real lakes: what a run made is sound, what was tampered with is found, by both engines alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from typer.testing import CliRunner

import tapehouse
from tapehouse.cli.main import app
from tapehouse.lake.files import write
from tapehouse.lake.home import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "contracts" / "consolidated-trades.yaml"
HEADER = "ts_event,ts_recv,symbol,venue,price,size,trade_id,sequence,conditions,side"
FIRST = "    quality:\n      - name: recv_before_event"
BOTH = ["duckdb", pytest.param("spark", marks=pytest.mark.xdist_group("spark"))]


def contract_with(folder: Path, *rules: str) -> Path:
    """The example contract with more rules on the whole table."""
    text = EXAMPLE.read_text(encoding="utf-8")
    assert FIRST in text
    more = "".join(f"      - {{{rule}, type: custom, engine: tapehouse}}\n" for rule in rules)
    path = folder / "contract.yaml"
    path.write_text(text.replace(FIRST, FIRST.replace("quality:\n", "quality:\n" + more), 1), encoding="utf-8")
    return path


def warning(name: str, implementation: str) -> str:
    return f"name: {name}, severity: warning, implementation: {implementation}"


WINDOWS = (
    warning("back_in_time", "{rule: monotonic, column: ts_event, by: [venue]}"),
    warning("trade_id_again", "{rule: unique, columns: [venue, trade_id]}"),
    warning("few_rows", "{rule: row_count_anomaly}"),
)


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files with faults and one, `clean.csv`, without."""
    folder = tmp_path_factory.mktemp("tape")
    tapehouse.generate("trades", folder, rows=2_000, seed=11, files=2)
    symbol, price = (folder / "ref.csv").read_text().splitlines()[1].split(",")
    opening_ns = 1_709_908_200 * 10**9  # 2024-03-08T14:30:00Z
    lines = [
        f"2024-03-08T14:30:{at:02}Z,{opening_ns + at * 10**9 + 500},{symbol},XNAS,{price},100,c{at},{at},@,B"
        for at in range(30)
    ]
    (folder / "clean.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return folder


def made(tape: Path, root: Path, contract: Path, pattern: str = "*_*.csv") -> Path:
    result = tapehouse.run(contract, tape / pattern, lake=root, references=tape / "ref.csv")
    assert result.status == "published"
    return root


def tamper(root: Path, name: str, change: pl.Expr) -> int:
    """Rewrite the first file of a table with other values; how many rows of it differ."""
    table = Lake.open(root).table("consolidated_trades", name)
    assert table is not None
    path = table.files()[0].path
    rows = pl.read_parquet(path)
    changed = rows.with_columns(change)
    path.chmod(0o644)
    write(changed, path, table.schema)
    return int((rows.hash_rows() != changed.hash_rows()).sum())


def by_code(report: Any) -> Mapping[str, Any]:
    return {rule.code: rule for rule in report.rules}


@pytest.mark.parametrize("engine", BOTH)
def test_a_table_that_a_run_made_breaks_no_rule(
    tape: Path, tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "spark":
        request.getfixturevalue("spark")
    contract = contract_with(tmp_path, *WINDOWS)
    lake = made(tape, tmp_path / "lake", contract)
    report = tapehouse.check(contract, lake=lake, references=tape / "ref.csv", engine=engine)
    assert report.ok
    assert report.rows == len(tapehouse.query(lake, "select * from consolidated_trades.curated")) > 1_000
    rules = by_code(report)
    # Rows of both batches went to quarantine, so what compares rows cannot be known, and is not said to hold.
    for code in ("back_in_time", "trade_id_again"):
        assert rules[code].rows == 0
        assert f"{report.rows} rows" in rules[code].not_checked
    assert "when it arrives" in rules["few_rows"].not_checked
    assert {rule.code for rule in report.not_checked} == {"back_in_time", "trade_id_again", "few_rows"}
    assert all(rule.rows == report.rows and not rule.broken for rule in report.rules if not rule.not_checked)


def test_engines_count_what_was_tampered_with_alike(tape: Path, tmp_path: Path, spark: SparkSession) -> None:
    del spark
    contract = contract_with(tmp_path, *WINDOWS)
    lake = made(tape, tmp_path / "lake", contract)
    made(tape, lake, contract, "clean.csv")
    lowered = pl.when(pl.int_range(pl.len()) < 7).then(-pl.col("price")).otherwise("price").alias("price")
    assert tamper(lake, "curated", lowered) == 7
    reports = [
        tapehouse.check(contract, lake=lake, references=tape / "ref.csv", engine=engine, limit=3)
        for engine in ("duckdb", "spark")
    ]
    one, other = ({**report.as_dict(), "engine": ""} for report in reports)
    assert one == other
    rules = by_code(reports[0])
    assert not reports[0].ok
    assert rules["price_not_positive"].broken == 7
    assert len(rules["price_not_positive"].first) == 3
    assert rules["price_not_positive"].first[0].observed.startswith("-")
    assert set(rules["price_not_positive"].first[0].identity) == {"_batch", "_row"}
    # The clean batch is whole: there, and only there, rows are compared.
    assert rules["trade_id_again"].rows == 30
    assert rules["trade_id_again"].not_checked


def call(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout + done.stderr


def test_the_program_says_what_is_broken_and_ends_with_1(tape: Path, tmp_path: Path) -> None:
    lake = made(tape, tmp_path / "lake", EXAMPLE)
    common = ("check", "consolidated_trades.curated", "-f", EXAMPLE, "--lake", lake, "-r", tape / "ref.csv")
    assert call(*common)[0] == 0
    runs = tapehouse.list_runs(lake)
    tamper(lake, "curated", pl.lit("XXXX").alias("venue"))
    code, out = call(*common, "--limit", 2)
    assert code == 1
    assert out.count("observed XXXX") == 2
    assert "1 broken, 0 not checked (duckdb)" in out
    code, out = call(*common, "--json", "--as-of", runs[0]["run_id"])
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert [rule["code"] for rule in found["rules"] if rule["broken"]] == ["venue_unknown"]
    assert call(*common, "--as-of", "2000-01-01")[1].count("there are no rows") == 16


def test_a_warning_alone_is_no_failure(tape: Path, tmp_path: Path) -> None:
    contract = contract_with(tmp_path, warning("round_lot", "{rule: expression, broken: 'size % 100 != 0'}"))
    lake = made(tape, tmp_path / "lake", contract)
    code, out = call("check", "-f", contract, "--lake", lake, "-r", tape / "ref.csv", "--json")
    flagged = tapehouse.query(lake, "select * from consolidated_trades.curated where _flags <> 0")
    assert code == 0
    assert by_code_json(out)["round_lot"]["broken"] == len(flagged) > 0


def by_code_json(out: str) -> dict[str, Any]:
    return {rule["code"]: rule for rule in json.loads(out)["rules"]}


def test_without_its_reference_table_a_rule_is_not_checked(tape: Path, tmp_path: Path) -> None:
    lake = made(tape, tmp_path / "lake", EXAMPLE)
    code, out = call("check", "-f", EXAMPLE, "--lake", lake, "--json")
    unchecked = {name: rule["not_checked"] for name, rule in by_code_json(out).items() if rule["not_checked"]}
    assert code == 0
    assert unchecked == dict.fromkeys(("symbol_unknown", "price_band"), "reference table symbols is not given")


@pytest.mark.parametrize("engine", BOTH)
def test_files_from_elsewhere(tape: Path, tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> None:
    if engine == "spark":
        request.getfixturevalue("spark")
    contract = contract_with(tmp_path, *WINDOWS[:1])
    folder = tmp_path / "ex[po]rt"
    folder.mkdir()
    size = pl.Series("size", [1, 0, None], dtype=pl.Int32)
    rows = pl.DataFrame({"trade_id": ["a", "b", "c"], "price": [1.0, 2.0, 3.0], "VENUE": "XNAS"}).with_columns(size)
    rows.write_parquet(folder / "one.parquet")
    rows.drop("size").write_parquet(folder / "other.parquet")
    report = tapehouse.check(contract, folder, engine=engine)
    rules = by_code(report)
    assert report.rows == 6
    assert (rules["size_not_positive"].broken, rules["size_missing"].broken) == (1, 4)
    # Without a batch and a place in it a row is told by the contract's key, as far as it is there.
    assert [row.identity for row in rules["size_not_positive"].first] == [{"trade_id": "b"}]
    assert rules["price_not_positive"].not_checked == "column price is double in the table, which is no decimal"
    assert rules["venue_unknown"].not_checked == "the table has no column venue"
    assert "no `_batch` and `_row`" in rules["back_in_time"].not_checked


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.curated",), "has no table nowhere.curated"),
        (("nowhere/*.parquet",), "names no file"),
        (("--engine", "sqlite"), "no engine 'sqlite'"),
        (("--master", "local[1]"), "the engine is duckdb"),
        (("-r", "other=ref.csv"), "no reference table 'other'"),
        (("--as-of", "yesterday"), "is not a time"),
        (("text.parquet",), "is no Parquet file"),
        (("data.parquet", "--as-of", "2024-01-01"), "files have no past"),
    ],
)
def test_usage_errors_end_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Lake.open(tmp_path / "lake", create=True)
    Path("text.parquet").write_text("no Parquet")
    code, out = call("check", *words, "-f", EXAMPLE, "--lake", tmp_path / "lake")
    assert (code, message in out) == (2, True), out

"""`generate`, `run`, `score`: every injected fault is found, and nothing else."""

from __future__ import annotations

import pytest

from tapehouse.cli import exits


def test_generate_run_score(program, contract, tmp_path):
    out, lake = tmp_path / "data", tmp_path / "lake"
    made = program("generate", "trades", "--rows", "5000", "--seed", "4", "--files", "3", "--out", out, "--json")
    assert made.code == exits.OK
    assert set(made.json) == {"files", "reference", "truth", "rows", "bytes", "faults"}
    assert len(made.json["files"]) == 3
    files = made.json["files"]
    assert program("run", contract, *files, "-r", made.json["reference"], "-l", lake).code == exits.OK
    done = program("score", contract, made.json["truth"], "--lake", lake, "--json")
    assert done.code == exits.OK, done.out
    assert done.json["perfect"] is True
    total = done.json["total"]
    assert (total["precision"], total["recall"]) == (1.0, 1.0)
    assert total["expected"] >= sum(made.json["faults"].values())


def test_a_miss_is_told(call, contract, tape, lake, tmp_path):
    """Scored against a truth that says more than there was."""
    import polars as pl

    truth = pl.read_parquet(tape / "truth.parquet")
    more = truth.head(1).with_columns(row=pl.lit(0, dtype=pl.Int64), codes=pl.lit(pl.Series([["late"]])).first())
    folder = tmp_path / "truth.parquet"
    pl.concat([truth, more]).write_parquet(folder)
    done = call("score", contract, folder, "--lake", lake, "--json")
    assert done.code == exits.FINDINGS
    assert (done.json["wrong_rows"], done.json["wrong"][0]["error"]) == (1, "missed")
    assert "missed" in call("score", contract, folder, "--lake", lake).out


def test_generate_is_the_same_for_the_same_seed(call, tmp_path):
    for name in ("a", "b"):
        call("generate", "quotes", "--rows", "800", "--seed", "2", "--files", "2", "--out", tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "a").glob("*.csv"))
    assert names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    "more", [["--faults", "nonsense"], ["--faults", "late=2"], ["--date", "2024-03-03"], ["--files", "99"]]
)
def test_generate_what_makes_no_sense(call, tmp_path, more):
    done = call("generate", "trades", "--rows", "50", "--out", tmp_path / "x", *more)
    assert (done.code, done.out) == (exits.USAGE, "")
    assert "fix:" in done.err


def test_score_without_a_truth(call, contract, lake, tmp_path):
    assert call("score", contract, tmp_path / "none.parquet", "--lake", lake).code == exits.USAGE

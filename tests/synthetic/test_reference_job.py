"""The peers of the benchmark do the same job, and the comparison sees where an output differs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from tapehouse.synthetic.faults import TRADE_FAULTS
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import read_truth

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ROWS = 20_000


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


compare = module("compare")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    source = tmp_path_factory.mktemp("source")
    faults = {name: 0.004 for name in TRADE_FAULTS if not name.startswith("malformed")}
    made = generate_trades(source, rows=ROWS, seed=11, faults=faults)
    truth = read_truth(made.truth)
    expected = {"quarantined": truth.filter(pl.col("kind") != "duplicate").height, "duplicates": 80, "rows_in": ROWS}
    results = {}
    for tool in ("duckdb", "polars", "pandas"):
        out = tmp_path_factory.mktemp("out") / tool
        script = str(BENCHMARKS / "reference_job" / f"{tool}_job.py")
        done = subprocess.run([sys.executable, script, str(source), str(out)], capture_output=True, check=True)
        results[tool] = (out, json.loads(done.stdout))
        assert {name: results[tool][1][name] for name in expected} == expected
    return results


def test_peers_agree(outputs: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    first, *others = (compare.plain_output(*output) for output in outputs.values())
    assert sum(count for count, _ in first.curated.values()) == first.counts["curated"]
    assert [compare.differences(first, other) for other in others] == [[], []]


def _unsort(out: Path) -> None:
    path = sorted(out.glob("curated/*/*.parquet"))[0]
    pl.read_parquet(path, hive_partitioning=False).reverse().write_parquet(path)


def _change_one_price(out: Path) -> None:
    path = sorted(out.glob("curated/*/*.parquet"))[2]
    rows = pl.read_parquet(path, hive_partitioning=False).with_row_index()
    price = pl.when(pl.col("index") == 7).then(pl.col("price") + pl.lit("0.000001").cast(pl.Decimal(18, 6)))
    rows.with_columns(price.otherwise("price").cast(pl.Decimal(18, 6)).alias("price")).write_parquet(path)


def _drop_a_reason(out: Path) -> None:
    rows = pl.read_parquet(out / "quarantine.parquet")
    rows.with_columns(pl.col("reasons").list.head(1)).write_parquet(out / "quarantine.parquet")


def _move_a_bar(out: Path) -> None:
    bars = pl.read_parquet(out / "bars.parquet")
    bars.with_columns(pl.col("vwap") * (1 + 1e-8)).write_parquet(out / "bars.parquet")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_unsort, "not sorted by symbol, ts_event"),
        (_change_one_price, "curated rows"),
        (_drop_a_reason, "quarantine reasons"),
        (_move_a_bar, "VWAP differs"),
    ],
)
def test_a_spoiled_output_is_seen(
    outputs: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    import shutil

    out, counts = outputs["polars"]
    shutil.copytree(out, tmp_path / "copy")
    spoil(tmp_path / "copy")
    found = compare.differences(compare.plain_output(out, counts), compare.plain_output(tmp_path / "copy", counts))
    assert found
    assert all(words in text for text in found)


def test_different_counts_are_seen(outputs: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    right = compare.plain_output(*outputs["polars"])
    wrong = replace(right, counts=right.counts | {"duplicates": 79})
    assert compare.differences(right, wrong) == ["counts: duplicates: 80 against 79"]

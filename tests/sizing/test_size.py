"""The arithmetic of sizing, and that it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tapehouse.cli.main import app
from tapehouse.errors import UsageError
from tapehouse.sizing.measure import Measured, measure
from tapehouse.sizing.model import Assumptions, parse_volume, size

HERE = Measured(
    engine="embedded",
    cpu_seconds_per_byte=1 / 50e6,
    lake_bytes_per_byte=0.4,
    bytes_per_row=100.0,
    memory_per_byte=2.5,
    base_memory_bytes=300_000_000,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("50TB/day", 50e12),
        ("2 GB/hour", 48e9),
        ("600MB/s", 600e6 * 86_400),
        ("1.5TiB/d", 1.5 * 2**40),
        ("1kb/h", 24_000),
    ],
)
def test_volumes(text: str, wanted: float) -> None:
    assert parse_volume(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "50TB", "TB/day", "-1GB/day", "5 apples/day", "5GB/month", "5GB/day/day"])
def test_no_volumes(text: str) -> None:
    with pytest.raises(UsageError, match="is no volume"):
        parse_volume(text)


def test_fifty_terabytes_by_hand() -> None:
    found = size(50e12, HERE, Assumptions(peak=4, utilisation=0.5, engine_factor=2, cores_per_executor=5))
    # 50e12 / 86400 x 4 = 2314.8 MB/s; a core takes 50 / 2 = 25 MB/s; 2314.8 / (25 x 0.5) = 185.2 cores.
    assert found.value("peak input") == pytest.approx(2314.8, rel=1e-4)
    assert found.value("cores") == 186
    assert found.value("executors") == 38
    assert found.value("batches") == 195_313
    assert found.value("rows") == pytest.approx(5e11)
    assert found.value("data files") == 62_500
    assert found.value("size of a data file") == pytest.approx(320)
    assert found.value("input of a partition") == pytest.approx(8333.3, rel=1e-4)
    assert "part the stream into" in found.warnings[0]


@given(
    volume=st.floats(1e6, 1e15),
    more=st.floats(1, 10),
    peak=st.floats(1, 10),
    utilisation=st.floats(0.05, 1),
)
def test_more_never_takes_less(volume: float, more: float, peak: float, utilisation: float) -> None:
    given = Assumptions(peak=peak, utilisation=utilisation)
    one, other = size(volume, HERE, given), size(volume * more, HERE, given)
    for name in ("cores", "executors", "batches", "data files", "lake growth"):
        assert other.value(name) >= one.value(name)
    busier = size(volume, HERE, replace(given, utilisation=min(1.0, utilisation * more)))
    assert busier.value("cores") <= one.value("cores")
    # Enough cores are bought to take the busiest hour at that utilisation, and not one more.
    taken = one.value("input of a core") * utilisation
    assert (one.value("cores") - 1) * taken < one.value("peak input") <= one.value("cores") * taken * (1 + 1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"peak": 0.5},
        {"utilisation": 0.0},
        {"utilisation": 1.5},
        {"engine_factor": 0.0},
        {"batch_bytes": 0},
        {"task_memory_bytes": 2e8},
    ],
)
def test_assumptions_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        size(1e9, HERE, Assumptions(**wrong))  # type: ignore[arg-type]


def test_the_command_shows_every_number_with_its_arithmetic(tmp_path: Path) -> None:
    kept = tmp_path / "here.json"
    HERE.save(kept)
    shown = CliRunner().invoke(app, ["size", "--volume", "50TB/day", "--peak", "4", "--measured", str(kept)])
    assert shown.exit_code == 0, shown.output
    for text in ("cores", "average x peak 4", "measured 50.0 MB/s (embedded) / engine factor", "a day", "heed:"):
        assert text in shown.output
    told = CliRunner().invoke(app, ["size", "--volume", "1GB/day", "--measured", str(kept), "--json"])
    document = json.loads(told.stdout)
    assert {one["name"] for one in document["results"]} >= {"cores", "data files", "partitions"}
    assert document["measured"]["bytes_per_row"] == 100.0
    assert document["warnings"] == []


def test_a_measurement_that_cannot_be_read(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"engine": "x"}')
    for path, said in ((tmp_path / "absent.json", "cannot be read"), (wrong, "is no measurement")):
        done = CliRunner().invoke(app, ["size", "--volume", "1GB/day", "--measured", str(path)])
        assert done.exit_code == 2
        assert said in done.output


def test_this_machine_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the real job in processes of its own; the sizes are small here, so only what it is made of is checked."""
    monkeypatch.setattr("tapehouse.sizing.measure.ROWS", (20_000, 200_000))
    found = measure()
    assert 60 < found.bytes_per_row < 130
    assert 0.1 < found.lake_bytes_per_byte < 2
    assert 0 < found.cpu_seconds_per_byte < 1e-5
    assert found.base_memory_bytes > 50_000_000
    found.save(tmp_path / "x.json")
    assert Measured.load(tmp_path / "x.json") == found

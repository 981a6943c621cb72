"""Parquet: physical types to canonical values, exactly or refused; and files that do not match the contract."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapehouse.contracts.model import Column, Grammar, Kind
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource

from .helpers import column, contract, decimal, failed_of, frame_of, integer, raw_of, slices_of, text


def written(folder: Path, table: pa.Table, **options: object) -> BatchSource:
    path = folder / "batch.parquet"
    pq.write_table(table, path, **options)
    return BatchSource(path, "0" * 64, path.name, path.stat().st_size)


def time(name: str, grammar: Grammar = Grammar.ISO8601, **facts: str) -> Column:
    return column(name, Kind.TIMESTAMP, grammar, **facts)


NOON = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
NOON_NS = 1_719_835_200 * 10**9
D = Decimal
CASES: list[tuple[str, Column, pa.Array, list[object], list[bool]]] = [
    ("int32", integer("x"), pa.array([1, None], pa.int32()), [1, None], [False, False]),
    ("uint64", integer("x"), pa.array([1, 2**63], pa.uint64()), [1, None], [False, True]),
    ("float to integer", integer("x"), pa.array([3.0, 3.5, None, float("nan")]), [3, None, None, None], [0, 1, 0, 1]),
    ("decimal", decimal("x", scale=4), pa.array([D("1.10"), D("-2.25")], pa.decimal128(9, 2)), [11000, -22500], [0, 0]),
    ("decimal too fine", decimal("x", scale=1), pa.array([D("1.10"), D("2.25")]), [11, None], [0, 1]),
    ("decimal256", decimal("x", scale=0), pa.array([D(1), D(10**18)], pa.decimal128(38, 0)), [1, None], [0, 1]),
    (
        "float to decimal",
        decimal("x", scale=2),
        pa.array([1.1, 1.15, 1.155, 1e17]),
        [110, 115, None, None],
        [0, 0, 1, 1],
    ),
    ("float32", decimal("x", scale=2), pa.array([1.1, 0.125], pa.float32()), [110, None], [0, 1]),
    ("scaled", column("x", Kind.DECIMAL, Grammar.SCALED, scale=6, source_scale=4), pa.array([12]), [1200], [0]),
    ("whole", decimal("x", scale=2), pa.array([12]), [1200], [0]),
    ("text decimal", decimal("x", scale=2), pa.array(["1.10"]), ["1.10"], [0]),
    ("double", column("x", Kind.DOUBLE, Grammar.DOUBLE), pa.array([1, 2**53 + 1]), [1.0, None], [0, 1]),
    ("text", text("x"), pa.array(["a", "", None]).dictionary_encode(), ["a", None, None], [0, 0, 0]),
    ("bytes", text("x"), pa.array([b"a", b"\xff"]), ["a", None], [0, 1]),
    ("number as text", text("x"), pa.array([7]), ["7"], [0]),
    ("boolean", column("x", Kind.BOOLEAN, Grammar.BOOLEAN), pa.array([True, None]), [True, None], [0, 0]),
    ("us", time("x"), pa.array([NOON], pa.timestamp("us", "UTC")), [NOON_NS], [0]),
    ("ns", time("x"), pa.array([NOON_NS + 1], pa.timestamp("ns")), [NOON_NS + 1], [0]),
    ("zone", time("x"), pa.array([NOON], pa.timestamp("ms", "America/New_York")), [NOON_NS], [0]),
    (
        "local",
        time("x", zone="America/New_York"),
        pa.array([dt.datetime(2024, 7, 1, 8), dt.datetime(2024, 3, 10, 2, 30)], pa.timestamp("us")),
        [NOON_NS, None],
        [0, 1],
    ),
    ("far", time("x"), pa.array([10**17, 0], pa.timestamp("us", "UTC")), [None, 0], [1, 0]),
    ("epoch", time("x", Grammar.EPOCH_MS), pa.array([5, 10**15]), [5_000_000, None], [0, 1]),
    ("date", column("x", Kind.DATE, Grammar.DATE), pa.array([dt.date(2024, 7, 1)]), [dt.date(2024, 7, 1)], [0]),
    ("nothing", integer("x"), pa.nulls(2), [None, None], [0, 0]),
]


@pytest.mark.parametrize(("_", "what", "array", "values", "refused"), CASES, ids=[case[0] for case in CASES])
def test_types(
    tmp_path: Path, _: str, what: Column, array: pa.Array, values: list[object], refused: list[bool]
) -> None:
    parts = slices_of(contract([what], format="parquet"), written(tmp_path, pa.table({"x": array})))
    assert frame_of(parts)["x"].to_list() == values
    assert failed_of(parts, "x") == [bool(flag) for flag in refused]


@pytest.mark.parametrize(
    ("what", "array"),
    [
        (integer("x"), pa.array([True])),
        (integer("x"), pa.array([NOON], pa.timestamp("us", "UTC"))),
        (decimal("x"), pa.array([[1]])),
        (text("x"), pa.array([1.5])),
        (time("x"), pa.array([1])),
        (time("x"), pa.array([dt.date(2024, 7, 1)])),
        (column("x", Kind.DATE, Grammar.DATE), pa.array([NOON], pa.timestamp("us", "UTC"))),
        (column("x", Kind.BOOLEAN, Grammar.BOOLEAN), pa.array([1])),
        (column("x", Kind.DOUBLE, Grammar.DOUBLE), pa.array([True])),
    ],
)
def test_a_changed_type_is_refused_with_a_way_out(tmp_path: Path, what: Column, array: pa.Array) -> None:
    with pytest.raises(FeedError, match="in the contract, but") as caught:
        slices_of(contract([what], format="parquet"), written(tmp_path, pa.table({"x": array})))
    assert "change the column in the contract" in caught.value.fix


def test_slices_follow_row_groups_and_raw_is_the_row(tmp_path: Path) -> None:
    table = pa.table({"n": range(5000), "s": [f"text {n}" for n in range(5000)], "d": [D(n) / 10 for n in range(5000)]})
    what = contract([text("s"), integer("n"), decimal("d", scale=2)], format="parquet")
    parts = slices_of(what, written(tmp_path, table, row_group_size=700), 1 << 14)
    assert len(parts) > 3
    assert frame_of(parts)["n"].to_list() == list(range(5000))
    records = raw_of(parts)
    assert json.loads(records[4321].raw) == {"n": 4321, "s": "text 4321", "d": "432.1"}
    assert records[4321].offset == 4321


def test_columns_must_match(tmp_path: Path) -> None:
    source = written(tmp_path, pa.table({"n": [1], "extra": [[1]]}))
    with pytest.raises(FeedError, match="does not know: extra"):
        slices_of(contract([integer("n")], format="parquet"), source)
    assert frame_of(slices_of(contract([integer("n")], format="parquet", extra_columns="ignore"), source)).height == 1
    with pytest.raises(FeedError, match="lacks m; found: n, extra"):
        slices_of(contract([integer("n"), integer("m")], format="parquet"), source)


def test_path_columns(tmp_path: Path) -> None:
    what = contract([integer("n"), text("day", source="path:day")], format="parquet", path=r"(?P<day>b\w+)\.parquet")
    assert frame_of(slices_of(what, written(tmp_path, pa.table({"n": [1, 2]})))).rows() == [(1, "batch"), (2, "batch")]


@pytest.mark.parametrize("cut", [1, 100, 10_000])
def test_truncated_or_not_parquet(tmp_path: Path, cut: int) -> None:
    source = written(tmp_path, pa.table({"n": range(10_000)}))
    data = source.path.read_bytes()
    source.path.write_bytes(data[:-cut])
    with pytest.raises(FeedError, match="not a whole Parquet file") as caught:
        slices_of(contract([integer("n")], format="parquet"), source)
    assert "again" in caught.value.fix
    missing = BatchSource(tmp_path / "absent", "", "absent", 0)
    with pytest.raises(FeedError, match="cannot be opened"):
        slices_of(contract([integer("n")], format="parquet"), missing)


def test_damaged_pages(tmp_path: Path) -> None:
    source = written(tmp_path, pa.table({"n": range(10_000)}), compression="zstd", use_dictionary=False)
    data = bytearray(source.path.read_bytes())
    data[50:2000] = bytes(1950)
    source.path.write_bytes(data)
    with pytest.raises(FeedError):
        slices_of(contract([integer("n")], format="parquet"), source)


def test_an_empty_file_has_no_slices(tmp_path: Path) -> None:
    source = written(tmp_path, pa.table({"n": pa.array([], pa.int64())}))
    assert slices_of(contract([integer("n")], format="parquet"), source) == []

"""Parquet as the lake writes it, and its way back into the kernel's forms."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake.files import scaled_to_decimal, stage_rows, write
from tapehouse.lake.home import Lake
from tapehouse.lake.read import read_curated, scan
from tapehouse.lake.spec import TableSpec

from .support import START, TRADES, Bench, trades

LIMIT = 10**18 - 1


@given(st.lists(st.none() | st.integers(-LIMIT, LIMIT)), st.integers(0, 18))
def test_scaled_integers_become_the_same_decimals(values: list[int | None], scale: int) -> None:
    made = scaled_to_decimal(pl.Series("x", values, pl.Int64), scale)
    assert made.dtype == pl.Decimal(18, scale)
    assert made.name == "x"
    wanted = [None if value is None else Decimal(value).scaleb(-scale) for value in values]
    assert made.to_list() == wanted


@pytest.mark.parametrize("value", [LIMIT + 1, -LIMIT - 1])
def test_numbers_beyond_the_decimal_are_refused(value: int) -> None:
    with pytest.raises(LakeError, match=str(value)):
        scaled_to_decimal(pl.Series("x", [0, value]), 6)
    with pytest.raises(LakeError, match="not scaled Int64"):
        scaled_to_decimal(pl.Series("x", [0.5]), 6)


def test_files_use_encodings_every_reader_knows(tmp_path: Path) -> None:
    rows = trades(0, 300_000).with_columns(pl.col("symbol").cast(pl.Categorical))
    write(rows, tmp_path / "a.parquet", TRADES.schema, row_group_rows=100_000)
    footer = pq.read_metadata(tmp_path / "a.parquet")
    assert footer.num_row_groups == 3
    chunks = [footer.row_group(g).column(c) for g in range(3) for c in range(4)]
    assert {chunk.compression for chunk in chunks} <= {"ZSTD", "UNCOMPRESSED"}
    assert {encoding for chunk in chunks for encoding in chunk.encodings} <= {"PLAIN", "RLE", "RLE_DICTIONARY"}
    assert all(chunk.statistics.has_min_max and chunk.statistics.has_null_count for chunk in chunks)
    required = {footer.schema.column(i).name: footer.schema.column(i).max_definition_level for i in range(4)}
    assert required == {"trade_id": 0, "symbol": 0, "price": 1, "_event_time": 0}


def test_categories_are_written_as_plain_text(tmp_path: Path) -> None:
    rows = trades(0, 10)
    for name, kind in (("text", pl.String), ("categories", pl.Categorical), ("enum", pl.Enum(["AAPL", "MSFT", "SPY"]))):
        write(rows.with_columns(pl.col("symbol").cast(kind)), tmp_path / f"{name}.parquet", TRADES.schema)
        assert pq.read_schema(tmp_path / f"{name}.parquet").field("symbol").type == pa.large_string()
    frames = [pl.read_parquet(path) for path in tmp_path.iterdir()]
    assert pl.scan_parquet(sorted(tmp_path.iterdir())).collect().height == 30
    assert all(frame.equals(frames[0]) for frame in frames)


def test_without_a_schema_the_frames_own_types_are_written(tmp_path: Path) -> None:
    write(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
    assert pl.read_parquet(tmp_path / "a.parquet")["a"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (trades(0, 3).with_columns(symbol=pl.lit(None, pl.String)), "required column symbol holds 3 nulls"),
        (trades(0, 3).drop("price"), "rows lack columns price"),
        (trades(0, 3).with_columns(more=1), "rows have columns more that the table lacks"),
        (trades(0, 3).with_columns(trade_id=pl.lit("x")), "column trade_id is String and does not convert to int64"),
    ],
)
def test_rows_that_do_not_fit_name_the_column_and_leave_no_file(tmp_path: Path, rows: pl.DataFrame, says: str) -> None:
    with pytest.raises(LakeError, match=says):
        write(rows, tmp_path / "a.parquet", TRADES.schema)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("by", "parts"), [("hour", 3), ("day", 2), ("month", 2), ("year", 1)])
def test_small_tables_are_split_by_partition(lake: Lake, by: str, parts: int) -> None:
    spec = TableSpec("tapehouse", "batches", pa.schema([pa.field("at", pa.timestamp("us", "UTC"))]), (by, "at"))
    times = [
        datetime(2024, 1, 31, 22, tzinfo=UTC),
        datetime(2024, 1, 31, 23, tzinfo=UTC),
        datetime(2024, 2, 1, tzinfo=UTC),
    ]
    staged = stage_rows(lake, spec, pl.DataFrame({"at": times}), "r1")
    assert len(staged.add) == parts
    assert stage_rows(lake, spec, pl.DataFrame({"at": times}).clear(), "r2").add == ()


def test_identity_partitions_take_null_and_text(bench: Bench) -> None:
    spec = TableSpec("tapehouse", "marks", pa.schema([pa.field("who", pa.large_string())]), ("identity", "who"))
    bench.run("r1", pl.DataFrame({"who": ["b", None, "a", "b"]}), spec=spec)
    assert sorted(file.partition.label for file in bench.table(spec).files()) == ["a", "b", "null"]
    assert bench.table(spec).rows() == 4


def test_curated_rows_come_back_in_kernel_form(bench: Bench) -> None:
    bench.run("r1", trades(0, 50), trades(50, 50, hour=2))
    rows = read_curated(bench.table()).sort("trade_id")
    assert rows.equals(pl.concat([trades(0, 50), trades(50, 50, hour=2)]))
    assert read_curated(bench.table(), ["trade_id"], where=pl.col("price") == 1_000_003)["trade_id"].to_list() == [3]
    assert read_curated(bench.table(), as_of=None, where=pl.col("symbol") == "none").is_empty()


def test_reading_a_time_range_opens_only_its_files(bench: Bench) -> None:
    bench.run("r1", *(trades(hour * 10, 10, hour=hour) for hour in range(5)))
    table = bench.table()
    start = int(START.timestamp()) * 1_000_000
    since, until = start + 3600 * 1_000_000 * 2 + 5_000_000, start + 3600 * 1_000_000 * 3
    files = table.files(since_us=since, until_us=until)
    assert [file.partition.label for file in files] == ["2024-01-02-16"]
    for other in set(table.files()) - set(files):
        other.path.unlink()
    assert scan(table, ["trade_id"], since_us=since, until_us=until).collect()["trade_id"].sort().to_list() == [
        *range(25, 30)
    ]
    assert scan(table, since_us=until + 10 * 3600 * 1_000_000).collect().is_empty()


def test_reading_names_what_is_not_there(bench: Bench) -> None:
    bench.run("r1", trades(0, 5))
    with pytest.raises(UsageError, match="no column venue") as caught:
        scan(bench.table(), ["venue"])
    assert "trade_id, symbol, price" in caught.value.fix
    with pytest.raises(UsageError, match="no column venue"):
        read_curated(bench.table(), ["venue"])
    with pytest.raises(UsageError, match="no snapshot of run r9"):
        bench.table().files(as_of="r9")
    with pytest.raises(UsageError, match="no snapshot 5"):
        bench.table().files(as_of=5)
    with pytest.raises(UsageError, match="no time zone"):
        bench.table().files(as_of=datetime(2024, 1, 1))
    with pytest.raises(UsageError, match="not partitioned by time"):
        scan(bench.table(TableSpec("tapehouse", "runs", pa.schema([]))), since_us=1)


def test_bounds_hold_whatever_a_writer_left_out(bench: Bench, tmp_path: Path) -> None:
    """Long text, NaN, and a row group without statistics: pruning by bounds must never lose a row."""
    schema = pa.schema([pa.field("text", pa.large_string()), pa.field("x", pa.float64())])
    spec = TableSpec("odd", "rows", schema)
    path = bench.lake.data_file(spec, "", "r1", 0)
    text = ["a" * 100, "z" * 100, "\U0001f600" * 40]
    values = [float("nan"), 1.0, -5.0]
    with pq.ParquetWriter(path, schema, write_statistics=True) as first:
        first.write_table(pa.table({"text": text, "x": values}, schema))
    other = bench.lake.data_file(spec, "", "r1", 1)
    with pq.ParquetWriter(other, schema, write_statistics=["text"]) as second:
        second.write_table(pa.table({"text": ["m"], "x": [7.0]}, schema))
    from tapehouse.lake.publish import publish
    from tapehouse.lake.spec import Staged

    with bench.lake.lock():
        publish(bench.lake, "r1", [Staged(spec, (path, other))], {})
    table = bench.table(spec).ice
    for value in text:
        assert table.scan(row_filter=f"text = '{value}'").to_arrow().num_rows == 1
    assert table.scan(row_filter="x = 7.0").to_arrow().num_rows == 1
    assert table.scan(row_filter="x < 0.0").to_arrow().num_rows == 1
    assert duckdb.read_parquet([str(path), str(other)]).aggregate("count(*)").fetchall() == [(4,)]

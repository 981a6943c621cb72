"""The lake's own Parquet writer against three readers that share no code with it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapehouse.lake.files import write
from tapehouse.lake.parquet import pack
from tapehouse.lake.parquet.frames import strided

I64 = st.integers(-(2**63), 2**63 - 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NARROW = st.integers(0, 50) | st.integers(1 << 40, (1 << 40) + 100_000)
DIGITS = st.integers(-(10**18) + 1, 10**18 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.just("\U0010ffff" * 20) | st.just("ä" * 70)
KINDS: dict[str, tuple[pa.DataType, pl.DataType, st.SearchStrategy[Any]]] = {
    "int": (pa.int64(), pl.Int64(), I64 | NARROW),
    "small": (pa.int32(), pl.Int32(), st.integers(-(2**31), 2**31 - 1) | st.integers(0, 9)),
    "price": (pa.decimal128(18, 6), pl.Decimal(18, 6), DIGITS.map(lambda n: Decimal(n).scaleb(-6))),
    "real": (pa.float64(), pl.Float64(), st.floats() | st.sampled_from([0.0, -0.0, math.nan])),
    "text": (pa.string(), pl.String(), TEXT),
    "label": (pa.string(), pl.Categorical(), st.sampled_from(["", "a", "b", "ß" * 50, "x" * 64, "y" * 65])),
    "bytes": (pa.large_binary(), pl.Binary(), st.binary(max_size=20) | st.just(b"\xff" * 70)),
    "flag": (pa.bool_(), pl.Boolean(), st.booleans()),
    "day": (pa.date32(), pl.Date(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "time": (
        pa.timestamp("us", "UTC"),
        pl.Datetime("us", "UTC"),
        st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
    ),
}


@pytest.fixture(params=["compiled", "numpy"])
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "numpy":
        monkeypatch.setattr(pack, "_library", None)
    elif pack._library is None:
        pytest.skip("the library is not built, or has no loops for pages")


def check(path: Path, frame: pl.DataFrame) -> pq.FileMetaData:
    """Every reader gives back the frame (categories as text); returns the footer."""
    wanted = frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    assert pl.read_parquet(path).equals(wanted)
    assert pl.DataFrame(pq.read_table(path)).equals(wanted)
    duck = duckdb.connect().sql(f"select * from read_parquet('{path}')").to_arrow_table()
    assert pl.DataFrame(duck).cast(wanted.schema).equals(wanted)
    footer = pq.read_metadata(path)
    for group in range(footer.num_row_groups):
        start = sum(footer.row_group(before).num_rows for before in range(group))
        rows = wanted.slice(start, footer.row_group(group).num_rows)
        for number, column in enumerate(rows.get_columns()):
            check_statistics(footer.row_group(group).column(number), column)
    return footer


def check_statistics(chunk: pq.ColumnChunkMetaData, column: pl.Series) -> None:
    found = chunk.statistics
    assert chunk.num_values == len(column)
    assert found.null_count == column.null_count()
    values = [value for value in column.to_list() if value is not None and value == value]
    if not values:
        assert not found.has_min_max
    elif column.dtype in (pl.String, pl.Binary):
        if found.has_min_max:
            assert found.min <= min(values)
            assert found.max >= max(values)
        if all(len(value if isinstance(value, bytes) else value.encode()) <= 64 for value in values):
            assert (found.min, found.max) == (min(values), max(values))
    else:
        assert (found.min, found.max) == (min(values), max(values))
        if 0.0 in (found.min, found.max) and column.dtype == pl.Float64:
            assert found.min != 0 or math.copysign(1, found.min) == -1
            assert found.max != 0 or math.copysign(1, found.max) == 1


@st.composite
def tables(draw: st.DrawFn) -> tuple[pl.DataFrame, pa.Schema]:
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True))
    rows = draw(st.integers(0, 40))
    fields, columns = [], []
    for name in names:
        kind, dtype, values = KINDS[name]
        nullable = draw(st.booleans())
        cells = draw(st.just(st.none()) | st.just(st.none() | values)) if nullable else values
        fields.append(pa.field(name, kind, nullable))
        columns.append(pl.Series(name, draw(st.lists(cells, min_size=rows, max_size=rows)), dtype))
    return pl.DataFrame(columns), pa.schema(fields)


@pytest.mark.usefixtures("loops")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(tables(), st.integers(1, 50))
def test_readers_get_back_what_was_written(tmp_path: Path, table: tuple[pl.DataFrame, pa.Schema], group: int) -> None:
    frame, schema = table
    path = tmp_path / "a.parquet"
    write(frame, path, schema, row_group_rows=group)
    footer = check(path, frame)
    assert footer.num_row_groups == -(-frame.height // group)
    levels = {footer.schema.column(i).name: footer.schema.column(i).max_definition_level for i in range(len(schema))}
    assert levels == {field.name: int(field.nullable) for field in schema}


def market(rows: int, seed: int = 7) -> pl.DataFrame:
    """Columns that take every way through the encoder, with and without nulls."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 30, rows)
    columns: dict[str, Any] = {
        "sequence": np.sort(random.integers(1 << 20, 1 << 24, rows)),
        "wide": random.integers(-(2**63), 2**63 - 1, rows),
        "negative": random.integers(-(10**11), -(10**11) + 10**6, rows),
        "around": random.integers(-(10**6), 10**6, rows),
        "small": random.choice([1, 5, 100, 60_000], rows),
        "constant": np.full(rows, 2**62),
        "real": random.normal(size=rows),
        "text": [f"{row:x}"[:length] + "0123456789" * (length // 9) for row, length in enumerate(lengths.tolist())],
        "few": [("", "NYSE", "trade out of sequence")[length // 10] for length in lengths.tolist()],
        "label": pl.Series(random.choice([f"S{n:04}" for n in range(700)], rows)).cast(pl.Categorical),
        "sorted": pl.Series(np.sort(random.choice(["A", "B", "C"], rows)), dtype=pl.Enum(["C", "B", "A", "unused"])),
        "flag": random.random(rows) < 0.5,
        "time": pl.Series(random.integers(0, 10**9, rows)).cast(pl.Datetime("us", "UTC")),
    }
    frame = pl.DataFrame(columns)
    holes = pl.Series(random.random(rows) < 0.2)
    return frame.with_columns(
        *(pl.when(~holes).then(pl.col(name)).alias(f"{name}_holes") for name in columns),
        pl.lit(None, pl.Int64).alias("none"),
    )


def schema_of(frame: pl.DataFrame) -> pa.Schema:
    text = frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    return text.to_arrow(compat_level=pl.CompatLevel.oldest()).schema


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize(("rows", "group"), [(2_047, 131_072), (2_048, 2_048), (50_001, 20_003), (150_000, 131_072)])
def test_every_way_through_the_encoder_is_read_back(tmp_path: Path, rows: int, group: int) -> None:
    frame = market(rows)
    write(frame, tmp_path / "a.parquet", schema_of(frame), row_group_rows=group)
    footer = check(tmp_path / "a.parquet", frame)
    columns = [footer.row_group(0).column(i) for i in range(frame.width)]
    assert {encoding for column in columns for encoding in column.encodings} == {"PLAIN", "RLE", "RLE_DICTIONARY"}
    assert {column.compression for column in columns} == {"ZSTD", "UNCOMPRESSED"}
    coded_names = ("small", "constant", "few", "label", "sorted")
    coded = {column.path_in_schema for column in columns if column.has_dictionary_page}
    assert coded == {f"{name}{holes}" for name in coded_names for holes in ("", "_holes")}


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("low", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("count", [2, 3, 129, 16_384, 16_385, 16_386, 40_000])
def test_strided_frames_are_what_zstd_reads(low: int, count: int) -> None:
    random = np.random.default_rng(count)
    values = random.integers(0, 1 << 8 * low, count) + (0x0123456789ABCDEF >> 8 * low << 8 * low)
    frame = b"".join(bytes(part) for part in strided(b"prefix", values, low))
    assert zstandard.ZstdDecompressor().decompress(frame) == b"prefix" + values.tobytes()
    assert zstandard.frame_content_size(frame) == 6 + values.nbytes
    assert len(frame) < 64 + low * count + 16 * (count // 16_384)


@pytest.mark.usefixtures("loops")
def test_long_text_is_cut_in_statistics_and_split_over_pages(tmp_path: Path) -> None:
    text = ["é" * 40 + "a", "\U0010ffff" * 30, "\U0010ffff" * 15 + "\ud7ff" * 9, "", "x" * 3_000_000, None]
    for number, values in enumerate([text, text[:1], text[1:2], text[2:3], text[3:]]):
        frame = pl.DataFrame({"x": values * 3}, schema={"x": pl.String})
        write(frame, tmp_path / f"{number}.parquet", pa.schema([pa.field("x", pa.string())]))
        check(tmp_path / f"{number}.parquet", frame)
    bounds = [pq.read_metadata(tmp_path / f"{n}.parquet").row_group(0).column(0).statistics for n in range(4)]
    assert not bounds[2].has_min_max  # nothing short is above it
    assert bounds[1].min == "é" * 32
    assert bounds[1].max == "é" * 31 + "ê"
    assert bounds[3].max == "\U0010ffff" * 15 + "\ue000"


def test_both_ways_write_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = market(30_000)
    write(frame, tmp_path / "a.parquet", schema_of(frame))
    monkeypatch.setattr(pack, "_library", None)
    write(frame, tmp_path / "b.parquet", schema_of(frame))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_threads_write_files_at_the_same_time(tmp_path: Path) -> None:
    frames = [market(20_000, seed) for seed in range(6)]
    paths = [tmp_path / f"{number}.parquet" for number in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, frames, paths, map(schema_of, frames)))
    for frame, path in zip(frames, paths, strict=True):
        assert pl.read_parquet(path).equals(frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String)))


def test_what_the_writer_does_not_know_is_written_all_the_same(tmp_path: Path) -> None:
    frame = pl.DataFrame({"list": [[1, 2], None], "tiny": [Decimal("0.5"), None], "length": [timedelta(1), None]})
    for name in frame.columns:
        write(frame.select(name), tmp_path / f"{name}.parquet")
        assert pl.read_parquet(tmp_path / f"{name}.parquet").equals(frame.select(name))
    narrow = pa.schema([pa.field("tiny", pa.decimal128(5, 2))])
    write(frame.select("tiny"), tmp_path / "narrow.parquet", narrow)
    assert pq.read_table(tmp_path / "narrow.parquet")["tiny"].to_pylist() == [Decimal("0.50"), None]

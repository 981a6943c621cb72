"""The lake's own Parquet files in Spark's two readers, and their frames in a zstd that is not Facebook's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import zstandard

from tapehouse.lake.files import write
from tapehouse.lake.parquet import encode
from tapehouse.lake.parquet.frames import strided

from .support import rows_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(params=["true", "false"], ids=["vectorised", "parquet-mr"])
def reader(request: pytest.FixtureRequest, spark: SparkSession) -> Iterator[SparkSession]:
    """Spark with its own reader, and with parquet-mr's, row by row."""
    spark.conf.set("spark.sql.parquet.enableVectorizedReader", request.param)
    yield spark
    spark.conf.unset("spark.sql.parquet.enableVectorizedReader")


def tape(rows: int) -> pl.DataFrame:
    """Every way through the encoder that a lake's tables take, with nulls and empty texts."""
    random = np.random.default_rng(5)
    lengths = random.integers(0, 9, rows)
    columns = {
        "at": np.sort(random.integers(1_700_000_000_000_000_000, 1_700_000_001_000_000_000, rows)),
        "number": np.arange(rows) + 5_000_000,
        "wide": random.integers(-(2**63), 2**63 - 1, rows),
        "size": random.choice([1, 100, 60_000], rows),
        "small": pl.Series(random.integers(-(2**31), 2**31 - 1, rows), dtype=pl.Int32),
        "vwap": random.normal(size=rows),
        "text": [f"{row:x}é"[:length] for row, length in enumerate(lengths.tolist())],
        "venue": pl.Series(random.choice(["", "XNAS", "XNYS"], rows)),
        "raw": [bytes([row % 256]) * length for row, length in enumerate(lengths.tolist())],
        "flag": random.random(rows) < 0.5,
        "price": pl.Series(random.integers(-(10**17), 10**17, rows)).cast(pl.Decimal(18, 0)) / 1_000_000,
        "time": pl.Series(random.integers(-(10**15), 10**15, rows)).cast(pl.Datetime("us", "UTC")),
        # None before 1582: Spark 3.5 refuses these in files that are not its own, by its default settings.
        "day": pl.Series(random.integers(-140_000, 2_000_000, rows), dtype=pl.Int32).cast(pl.Date),
    }
    frame = pl.DataFrame(columns).with_columns(pl.col("price").cast(pl.Decimal(18, 6)))
    holes = pl.Series(random.random(rows) < 0.2)
    return frame.with_columns(
        *(pl.when(~holes).then(pl.col(name)).alias(f"{name}_holes") for name in columns),
        pl.lit(None, pl.Int64).alias("no"),
    )


def test_columns_of_all_kinds(reader: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, made = tape(50_001), []
    monkeypatch.setattr(encode.frames, "strided", lambda *given: made.append(given) or strided(*given))
    schema = pa.schema([pa.field(f.name, f.type, f.name.endswith(("_holes", "no"))) for f in frame.to_arrow().schema])
    write(frame, tmp_path / "tape.parquet", schema, row_group_rows=20_003)
    assert len(made) >= 6, "nothing was laid out by hand, so nothing of that is tested"
    read = reader.read.parquet(str(tmp_path / "tape.parquet"))
    assert rows_of(read).cast(frame.schema).equals(frame)
    for name in ("number", "price", "venue", "text", "time"):
        value = frame[name][30_000]
        assert rows_of(read.where(read[name] == value)).cast(frame.schema).equals(frame.filter(pl.col(name) == value))


def test_nested_columns(reader: SparkSession, tmp_path: Path) -> None:
    reason = pl.Struct({"code": pl.String, "columns": pl.List(pl.String), "observed": pl.String})
    reasons = [
        [{"code": "a", "columns": ["x", "y"], "observed": ""}, {"code": "b", "columns": [], "observed": None}],
        [],
        None,
        [{"code": "c", "columns": None, "observed": "1"}],
    ]
    frame = pl.DataFrame({"n": [1, 2, 3, 4], "reasons": pl.Series(reasons, dtype=pl.List(reason))})
    write(frame, tmp_path / "a.parquet", frame.to_arrow().schema)
    assert rows_of(reader.read.parquet(str(tmp_path / "a.parquet"))).equals(frame)


@pytest.mark.parametrize("low", [1, 3, 5])
def test_frames_laid_out_by_hand_in_a_zstd_of_java(spark: SparkSession, low: int) -> None:
    """aircompressor's, which Trino reads Parquet with: written anew from the RFC."""
    values = np.random.default_rng(low).integers(0, 1 << 8 * low, 40_000) + (0x0123456789ABCDEF >> 8 * low << 8 * low)
    content = b"levels" + values.tobytes()
    frame = b"".join(bytes(part) for part in strided(b"levels", values, low))
    assert zstandard.ZstdDecompressor().decompress(frame) == content
    java = spark._jvm
    out = java.java.nio.ByteBuffer.allocate(len(content))
    java.io.airlift.compress.zstd.ZstdDecompressor().decompress(java.java.nio.ByteBuffer.wrap(frame), out)
    assert bytes(out.array()) == content

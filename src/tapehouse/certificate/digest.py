"""A digest of a frame's values in their order: equal exactly if every value is, to the bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa


def frame_digest(frame: pl.DataFrame) -> str:
    """sha256 (hex) over names, types, nulls and values of all columns, in the order of columns and rows.

    Categories count as their texts. Doubles count by their bits: 0.0 is not -0.0, and a NaN is itself.
    """
    hashed = hashlib.sha256()
    for series in frame.iter_columns():
        column = bare(series)
        hashed.update(f"{len(column.name)} {column.name} {column.dtype} {len(column)} {column.null_count()}".encode())
        for part in _bytes(column):
            # Each part with its length before it: no two lists of parts are the same run of bytes.
            hashed.update(len(part).to_bytes(8, "big"))
            hashed.update(part)
    return hashed.hexdigest()


def bare(series: pl.Series) -> pl.Series:
    """The column as integers, doubles, booleans, text or bytes: times as integers, lists and structs as JSON."""
    kind = series.dtype
    if kind in (pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    if isinstance(kind, pl.List):
        return (
            series.to_frame().select(pl.all().list.eval(pl.element().struct.json_encode()).list.join("\n")).to_series()
        )
    return series.to_physical()


def bits(column: pl.Series) -> pl.Series:
    """Doubles as the integers of the same bits, where comparing is exact; other columns as they are."""
    if column.dtype != pl.Float64:
        return column
    values = pl.Series(column.name, column.fill_null(0.0).to_numpy().view(np.int64))
    return values.set(column.is_null(), None) if column.null_count() else values


def _bytes(column: pl.Series) -> Iterator[bytes]:
    if column.null_count():
        yield np.packbits(column.is_null().to_numpy()).tobytes()
    if column.dtype in (pl.String, pl.Binary):
        array = column.drop_nulls().rechunk().to_arrow()
        plain = array.cast(pa.large_binary())
        _, offsets, values = plain.buffers()
        yield np.diff(np.frombuffer(offsets, np.int64, len(plain) + 1, plain.offset * 8)).tobytes() if offsets else b""
        yield bytes(values) if values is not None else b""
        return
    yield column.drop_nulls().to_numpy().tobytes()

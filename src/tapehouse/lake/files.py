"""Writing Parquet for the lake.

Flat tables are written by `lake.parquet`, nested ones by Polars. Over 759 270 curated rows of 15 columns that takes
half of Polars' processor time (208 against 415 ns a row; 290 without the compiled loops); pyarrow, told which columns
profit from a dictionary, takes a third more than Polars. The files are 15 % larger and read 10 to 20 % faster.
Encodings are PLAIN and RLE_DICTIONARY, and pages are zstd or uncompressed: what every reader knows.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from tapehouse.errors import LakeError
from tapehouse.lake import disk
from tapehouse.lake.parquet.writer import is_written, write_file
from tapehouse.lake.spec import Staged, TableSpec, safe_label

if TYPE_CHECKING:
    from tapehouse.lake.home import Lake

ROW_GROUP_ROWS = 131_072
_LEVEL = 1
_MAX_SCALED_DIGITS = 18


def scaled_to_decimal(values: pl.Series, scale: int, precision: int = 18) -> pl.Series:
    """Int64 counts of 10^-scale as decimal(precision, scale), nulls kept: the bits are re-read, nothing is multiplied.

    0.7 ns a value, where casting and dividing takes 12. Values beyond 18 digits raise LakeError: decimal(18) cannot
    hold them.
    """
    _check_digits(values, scale, precision)
    filled = values.fill_null(0) if values.null_count() else values
    numbers = filled.to_numpy()
    words = np.empty((len(numbers), 2), np.int64)
    words[:, 0] = numbers
    np.right_shift(numbers, 63, out=words[:, 1])  # two's complement: the high word repeats the sign
    kind = pa.decimal128(precision, scale)
    array = pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(words)])
    result = pl.Series(values.name, array)
    return (
        result
        if filled is values
        else pl.select(pl.when(values.is_not_null()).then(result)).to_series().alias(values.name)
    )


def _check_digits(values: pl.Series, scale: int, precision: int) -> None:
    if values.dtype != pl.Int64:
        raise LakeError(f"column {values.name} is {values.dtype}, not scaled Int64")
    low, high = values.min(), values.max()
    limit = 10 ** min(precision, _MAX_SCALED_DIGITS)
    if isinstance(low, int) and isinstance(high, int) and (low <= -limit or high >= limit):
        raise LakeError(
            f"column {values.name} holds {low if low <= -limit else high}, beyond decimal({precision}, {scale})",
            fix="use a smaller scale in the contract, or reject such values with a range rule",
        )


def write(
    frame: pl.DataFrame | pa.Table,
    path: Path,
    schema: pa.Schema | None = None,
    *,
    row_group_rows: int = ROW_GROUP_ROWS,
) -> None:
    """Write rows to `path` in the schema's column order, with statistics.

    Columns that `schema` says are not nullable become required; a null there raises LakeError naming the column. Int64
    columns where it wants a decimal are taken as scaled. Without `schema` the frame's own types are written. Raises
    LakeError, leaving no file, on a full or read-only disk.
    """
    rows = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
    wanted = schema if schema is not None else rows.to_arrow().schema
    # The Arrow schema kept in the file says plain text even where it was written from categories: other readers, and
    # Polars reading it next to other files, must not see the difference.
    plain = pa.schema([_plain(field) for field in wanted])
    metadata = {"ARROW:schema": base64.b64encode(plain.serialize().to_pybytes()).decode()}
    flat = all(is_written(field.type) for field in plain)
    columns = _columns(rows, wanted, scaled=flat)
    try:
        with disk.guarded("writing a data file", path):
            if flat:
                with path.open("wb") as file:
                    write_file(file, columns, plain, metadata, row_group_rows=row_group_rows)
            else:
                _write_nested(pl.DataFrame(columns), path, wanted, metadata, row_group_rows)
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def _write_nested(
    rows: pl.DataFrame, path: Path, schema: pa.Schema, metadata: dict[str, str], row_group_rows: int
) -> None:
    rows.write_parquet(
        path,
        compression="zstd",
        compression_level=_LEVEL,
        row_group_size=row_group_rows,
        statistics=True,
        arrow_schema=pa.schema([_encoded(field, rows.schema[field.name]) for field in schema]),
        metadata=metadata,
    )


def conform(rows: pl.DataFrame, schema: pa.Schema) -> pl.DataFrame:
    """`rows` with the schema's columns in its order and its types; LakeError names a column that cannot be."""
    return pl.DataFrame(_columns(rows, schema, scaled=False))


def _columns(rows: pl.DataFrame, schema: pa.Schema, *, scaled: bool) -> list[pl.Series]:
    """The schema's columns; `scaled` has decimals as Int64 counts of their last digit."""
    if missing := [name for name in schema.names if name not in rows.columns]:
        raise LakeError(f"rows lack columns {', '.join(missing)}", fix="stage every column of the table")
    if extra := [name for name in rows.columns if name not in schema.names]:
        raise LakeError(
            f"rows have columns {', '.join(extra)} that the table lacks", fix="add them to the table's spec"
        )
    kinds = pl.Schema(schema)  # not through an empty Arrow array: making one imports pandas where it is installed
    columns = []
    for field in schema:
        column = _typed(rows.get_column(field.name), field, kinds[field.name], scaled=scaled)
        if not field.nullable and column.null_count():
            raise LakeError(
                f"required column {field.name} holds {column.null_count()} nulls", fix="quarantine those rows"
            )
        columns.append(column)
    return columns


def stage_rows(lake: Lake, spec: TableSpec, rows: pl.DataFrame, run_id: str) -> Staged:
    """Write a small table's rows, one file for each partition among them, ready for `publish`; none for no rows."""
    frame = conform(rows, spec.schema)
    if spec.sort:
        frame = frame.sort(spec.sort, maintain_order=True)
    paths = []
    for number, (label, part) in enumerate(_partitions(frame, spec)):
        path = lake.data_file(spec, label, run_id, number)
        write(part, path, spec.schema)
        paths.append(path)
    return Staged(spec, tuple(paths))


def _partitions(frame: pl.DataFrame, spec: TableSpec) -> Sequence[tuple[str, pl.DataFrame]]:
    if frame.is_empty():
        return []
    if spec.partition_by is None:
        return [("", frame)]
    transform, name = spec.partition_by
    if transform == "identity":
        groups = frame.partition_by(name, maintain_order=True)
        return [(safe_label(str(part.item(0, name))), part) for part in groups]
    pattern = {"hour": "%Y-%m-%d-%H", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}[transform]
    label = pl.col(name).dt.strftime(pattern).fill_null("null").alias("__label")
    groups = frame.with_columns(label).partition_by("__label", maintain_order=True)
    return [(part.item(0, "__label"), part.drop("__label")) for part in groups]


def _typed(column: pl.Series, field: pa.Field, wanted: pl.DataType, *, scaled: bool) -> pl.Series:
    kind = field.type
    if pa.types.is_decimal(kind) and column.dtype == pl.Int64:
        if not scaled:
            return scaled_to_decimal(column, kind.scale, kind.precision)
        _check_digits(column, kind.scale, kind.precision)
        return column
    typed = _cast(column, field, wanted)
    return typed.to_physical().cast(pl.Int64) if scaled and pa.types.is_decimal(kind) else typed


def _cast(column: pl.Series, field: pa.Field, wanted: pl.DataType) -> pl.Series:
    kind = field.type
    if _is_text(kind) and isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        return column
    if column.dtype == wanted:
        return column
    try:
        return column.cast(wanted, strict=True)
    except pl.exceptions.PolarsError as error:
        raise LakeError(f"column {field.name} is {column.dtype} and does not convert to {kind}: {error}") from error


def _encoded(field: pa.Field, kind: pl.DataType) -> pa.Field:
    """The field as Polars must be told to write a column that it holds as `kind`."""
    if isinstance(kind, (pl.Categorical, pl.Enum)):
        return pa.field(field.name, pl.Series(dtype=kind).to_arrow().type, field.nullable)
    return _plain(field)


def _plain(field: pa.Field) -> pa.Field:
    empty = pl.DataFrame(schema=pl.Schema(pa.schema([field])))
    return pa.field(field.name, empty.to_arrow().schema.field(0).type, field.nullable)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))

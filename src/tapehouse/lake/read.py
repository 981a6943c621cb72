"""Reading a table's state with Polars: the files that can matter, every column by name, kernel forms on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tapehouse.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from tapehouse.lake.table import AsOf, LakeTable


def scan(
    table: LakeTable,
    columns: Sequence[str] | None = None,
    *,
    since_us: int | None = None,
    until_us: int | None = None,
    as_of: AsOf | None = None,
) -> pl.LazyFrame:
    """Rows of that state in the lake's types, all columns by default.

    `since_us` and `until_us` (microseconds since 1970, end exclusive) bound the partitioning timestamp; files outside
    are not opened. Columns younger than a file are null in its rows. UsageError names an unknown column, or a time
    bound on a table that is not partitioned by time.
    """
    schema = table.schema_at(as_of)
    wanted = list(columns) if columns is not None else list(schema.names)
    if unknown := [name for name in wanted if name not in schema.names]:
        raise UsageError(
            f"{table.identifier} has no column {', '.join(unknown)}", fix=f"it has {', '.join(schema.names)}"
        )
    paths = [file.path for file in table.files(as_of, since_us=since_us, until_us=until_us)]
    frame = scan_files(schema, table.lake.place.fetch(paths))
    for bound in _bounds(table, since_us, until_us):
        frame = frame.filter(bound)
    return frame.select(wanted)


def scan_files(schema: pa.Schema, paths: Sequence[Path]) -> pl.LazyFrame:
    """Rows of data files in the order of `paths`, with the schema's columns; null where a file lacks one."""
    types = pl.Schema(schema)
    if not paths:
        return pl.LazyFrame(schema=types)
    return pl.scan_parquet(list(paths), schema=types, missing_columns="insert", extra_columns="ignore", glob=False)


def read_curated(
    table: LakeTable,
    columns: Sequence[str] | None = None,
    *,
    since_us: int | None = None,
    until_us: int | None = None,
    as_of: AsOf | None = None,
    where: pl.Expr | None = None,
) -> pl.DataFrame:
    """As `scan`, collected, with decimals as the kernel holds them: Int64 counts of 10^-scale.

    `where` sees the kernel's forms, and every column of the table.
    """
    frame = scan(table, None, since_us=since_us, until_us=until_us, as_of=as_of)
    frame = frame.with_columns(_scaled(name) for name, kind in frame.collect_schema().items() if _is_decimal(kind))
    if where is not None:
        frame = frame.filter(where)
    known = frame.collect_schema().names()
    if columns is not None and (unknown := [name for name in columns if name not in known]):
        raise UsageError(f"{table.identifier} has no column {', '.join(unknown)}", fix=f"it has {', '.join(known)}")
    return (frame if columns is None else frame.select(columns)).collect()


def _is_decimal(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.Decimal) and kind.precision is not None and kind.precision <= 18


def _scaled(name: str) -> pl.Expr:
    return pl.col(name).to_physical().cast(pl.Int64).alias(name)


def _bounds(table: LakeTable, since_us: int | None, until_us: int | None) -> list[pl.Expr]:
    if since_us is None and until_us is None:
        return []
    by = table.partition_by
    if by is None or by[0] == "identity":
        raise UsageError(f"{table.identifier} is not partitioned by time", fix="filter its rows instead")
    column = pl.col(by[1])
    kind = pl.Datetime("us", "UTC")
    bounds = []
    if since_us is not None:
        bounds.append(column >= pl.lit(since_us).cast(kind))
    if until_us is not None:
        bounds.append(column < pl.lit(until_us).cast(kind))
    return bounds

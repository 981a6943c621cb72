"""Reading the lake's tables as frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from tapehouse.lake.home import Lake
from tapehouse.lake.read import scan
from tapehouse.lake.spec import TableSpec


def house_table(lake: Lake, spec: TableSpec) -> pl.DataFrame:
    """All rows of a table; empty, with the spec's columns, when it does not exist yet."""
    table = lake.table(spec.namespace, spec.name)
    return pl.DataFrame(schema=pl.Schema(spec.schema)) if table is None else scan(table).collect()


def read_files(files: Sequence[Path], schema: pa.Schema) -> pl.DataFrame:
    """Rows of data files of one table, decimals as scaled Int64 as in the kernel; a column a file lacks is null."""
    types = pl.Schema(schema)
    if not files:
        return canonical(pl.DataFrame(schema=types))
    rows = pl.scan_parquet(list(files), schema=types, missing_columns="insert", extra_columns="ignore", glob=False)
    return canonical(rows.select(schema.names).collect())


def canonical(rows: pl.DataFrame) -> pl.DataFrame:
    """Lake types to the kernel's: decimals become scaled Int64 again."""
    decimals = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Decimal)]
    return rows.with_columns(rows.get_column(name).to_physical().cast(pl.Int64).alias(name) for name in decimals)


def curated_of(root: Path | str, contract: str, digests: Sequence[str]) -> pa.Table:
    """Curated rows of some batches of a contract, in the order of the table."""
    from tapehouse.runs.tables import namespace_of

    table = Lake.open(root, create=False, read_only=True).table(namespace_of(contract), "curated")
    if table is None:
        return pa.table({})
    return scan(table).filter(pl.col("_batch").is_in(list(digests))).collect().to_arrow()

"""Spark SQL in a session of the caller's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl
import pyarrow as pa

from tapehouse.engines.sql.dialect import SPARK, Dialect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TYPES = {pl.Int64: "BIGINT", pl.Float64: "DOUBLE", pl.String: "STRING", pl.Boolean: "BOOLEAN", pl.Date: "DATE"}
_INTEGERS = {8: "TINYINT", 16: "SMALLINT", 32: "INT", 64: "BIGINT"}


class SparkDatabase:
    """A Spark session over Parquet files; what it names in the session it takes away at the end of `with`."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._views: list[str] = []

    def __enter__(self) -> SparkDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._views:
            self._spark.catalog.dropTempView(name)

    @property
    def dialect(self) -> Dialect:
        return SPARK

    def files(self, paths: Sequence[Path], columns: Mapping[str, pa.DataType]) -> str:
        schema = ", ".join(f"{SPARK.identifier(name)} {_type(kind)}" for name, kind in columns.items())
        # Spark takes paths for patterns.
        plain = [re.sub(r"([\\\[\]{}*?,])", r"\\\1", str(path)) for path in paths]
        return self._view(self._spark.read.schema(schema).parquet(*plain))

    def add(self, rows: pl.DataFrame) -> str:
        schema = ", ".join(f"{SPARK.identifier(name)} {_TYPES[kind.base_type()]}" for name, kind in rows.schema.items())
        return self._view(self._spark.createDataFrame(rows.rows(), schema))

    def accepts(self, pattern: str) -> bool:
        del pattern  # Java refuses none for its size
        return True

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._spark.sql(sql).collect()]

    def _view(self, frame: Any) -> str:
        name = f"tapehouse_{uuid4().hex}"
        frame.createOrReplaceTempView(name)
        self._views.append(name)
        return name


def _type(kind: pa.DataType) -> str:
    """A type that a contract's column may have in a table."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_signed_integer(kind):
        return _INTEGERS[kind.bit_width]
    if pa.types.is_floating(kind):
        return "FLOAT" if kind.bit_width == 32 else "DOUBLE"
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    return "DATE" if pa.types.is_date(kind) else "STRING"

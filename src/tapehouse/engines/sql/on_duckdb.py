"""DuckDB in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from tapehouse.engines.sql.dialect import DUCKDB, Dialect
from tapehouse.errors import LakeError

if TYPE_CHECKING:
    import duckdb


class DuckDatabase:
    """An in-memory database over Parquet files."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._added = 0

    @property
    def dialect(self) -> Dialect:
        return DUCKDB

    def files(self, paths: Sequence[Path], columns: Mapping[str, pa.DataType]) -> str:
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
        read = f"read_parquet([{listed}], union_by_name=true, hive_partitioning=false)"
        there = {row[0] for row in self.rows(f"DESCRIBE SELECT * FROM {read}")}  # noqa: S608  (paths are quoted)
        picked = [
            DUCKDB.identifier(name) if name in there else f"NULL AS {DUCKDB.identifier(name)}" for name in columns
        ]
        return f"(SELECT {', '.join(picked)} FROM {read}) f"  # noqa: S608  (names and paths are quoted)

    def add(self, rows: pl.DataFrame) -> str:
        name = f"_t{self._added}"
        self._added += 1
        self._connection.register(name, rows.to_arrow())
        return name

    def accepts(self, pattern: str) -> bool:
        import duckdb

        try:
            self._connection.execute(f"SELECT {DUCKDB.matches(DUCKDB.literal('A'), pattern)}").fetchall()
        except duckdb.InvalidInputException:
            return False
        return True

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.IOException as error:
            raise LakeError(str(error), fix="if files were removed by an expiry meanwhile, check again") from error


@contextmanager
def duck_database() -> Iterator[DuckDatabase]:
    """A database, closed at the end."""
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone='UTC'")
        yield DuckDatabase(connection)
    finally:
        connection.close()

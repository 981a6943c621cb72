"""Parquet files as a relation in the kernel's own types, whatever engine reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from tapehouse.contracts.model import Column, Contract, Kind
from tapehouse.engines.sql.dialect import Dialect
from tapehouse.engines.sql.forms import FORM_OF_KIND, Form, NotCheckableError, Value

BATCH, ROW = "_batch", "_row"
_SCALED_DIGITS_MAX = 18


class Database(Protocol):
    """An SQL engine that reads files and answers queries."""

    @property
    def dialect(self) -> Dialect:
        """What it speaks."""

    def files(self, paths: Sequence[Path], columns: Mapping[str, pa.DataType]) -> str:
        """Name of a relation over the files with these columns; null in rows of a file that lacks one."""

    def add(self, rows: pl.DataFrame) -> str:
        """Name of a relation that holds `rows`: texts, Int64, Float64, Booleans and dates."""

    def accepts(self, pattern: str) -> bool:
        """Whether a pattern of `regex.portable` is not too large."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Answer of a query."""


@dataclass(frozen=True)
class Source:
    """Files of one schema; `whole` are the batches of which every record is in them, None where that is not known."""

    paths: tuple[Path, ...]
    schema: pa.Schema
    whole: frozenset[str] | None = None

    @property
    def ordered(self) -> bool:
        """Whether rows say which batch they came in and at which place."""
        return {BATCH, ROW} <= set(self.schema.names)


class Columns:
    """The contract's columns in a source: those that are there in a type which holds the kernel's values exactly."""

    def __init__(self, contract: Contract, source: Source, dialect: Dialect) -> None:
        self._dialect = dialect
        self._faults: dict[str, str] = {}
        self.found: dict[str, Column] = {}
        lower = [name.lower() for name in source.schema.names]
        for column in contract.columns:
            if column.name not in source.schema.names:
                self._faults[column.name] = f"the table has no column {column.name}"
            elif lower.count(column.name.lower()) > 1:
                self._faults[column.name] = f"the table has two columns {column.name.lower()} but for capitals"
            elif not _fits(source.schema.field(column.name).type, column):
                have = source.schema.field(column.name).type
                self._faults[column.name] = f"column {column.name} is {have} in the table, which is no {column.kind}"
            else:
                self.found[column.name] = column

    def __call__(self, name: str) -> Value:
        """The column in canonical form; NotCheckableError where the table does not have it so."""
        if name in self._faults:
            raise NotCheckableError(self._faults[name])
        return Value(self._dialect.identifier(name), FORM_OF_KIND[self.found[name].kind])

    def canonical(self) -> list[str]:
        """Select list that turns the table's types into the kernel's."""
        return [f"{self._converted(column)} AS {self._dialect.identifier(name)}" for name, column in self.found.items()]

    def _converted(self, column: Column) -> str:
        text, types = self._dialect.identifier(column.name), self._dialect.types
        if column.kind == Kind.DECIMAL:
            # 18 and 19 digits make 37: the product is exact, and then a whole number.
            factor = f"CAST('{10**column.scale}' AS DECIMAL(19, 0))"
            text = f"CAST({text} AS DECIMAL(18, {column.scale})) * {factor}"
        if column.kind == Kind.STRING:
            return text
        return f"CAST({text} AS {types[FORM_OF_KIND[column.kind]]})"


def _fits(kind: pa.DataType, column: Column) -> bool:
    if column.kind == Kind.DECIMAL:
        if not pa.types.is_decimal(kind) or not 0 <= kind.scale <= column.scale:
            return False
        return int(kind.precision - kind.scale + column.scale) <= _SCALED_DIGITS_MAX
    tests: dict[Form, Callable[[pa.DataType], bool]] = {
        Form.LONG: pa.types.is_signed_integer,
        Form.DOUBLE: lambda one: pa.types.is_float32(one) or pa.types.is_float64(one),
        Form.TEXT: lambda one: pa.types.is_string(one) or pa.types.is_large_string(one),
        Form.BOOLEAN: pa.types.is_boolean,
        Form.DATE: pa.types.is_date32,
    }
    return tests[FORM_OF_KIND[column.kind]](kind)

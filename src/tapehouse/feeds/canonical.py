"""Typed values to canonical ones (`contracts.model.Kind`), exactly or not at all: nothing is rounded on the way in.

Shared by the formats whose values already have types. A value that has no exact canonical counterpart is refused
(null, and marked); a type that never has one is a `TypeMismatchError`: the batch does not match the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from polars.exceptions import ComputeError

from tapehouse.contracts.model import Column, Grammar, Kind
from tapehouse.feeds.integers import DECIMAL_MAX, INT64_MAX, NANOSECONDS

Result = tuple[pl.Series, pl.Series | None]
_DOUBLE_EXACT_MAX = 1 << 53
_UNIT_NANOSECONDS = {"ns": 1, "us": 1_000, "ms": 1_000_000}


class TypeMismatchError(Exception):
    """A type of the batch that cannot become the contract's. `allowed` names those that can."""

    def __init__(self, column: Column, found: pl.DataType, allowed: str) -> None:
        super().__init__(f"column {column.name!r} is {column.kind} in the contract, but {found} in the batch")
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Integers:
    """What whole numbers of a column mean: value x 10^`scale`, or a time in units of `nanoseconds` (0: no time)."""

    scale: int = 0
    nanoseconds: int = 0


def integers_of(column: Column) -> Integers:
    """What the contract says about whole numbers of a column."""
    scale = column.source_scale if column.grammar == Grammar.SCALED else 0
    return Integers(scale, NANOSECONDS.get(column.grammar, 0))


def convert(series: pl.Series, column: Column, integers: Integers) -> Result:
    """Canonical values, and where values were refused; text stays text, for the kernel to parse.

    Raises TypeMismatchError.
    """
    if series.dtype == pl.Null:
        return pl.repeat(None, len(series), dtype=pl.String, eager=True), None
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        return series, None
    values = _CONVERTERS[column.kind](series, column, integers)
    refused = values.is_null() & series.is_not_null()
    return values, refused if refused.any() else None


def _integer(series: pl.Series, column: Column, _: Integers) -> pl.Series:
    if series.dtype.is_integer():
        return series.cast(pl.Int64, strict=False)
    if series.dtype.is_float():
        return _scaled_float(series, 0, INT64_MAX)
    if isinstance(series.dtype, pl.Decimal):
        return _rescaled(series.to_physical(), series.dtype.scale, 0, INT64_MAX)
    raise TypeMismatchError(column, series.dtype, "integer, float or decimal with whole values, or text")


def _decimal(series: pl.Series, column: Column, integers: Integers) -> pl.Series:
    if series.dtype.is_integer():
        return _rescaled(series.cast(pl.Int128), integers.scale, column.scale, DECIMAL_MAX)
    if series.dtype.is_float():
        return _scaled_float(series, column.scale, DECIMAL_MAX)
    if isinstance(series.dtype, pl.Decimal):
        return _rescaled(series.to_physical(), series.dtype.scale, column.scale, DECIMAL_MAX)
    raise TypeMismatchError(column, series.dtype, "decimal, integer, float or text")


def _double(series: pl.Series, column: Column, _: Integers) -> pl.Series:
    if series.dtype.is_float():
        return series.cast(pl.Float64)
    if series.dtype.is_integer():
        exact = series.cast(pl.Int128).is_between(-_DOUBLE_EXACT_MAX, _DOUBLE_EXACT_MAX)
        return series.set(~exact, None).cast(pl.Float64)
    if isinstance(series.dtype, pl.Decimal):
        return series.cast(pl.Float64)
    raise TypeMismatchError(column, series.dtype, "float, integer, decimal or text")


def _text(series: pl.Series, column: Column, _: Integers) -> pl.Series:
    if series.dtype.is_integer():
        return series.cast(pl.String)
    if series.dtype == pl.Binary:
        try:
            return series.cast(pl.String)
        except ComputeError:  # one bad value spoils the cast of all
            return pl.Series(series.name, [_decoded(value) for value in series], dtype=pl.String)
    raise TypeMismatchError(column, series.dtype, "text, dictionary of text, integer, or bytes in UTF-8")


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _boolean(series: pl.Series, column: Column, _: Integers) -> pl.Series:
    if series.dtype == pl.Boolean:
        return series
    raise TypeMismatchError(column, series.dtype, "boolean or text")


def _timestamp(series: pl.Series, column: Column, integers: Integers) -> pl.Series:
    if isinstance(series.dtype, pl.Datetime):
        unit = series.dtype.time_unit
        if series.dtype.time_zone is None and column.zone != "UTC":
            local = series.dt.replace_time_zone(column.zone, ambiguous="null", non_existent="null")
            series = local.dt.convert_time_zone("UTC")
        return _times(series.to_physical(), _UNIT_NANOSECONDS[unit])
    if series.dtype.is_integer() and integers.nanoseconds:
        return _times(series.cast(pl.Int64, strict=False), integers.nanoseconds)
    raise TypeMismatchError(column, series.dtype, "timestamp, text, or integer with tapehouse.parse epoch_s/ms/us/ns")


def _date(series: pl.Series, column: Column, _: Integers) -> pl.Series:
    if series.dtype == pl.Date:
        return series
    raise TypeMismatchError(column, series.dtype, "date or text")


_CONVERTERS: dict[Kind, Callable[[pl.Series, Column, Integers], pl.Series]] = {
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.DOUBLE: _double,
    Kind.STRING: _text,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: _timestamp,
    Kind.DATE: _date,
}


def _times(values: pl.Series, nanoseconds: int) -> pl.Series:
    limit = INT64_MAX // nanoseconds
    return values.set(~values.is_between(-limit, limit), None) * nanoseconds


def _rescaled(values: pl.Series, scale: int, target: int, limit: int) -> pl.Series:
    """Values x 10^`scale` as Int64 values x 10^`target`; null beyond +-`limit`, or where digits would be lost."""
    wide = values.cast(pl.Int128)
    if target >= scale:
        factor = 10 ** (target - scale)
        bound = limit // factor
        kept = wide.set(~wide.is_between(-bound, bound), None) * pl.Series([factor], dtype=pl.Int128)
    else:
        divisor = pl.Series([10 ** (scale - target)], dtype=pl.Int128)
        kept = wide.set(wide % divisor != 0, None) // divisor
        kept = kept.set(~kept.is_between(-limit, limit), None)
    return kept.cast(pl.Int64)


def _scaled_float(series: pl.Series, scale: int, limit: int) -> pl.Series:
    """Floats x 10^`scale`; null unless the scaled number, divided again, is the same float: 1.1 passes at scale 1
    though no binary fraction is 1.1, and 1.15 does not.
    """
    values = series.to_numpy()
    with np.errstate(all="ignore"):
        scaled = np.rint(values.astype(np.float64) * 10.0**scale)
        same = (scaled / 10.0**scale).astype(values.dtype) == values
        exact = same & (np.abs(scaled) <= min(limit, _DOUBLE_EXACT_MAX))
    whole = np.where(exact, scaled, 0).astype(np.int64)
    return pl.Series(series.name, whole).set(pl.Series(~exact), None)

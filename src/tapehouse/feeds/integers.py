"""Whole numbers as the contract writes them: an optional sign and digits, in range, and nothing else.

A reader may use a faster parser for most cells; this one decides what is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tapehouse.contracts.model import Column, Grammar, Kind

_DIGITS = r"^[+-]?[0-9]+$"
INT64_MAX = (1 << 63) - 1
DECIMAL_MAX = 10**18 - 1
NANOSECONDS = {
    Grammar.EPOCH_S: 1_000_000_000,
    Grammar.EPOCH_MS: 1_000_000,
    Grammar.EPOCH_US: 1_000,
    Grammar.EPOCH_NS: 1,
}


@dataclass(frozen=True, slots=True)
class Scaling:
    """Canonical value = whole number x `factor`; numbers beyond +-`limit` have no canonical value.

    `limit` None: every int64 has one.
    """

    factor: int = 1
    limit: int | None = None


def scaling(column: Column) -> Scaling | None:
    """How a whole number in this column becomes canonical; None if its text is not a whole number."""
    match column.kind, column.grammar:
        case Kind.INTEGER, Grammar.INTEGER:
            return Scaling()
        case Kind.TIMESTAMP, Grammar.EPOCH_NS:
            return Scaling()
        case Kind.TIMESTAMP, Grammar.EPOCH_S | Grammar.EPOCH_MS | Grammar.EPOCH_US:
            factor = NANOSECONDS[column.grammar]
            return Scaling(factor, INT64_MAX // factor)
        case Kind.DECIMAL, Grammar.SCALED if column.source_scale <= column.scale:
            factor = 10 ** (column.scale - column.source_scale)
            return Scaling(factor, DECIMAL_MAX // factor)
    return None


def parse_integers(text: pl.Series) -> pl.Series:
    """Int64 of each text; null where the text is null, is not a whole number, or is beyond int64."""
    digits = text.str.contains(_DIGITS).fill_null(value=False)
    if digits.all():
        return text.cast(pl.Int64, strict=False)
    return text.set(~digits, None).cast(pl.Int64, strict=False)


def canonical(values: pl.Series, how: Scaling) -> pl.Series:
    """Whole numbers as canonical ones; null where a number has no canonical value."""
    if how.limit is not None and len(values):
        low, high = values.min(), values.max()
        if low is not None and (low < -how.limit or high > how.limit):  # type: ignore[operator]
            values = values.set(~values.is_between(-how.limit, how.limit), None)
    return values if how.factor == 1 else values * how.factor

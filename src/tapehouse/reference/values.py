"""Cells of a reference file to canonical values: the same types as the contract's columns, exactly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import polars as pl

from tapehouse.contracts.model import Kind

_NS_PER_DAY = 86_400 * 1_000_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
POLARS_TYPES: dict[Kind, pl.DataType] = {
    Kind.INTEGER: pl.Int64(),
    Kind.DECIMAL: pl.Int64(),
    Kind.DOUBLE: pl.Float64(),
    Kind.STRING: pl.String(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.TIMESTAMP: pl.Int64(),
    Kind.DATE: pl.Date(),
}


def reader(kind: Kind, scale: int) -> Callable[[str], object]:
    """A function from text to the canonical value; it raises ValueError saying what is allowed."""
    if kind == Kind.DECIMAL:
        return lambda text: scaled(text, scale)
    readers: dict[Kind, Callable[[str], object]] = {
        Kind.INTEGER: _integer,
        Kind.DOUBLE: _double,
        Kind.STRING: str,
        Kind.BOOLEAN: _boolean,
        Kind.TIMESTAMP: instant,
        Kind.DATE: dt.date.fromisoformat,
    }
    return readers[kind]


def scaled(text: str, scale: int) -> int:
    """`text` x 10^scale as an int64; ValueError where it is not a number or has more decimals than `scale`."""
    try:
        value = Decimal(text.strip()).scaleb(scale)
    except InvalidOperation as error:
        raise ValueError("a decimal number") from error
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"a decimal number with at most {scale} decimals")
    return _int64(int(value))


def instant(text: str) -> int:
    """UTC nanoseconds of an ISO 8601 date (its midnight) or date and time; a time without an offset is UTC."""
    head, point, rest = text.strip().replace("Z", "+00:00").partition(".")
    digits = rest[: next((i for i, char in enumerate(rest) if not char.isdigit()), len(rest))]
    if point and not 1 <= len(digits) <= 9:
        raise ValueError("an ISO 8601 date or time with at most nine decimals")
    parsed = dt.datetime.fromisoformat(head + rest[len(digits) :])
    moment = parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)
    since = moment - _EPOCH
    return _int64(since.days * _NS_PER_DAY + since.seconds * 1_000_000_000 + int(digits.ljust(9, "0") or 0))


def _integer(text: str) -> int:
    return _int64(int(text.strip()))


def _int64(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError("a value of at most 64 bits")
    return value


def _double(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError("a finite number")
    return value


def _boolean(text: str) -> bool:
    truths = {"true": True, "1": True, "false": False, "0": False}
    if text.strip().lower() not in truths:
        raise ValueError("true, false, 1 or 0")
    return truths[text.strip().lower()]

"""Text to canonical types, by the grammar the contract states, with a mark for every value that grammar refuses.

Nothing is repaired: a value outside its grammar becomes null *and* is marked in `_failed_<column>`, so that the row can
be quarantined with what was written. A marker column exists only where at least one value of the frame failed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from tapehouse.contracts.model import Column, Contract, Grammar, Kind
from tapehouse.errors import FeedError
from tapehouse.kernel.timestamps import NS_PER_DAY, parse_iso8601

FAILED = "_failed_"

EPOCH_NS = {
    Grammar.EPOCH_S: 1_000_000_000,
    Grammar.EPOCH_MS: 1_000_000,
    Grammar.EPOCH_US: 1_000,
    Grammar.EPOCH_NS: 1,
}
_INTEGER = r"\A[+-]?[0-9]+\z"
_DOUBLE = r"\A[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\z"
_TRUE, _FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")
_INT64_MAX = (1 << 63) - 1
# Days of wall time that are searched for a change of clocks, at about 2 us each, before the general way is taken.
_PROBES_MAX = 10_000


def path_captures(contract: Contract, origin: str) -> Mapping[str, str]:
    """Named groups that the contract's `feed.path` expression finds in a batch's path.

    Raises FeedError when the contract has such an expression and the path does not match it.
    """
    if not contract.feed.path:
        return {}
    found = re.search(contract.feed.path, origin)
    if found is None:
        raise FeedError(
            f"the path does not match the contract's feed path {contract.feed.path!r}",
            path=origin,
            fix="keep the vendor's folder and file names, or change `path` of tapehouse.feed",
        )
    return {name: value for name, value in found.groupdict().items() if value is not None}


def parse(
    contract: Contract, frame: pl.DataFrame, failed: Mapping[str, pl.Series], captures: Mapping[str, str]
) -> pl.DataFrame:
    """Canonical columns of `frame`, in contract order, with `_failed_<column>` markers. Texts may stay categories.

    `failed` are the reader's own refusals, for the columns it typed itself. Columns the frame lacks become null.
    """
    parsed: list[pl.Series] = []
    for column in contract.columns:
        if column.name not in frame.columns:
            parsed.append(pl.Series(column.name, [None], polars_type(column)).new_from_index(0, frame.height))
            continue
        given = frame.get_column(column.name)
        value, refused = _typed(column, given, captures)
        if column.name in failed:
            refused = failed[column.name] if refused is None else refused | failed[column.name]
        if column.sentinels:
            value = value.cast(pl.String) if value.dtype == pl.Categorical else value
            value = value.set(value.is_in(list(column.sentinels)), None)
        parsed.append(value.alias(column.name))
        if refused is not None and refused.any():
            parsed.append(refused.alias(FAILED + column.name))
    return pl.DataFrame(parsed)


def polars_type(column: Column) -> pl.DataType:
    """Polars type of a column's canonical form."""
    return {
        Kind.INTEGER: pl.Int64(),
        Kind.DECIMAL: pl.Int64(),
        Kind.DOUBLE: pl.Float64(),
        Kind.STRING: pl.String(),
        Kind.BOOLEAN: pl.Boolean(),
        Kind.TIMESTAMP: pl.Int64(),
        Kind.DATE: pl.Date(),
    }[column.kind]


def _typed(column: Column, given: pl.Series, captures: Mapping[str, str]) -> tuple[pl.Series, pl.Series | None]:
    """Canonical values of one column, and where its grammar refused (None: nowhere, for sure)."""
    if column.kind == Kind.STRING:
        return given if given.dtype in (pl.String, pl.Categorical) else given.cast(pl.String), None
    if given.dtype != pl.String:
        return given.cast(polars_type(column)), None
    value = _GRAMMARS[column.grammar](column, given, captures)
    if value.null_count() == given.null_count():
        return value, None
    return value, value.is_null() & given.is_not_null()


def _where(value: pl.Series, good: pl.Series) -> pl.Series:
    """`value`, null wherever `good` is not true."""
    return value if good.all(ignore_nulls=False) else value.set(~good.fill_null(value=False), None)


def _fits(value: pl.Series, factor: int) -> pl.Series:
    """Whether `value * factor` stays within int64. Not by `abs`: the least int64 has none."""
    return value.is_between(-(_INT64_MAX // factor), _INT64_MAX // factor)


def _integer(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    return _where(text.cast(pl.Int64, strict=False), text.str.contains(_INTEGER))


def _hex(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    good = text.str.contains(r"\A(?:0[xX])?[0-9a-fA-F]{1,15}\z")
    return _where(text.str.strip_prefix("0x").str.strip_prefix("0X").str.to_integer(base=16, strict=False), good)


def _decimal(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    """Exact: the cast alone would round surplus decimals and take exponents, so the text is checked as well."""
    value = text.cast(pl.Decimal(38, column.scale), strict=False).to_physical()
    return _where(value.cast(pl.Int64, strict=False), text.str.contains(_decimal_pattern(column.scale)))


@lru_cache(maxsize=64)
def _decimal_pattern(scale: int) -> str:
    """At most `scale` decimals that are not trailing zeros."""
    bare = rf"[0-9]{{1,{scale}}}0*" if scale else "0+"
    return rf"\A[+-]?(?:[0-9]+(?:\.[0-9]{{0,{scale}}}0*)?|\.{bare})\z"


def _scaled(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    return rescale(_integer(column, text, captures), column)


def rescale(value: pl.Series, column: Column) -> pl.Series:
    """Integers of `source_scale` decimals to the column's scale; null where that would overflow int64."""
    shift = column.scale - column.source_scale
    if shift == 0:
        return value
    if shift < 0:
        factor = 10**-shift
        return _where(value // factor, value % factor == 0)
    factor = 10**shift
    return _where(value * factor, _fits(value, factor))


def _double(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    value = text.cast(pl.Float64, strict=False)
    return _where(value, text.str.contains(_DOUBLE) & value.is_finite())


def _boolean(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    lower = text.str.to_lowercase()
    values = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
    return lower.replace_strict(values, default=None, return_dtype=pl.Boolean)


def _iso8601(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    value, zoned = parse_iso8601(text)
    if zoned.all():
        return value
    if not column.zone:
        return _where(value, zoned)
    local = from_wall_time(value, column.zone)
    return local if not zoned.any() else value.zip_with(zoned, local)


def _epoch(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    return to_ns(_integer(column, text, captures), column.grammar)


def to_ns(value: pl.Series, grammar: Grammar) -> pl.Series:
    """Integers since the epoch in the grammar's unit to ns; null where that would overflow int64."""
    factor = EPOCH_NS[grammar]
    return value if factor == 1 else _where(value * factor, _fits(value, factor))


def _ms_of_day(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    return ms_of_day_to_ns(_integer(column, text, captures), column, captures)


def ms_of_day_to_ns(value: pl.Series, column: Column, captures: Mapping[str, str]) -> pl.Series:
    """Milliseconds since local midnight of the `date` in the batch's path to ns UTC; null outside [0, 24 h)."""
    written = captures.get("date", "")
    try:
        day = dt.date.fromisoformat(written)
    except ValueError as error:
        raise FeedError(
            f"column {column.name!r} counts from midnight of the path's date, but the path gives {written!r}",
            fix="let the contract's feed path capture (?P<date>...) as YYYYMMDD or YYYY-MM-DD",
        ) from error
    midnight = (day - dt.date(1970, 1, 1)).days * NS_PER_DAY
    good = (value >= 0) & (value < 86_400_000)
    return from_wall_time(_where(value * 1_000_000 + midnight, good), column.zone)


def from_wall_time(value: pl.Series, zone: str) -> pl.Series:
    """Wall-clock ns in `zone` to ns UTC: the earlier instant where clocks go back, null where they skip."""
    low, high = value.min(), value.max()
    if zone in ("", "UTC") or not isinstance(low, int) or not isinstance(high, int):
        return value
    offset = _one_offset(low, high, zone)
    if offset is not None:
        return value - offset
    local = value.cast(pl.Datetime("ns"))
    return local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").cast(pl.Int64)


def _one_offset(low: int, high: int, zone: str) -> int | None:
    """The zone's offset from UTC if it is the same from `low` to `high`, asked a day at a time; else None.

    The margin of a day at both ends keeps a change that lies just outside from being missed by the wall clock.
    """
    days = (high - low) // NS_PER_DAY + 3
    if days > _PROBES_MAX:
        return None
    offset = _utc_offset(low - NS_PER_DAY, zone)
    same = all(_utc_offset(low + (step - 1) * NS_PER_DAY, zone) == offset for step in range(1, days + 1))
    return offset if same else None


def _utc_offset(instant: int, zone: str) -> int:
    local = dt.datetime.fromtimestamp(instant // 1_000_000_000, tz=dt.UTC).replace(tzinfo=ZoneInfo(zone))
    offset = local.utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) * 1_000_000_000


def _strptime(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    zoned = any(directive in column.format for directive in ("%z", "%:z", "%#z", "%+"))
    value = text.str.to_datetime(column.format, time_unit="ns", strict=False, time_zone="UTC" if zoned else None)
    ns = value.cast(pl.Int64)
    return ns if zoned else from_wall_time(ns, column.zone)


def _date(column: Column, text: pl.Series, captures: Mapping[str, str]) -> pl.Series:
    if column.format:
        return text.str.to_date(column.format, strict=False)
    return _where(text.str.to_date("%Y-%m-%d", strict=False), text.str.contains(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"))


_GRAMMARS: Mapping[Grammar, Callable[[Column, pl.Series, Mapping[str, str]], pl.Series]] = {
    Grammar.INTEGER: _integer,
    Grammar.HEX: _hex,
    Grammar.DECIMAL: _decimal,
    Grammar.SCALED: _scaled,
    Grammar.DOUBLE: _double,
    Grammar.BOOLEAN: _boolean,
    Grammar.ISO8601: _iso8601,
    Grammar.EPOCH_S: _epoch,
    Grammar.EPOCH_MS: _epoch,
    Grammar.EPOCH_US: _epoch,
    Grammar.EPOCH_NS: _epoch,
    Grammar.MS_OF_DAY: _ms_of_day,
    Grammar.STRPTIME: _strptime,
    Grammar.DATE: _date,
}


def int64_values(series: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """An integer-backed series as int64, nulls as zero."""
    return series.to_physical().cast(pl.Int64).fill_null(0).to_numpy()

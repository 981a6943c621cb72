"""Derived tables: pure functions of the curated rows of one partition.

A derived partition is always computed from *all* curated rows of its partition, so late rows and replays give the same
table as one run over everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Column, Contract, Derivation, Kind, Role
from tapehouse.errors import ContractError, Problem
from tapehouse.kernel.order import sort_rows
from tapehouse.native.bars import Bars, bars
from tapehouse.native.columns import series_of

Int64s = npt.NDArray[np.int64]
_LOW_BITS = 20
_DOUBLE_EXACT = 1 << 53


def derive(contract: Contract, derivation: Derivation, curated: pl.DataFrame, *, stored: bool = False) -> pl.DataFrame:
    """Rows of `derivation` for one partition of curated rows, in any order; `stored`: in the order they are stored in,
    which may save sorting them.
    """
    sort = contract.partitioning.sort if stored else ()
    return _DERIVATIONS[derivation.kind](contract, derivation, curated, sort)


def derived_columns(contract: Contract, derivation: Derivation) -> tuple[Column, ...]:
    """Columns of the derived table, typed like contract columns; the first is its event time."""
    return _COLUMNS[derivation.kind](contract)


def _need(contract: Contract, derivation: str, role: Role) -> Column:
    column = contract.role(role)
    if column is None:
        message = f"derived table of kind {derivation!r} needs a column with role {role.value!r}"
        raise ContractError([Problem(message, path="tapehouse.derived", file=contract.source)])
    return column


def _like(column: Column, name: str, **changes: object) -> Column:
    """A derived column with the type of a contract column."""
    facts: dict[str, object] = {field: getattr(column, field) for field in column.__slots__}
    return Column(**(facts | {"name": name, "source": "", "role": None, "measure": False, "line": 0} | changes))  # type: ignore[arg-type]


def _bar_columns(contract: Contract) -> tuple[Column, ...]:
    time, symbol = _need(contract, "bars", Role.EVENT_TIME), _need(contract, "bars", Role.SYMBOL)
    price, size = _need(contract, "bars", Role.PRICE), _need(contract, "bars", Role.SIZE)
    prices = tuple(_like(price, name) for name in ("open", "high", "low", "close"))
    return (
        _like(time, "bar_start", role=Role.EVENT_TIME),
        _like(symbol, "symbol"),
        *prices,
        _like(size, "volume"),
        _like(price, "vwap", kind=Kind.DOUBLE, scale=0),
        _like(size, "trades", kind=Kind.INTEGER, scale=0),
    )


def _ordered(rows: pl.DataFrame, by: Sequence[str], known: Sequence[str]) -> pl.DataFrame:
    """Rows ordered by these columns; `known` are those they are ordered by already."""
    return rows if tuple(known[: len(by)]) == tuple(by) else sort_rows(rows, by)


def _bars(contract: Contract, derivation: Derivation, curated: pl.DataFrame, order: Sequence[str] = ()) -> pl.DataFrame:
    """Open, high, low, close, volume, VWAP and trade count per symbol and interval, of trades with price and size.

    `bar_start` is the start of the half-open interval in ns UTC. VWAP is sum(price * size) / sum(size), with both sums
    exact integers and one rounding at the division. A volume beyond 64 bits is null.
    """
    columns = _bar_columns(contract)
    time, symbol, price, size = (
        _need(contract, "bars", role).name for role in (Role.EVENT_TIME, Role.SYMBOL, Role.PRICE, Role.SIZE)
    )
    interval = int(derivation.params.get("interval_seconds", 60)) * 1_000_000_000
    rows = _ordered(curated.select(time, symbol, price, size).drop_nulls(), [symbol, time], order)
    if rows.height == 0:
        return _schema(columns).to_frame()
    values = [rows.get_column(name).to_numpy() for name in (time, price, size)]
    made = bars(values[0], _codes(rows.get_column(symbol)), values[1], values[2], interval)
    if made is None:
        made = _bars_by_columns(rows, values, interval)
    last = np.append(made.first[1:], rows.height) - 1
    scale = 10 ** (contract.column(price).scale)
    return pl.DataFrame(
        [
            series_of("bar_start", made.start),
            rows.get_column(symbol).gather(series_of("", made.first)).alias("symbol"),
            series_of("open", values[1][made.first]),
            series_of("high", made.high),
            series_of("low", made.low),
            series_of("close", values[1][last]),
            _volume(made.volume),
            _vwap(made, scale).alias("vwap"),
            series_of("trades", last - made.first + 1),
        ]
    ).cast(_schema(columns))


def _codes(symbols: pl.Series) -> npt.NDArray[np.uint32]:
    """A number per symbol, equal where the symbols are."""
    known = symbols if symbols.dtype == pl.Categorical else symbols.cast(pl.Categorical)
    return known.to_physical().to_numpy()


def _below(values: Int64s, limit: int) -> bool:
    return values.dtype == np.int64 and bool(((values < limit) & (values > -limit)).all())


def _volume(volume: npt.NDArray[np.generic]) -> pl.Series:
    if volume.dtype == np.int64:
        return series_of("volume", volume)
    return pl.Series("volume", [one if abs(one) < 1 << 63 else None for one in volume.tolist()], dtype=pl.Int64)


def _bars_by_columns(rows: pl.DataFrame, values: Sequence[Int64s], interval: int) -> Bars:
    """What the compiled loop makes, from whole columns, and exactly also where sums leave 64 bits: then they are
    arrays of Python's integers.
    """
    times, prices, sizes = values
    starts = times // interval * interval
    starts = np.where(starts > times, np.iinfo(np.int64).min, starts)  # the first bar of all begins before 64 bits do
    codes = _codes(rows.to_series(1))
    first = np.concatenate(([0], np.flatnonzero((starts[1:] != starts[:-1]) | (codes[1:] != codes[:-1])) + 1))
    high, low = prices >> _LOW_BITS, prices & ((1 << _LOW_BITS) - 1)
    part = max(-int(high.min()), int(high.max()), 1 << _LOW_BITS)
    if part * np.abs(sizes.astype(np.float64)).sum() >= 1 << 62:
        high, low, sizes = high.astype(object), low.astype(object), sizes.astype(object)
    return Bars(
        first,
        starts[first],
        np.maximum.reduceat(prices, first),
        np.minimum.reduceat(prices, first),
        np.add.reduceat(sizes, first),
        np.add.reduceat(high * sizes, first),
        np.add.reduceat(low * sizes, first),
    )


def _vwap(made: Bars, scale: int) -> pl.Series:
    """Exact notional per bar over exact volume, rounded once."""
    small = _below(made.notional_high, 1 << (62 - _LOW_BITS)) and _below(made.notional_low, 1 << 62)
    notional = (made.notional_high << _LOW_BITS) + made.notional_low
    if small and _below(notional, _DOUBLE_EXACT) and _below(made.volume, _DOUBLE_EXACT // scale):
        # Doubles hold both exactly, so their quotient is rounded once too.
        with np.errstate(all="ignore"):
            ratio = notional.astype(np.float64) / (made.volume * scale).astype(np.float64)
        return series_of("", ratio).set(series_of("", made.volume == 0), None)
    parts = zip(made.notional_high.tolist(), made.notional_low.tolist(), made.volume.tolist(), strict=True)
    ratios = [((high << _LOW_BITS) + low) / (shares * scale) if shares else None for high, low, shares in parts]
    return pl.Series(ratios, dtype=pl.Float64)


def _bbo_columns(contract: Contract) -> tuple[Column, ...]:
    time, symbol = _need(contract, "bbo", Role.EVENT_TIME), _need(contract, "bbo", Role.SYMBOL)
    sides = [contract.role(role) for role in (Role.BID, Role.BID_SIZE, Role.ASK, Role.ASK_SIZE)]
    _need(contract, "bbo", Role.BID), _need(contract, "bbo", Role.ASK)
    return (
        _like(time, time.name, role=Role.EVENT_TIME),
        _like(symbol, symbol.name),
        *(_like(side, side.name) for side in sides if side is not None),
    )


def _bbo(contract: Contract, derivation: Derivation, curated: pl.DataFrame, order: Sequence[str] = ()) -> pl.DataFrame:
    """Best bid and offer after every quote that changed it, each side carried forward per symbol (null: not yet seen).

    Quotes without a symbol belong to no book. A null side means "not updated". Sizes are carried with their side.
    """
    columns = _bbo_columns(contract)
    time, symbol, *sides = (column.name for column in columns)
    carried = [pl.col(side).forward_fill().over(symbol, mapping_strategy="group_to_rows") for side in sides]
    rows = _ordered(curated.drop_nulls([symbol]), [symbol, time], order).select(time, symbol, *carried)
    changed = pl.any_horizontal([pl.col(side).ne_missing(pl.col(side).shift(1)) for side in sides])
    new_symbol = pl.col(symbol).ne_missing(pl.col(symbol).shift(1))
    return rows.filter(changed | new_symbol).cast(_schema(columns))


def _schema(columns: tuple[Column, ...]) -> pl.Schema:
    types: dict[Kind, pl.DataType] = {Kind.DOUBLE: pl.Float64(), Kind.STRING: pl.String(), Kind.DATE: pl.Date()}
    return pl.Schema({column.name: types.get(column.kind, pl.Int64()) for column in columns})


_DERIVATIONS: Mapping[str, Callable[[Contract, Derivation, pl.DataFrame, Sequence[str]], pl.DataFrame]] = {
    "bars": _bars,
    "bbo": _bbo,
}
_COLUMNS: Mapping[str, Callable[[Contract], tuple[Column, ...]]] = {"bars": _bar_columns, "bbo": _bbo_columns}

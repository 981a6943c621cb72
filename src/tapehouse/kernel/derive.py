"""Derived tables: pure functions of the curated rows of one partition.

A derived partition is always computed from *all* curated rows of its partition, so late rows and replays give the same
table as one run over everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Column, Contract, Derivation, Kind, Role
from tapehouse.errors import ContractError, Problem
from tapehouse.kernel.order import sort_rows

Int64s = npt.NDArray[np.int64]
_LOW_BITS = 20


def derive(contract: Contract, derivation: Derivation, curated: pl.DataFrame) -> pl.DataFrame:
    """Rows of `derivation` for one partition of curated rows (any order)."""
    return _DERIVATIONS[derivation.kind](contract, derivation, curated)


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


def _bars(contract: Contract, derivation: Derivation, curated: pl.DataFrame) -> pl.DataFrame:
    """Open, high, low, close, volume, VWAP and trade count per symbol and interval, of trades with price and size.

    `bar_start` is the start of the half-open interval in ns UTC. VWAP is sum(price * size) / sum(size), with both sums
    exact integers and one rounding at the division. A volume beyond 64 bits is null.
    """
    columns = _bar_columns(contract)
    time, symbol, price, size = (
        _need(contract, "bars", role).name for role in (Role.EVENT_TIME, Role.SYMBOL, Role.PRICE, Role.SIZE)
    )
    interval = int(derivation.params.get("interval_seconds", 60)) * 1_000_000_000
    rows = sort_rows(curated.select(time, symbol, price, size).drop_nulls(), [symbol, time])
    if rows.height == 0:
        return _schema(columns).to_frame()
    times = rows.get_column(time).to_numpy()
    starts = times // interval * interval
    starts = np.where(starts > times, np.iinfo(np.int64).min, starts)  # the first bar of all begins before 64 bits do
    change = (starts[1:] != starts[:-1]) | (rows.get_column(symbol) != rows.get_column(symbol).shift(1)).fill_null(
        value=True
    ).to_numpy()[1:]
    first = np.concatenate(([0], np.flatnonzero(change) + 1))
    last = np.append(first[1:], rows.height) - 1
    prices, sizes = rows.get_column(price).to_numpy(), rows.get_column(size).to_numpy()
    volume = _volumes(sizes, first)
    scale = 10 ** (contract.column(price).scale)
    return pl.DataFrame(
        [
            pl.Series("bar_start", starts[first]),
            rows.get_column(symbol).gather(pl.Series(first)).alias("symbol"),
            pl.Series("open", prices[first]),
            pl.Series("high", np.maximum.reduceat(prices, first)),
            pl.Series("low", np.minimum.reduceat(prices, first)),
            pl.Series("close", prices[last]),
            pl.Series("volume", [one if abs(one) < 1 << 63 else None for one in volume], dtype=pl.Int64),
            pl.Series("vwap", _vwap(prices, sizes, first, volume, scale)),
            pl.Series("trades", last - first + 1),
        ]
    ).cast(_schema(columns))


def _volumes(sizes: Int64s, first: Int64s) -> list[int]:
    """Sum of sizes per bar, exact although it may exceed 64 bits."""
    wide = np.abs(sizes.astype(np.float64)).sum() >= 1 << 62
    volumes: list[int] = np.add.reduceat(sizes.astype(object) if wide else sizes, first).tolist()
    return volumes


def _vwap(prices: Int64s, sizes: Int64s, first: Int64s, volume: list[int], scale: int) -> list[float | None]:
    """Exact notional per bar over exact volume, rounded once."""
    return [
        total / (shares * scale) if shares else None
        for total, shares in zip(_notionals(prices, sizes, first), volume, strict=True)
    ]


def _notionals(prices: Int64s, sizes: Int64s, first: Int64s) -> list[int]:
    """Sum of price x size per bar, exact although it may exceed 64 bits: high and low parts of prices summed apart.

    Sizes so large that even the parts could overflow are multiplied as Python integers: slow, and right.
    """
    high, low = prices >> _LOW_BITS, prices & ((1 << _LOW_BITS) - 1)
    part = max(-int(high.min()), int(high.max()), 1 << _LOW_BITS)
    if part * np.abs(sizes.astype(np.float64)).sum() >= 1 << 62:
        exact: list[int] = np.add.reduceat(prices.astype(object) * sizes.astype(object), first).tolist()
        return exact
    highs, lows = np.add.reduceat(high * sizes, first), np.add.reduceat(low * sizes, first)
    return [(a << _LOW_BITS) + b for a, b in zip(highs.tolist(), lows.tolist(), strict=True)]


def _bbo_columns(contract: Contract) -> tuple[Column, ...]:
    time, symbol = _need(contract, "bbo", Role.EVENT_TIME), _need(contract, "bbo", Role.SYMBOL)
    sides = [contract.role(role) for role in (Role.BID, Role.BID_SIZE, Role.ASK, Role.ASK_SIZE)]
    _need(contract, "bbo", Role.BID), _need(contract, "bbo", Role.ASK)
    return (
        _like(time, time.name, role=Role.EVENT_TIME),
        _like(symbol, symbol.name),
        *(_like(side, side.name) for side in sides if side is not None),
    )


def _bbo(contract: Contract, derivation: Derivation, curated: pl.DataFrame) -> pl.DataFrame:
    """Best bid and offer after every quote that changed it, each side carried forward per symbol (null: not yet seen).

    Quotes without a symbol belong to no book. A null side means "not updated". Sizes are carried with their side.
    """
    columns = _bbo_columns(contract)
    time, symbol, *sides = (column.name for column in columns)
    carried = [pl.col(side).forward_fill().over(symbol, mapping_strategy="group_to_rows") for side in sides]
    rows = sort_rows(curated.drop_nulls([symbol]), [symbol, time]).select(time, symbol, *carried)
    changed = pl.any_horizontal([pl.col(side).ne_missing(pl.col(side).shift(1)) for side in sides])
    new_symbol = pl.col(symbol).ne_missing(pl.col(symbol).shift(1))
    return rows.filter(changed | new_symbol).cast(_schema(columns))


def _schema(columns: tuple[Column, ...]) -> pl.Schema:
    types: dict[Kind, pl.DataType] = {Kind.DOUBLE: pl.Float64(), Kind.STRING: pl.String(), Kind.DATE: pl.Date()}
    return pl.Schema({column.name: types.get(column.kind, pl.Int64()) for column in columns})


_DERIVATIONS: Mapping[str, Callable[[Contract, Derivation, pl.DataFrame], pl.DataFrame]] = {
    "bars": _bars,
    "bbo": _bbo,
}
_COLUMNS: Mapping[str, Callable[[Contract], tuple[Column, ...]]] = {"bars": _bar_columns, "bbo": _bbo_columns}

"""Bars and best bid and offer against a loop over single trades and quotes, with exact fractions."""

from __future__ import annotations

import random
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapehouse.contracts.model import Derivation, Kind, Role
from tapehouse.errors import ContractError
from tapehouse.kernel.derive import derive, derived_columns

from .support import BARS, PRICE, SIZE, SYMBOL, TIME, TRADES, column, contract

SCHEMA = {"t": pl.Int64, "r": pl.Int64, "s": pl.String, "p": pl.Int64, "q": pl.Int64}
MINUTE = 60 * 10**9
Trade = tuple[int | None, int, str | None, int | None, int | None]


def trades(prices: st.SearchStrategy[int], sizes: st.SearchStrategy[int]) -> st.SearchStrategy[list[Trade]]:
    return st.lists(
        st.tuples(
            st.one_of(st.none(), *[st.integers(-3 * MINUTE, 5 * MINUTE)] * 4),
            st.just(0),
            st.sampled_from(("A", "AA", "é", "NA", None)),
            st.one_of(st.none(), *[prices] * 6),
            st.one_of(st.none(), *[sizes] * 6),
        ),
        max_size=30,
    )


def slow_bars(rows: list[Trade], seconds: int) -> list[tuple[object, ...]]:
    """(start, symbol, open, high, low, close, volume, VWAP as a fraction, trades), by symbol and start."""
    step, bars = seconds * 10**9, dict[tuple[str, int], list[tuple[int, int, int]]]()
    for time, _, symbol, price, size in rows:
        if time is not None and symbol is not None and price is not None and size is not None:
            bars.setdefault((symbol, time - time % step), []).append((time, price, size))
    out: list[tuple[object, ...]] = []
    for (symbol, start), members in sorted(bars.items(), key=lambda item: (item[0][0].encode(), item[0][1])):
        members.sort(key=lambda trade: trade[0])
        prices, volume = [price for _, price, _ in members], sum(size for _, _, size in members)
        notional = Fraction(sum(price * size for _, price, size in members), 10**PRICE.scale)
        vwap = notional / volume if volume else None
        out.append((start, symbol, prices[0], max(prices), min(prices), prices[-1], volume, vwap, len(members)))
    return out


def check(rows: list[Trade], seconds: int = 60) -> None:
    made = derive(
        TRADES, Derivation("b", "bars", {"interval_seconds": seconds}), pl.DataFrame(rows, SCHEMA, orient="row")
    )
    wanted = slow_bars(rows, seconds)
    exact = [(*bar[:7], None if bar[7] is None else float(bar[7]), bar[8]) for bar in wanted]  # type: ignore[arg-type]
    assert made.rows() == exact


@settings(deadline=None, max_examples=120)
@given(trades(st.integers(1, 10**8), st.integers(1, 10**6)), st.sampled_from((1, 60, 300)))
def test_bars_of_ordinary_trades(rows: list[Trade], seconds: int) -> None:
    check(rows, seconds)


@settings(deadline=None, max_examples=120)
@given(trades(st.integers(-(10**9), 10**17), st.integers(-5, 4 * 10**11)))
@example([(0, 0, "A", 10**17, 4 * 10**11), (1, 0, "A", 10**17 - 1, 4 * 10**11)] * 10)
@example([(0, 0, "A", 5, 2), (1, 0, "A", 7, -2)])
def test_vwap_is_one_rounding_of_the_exact_quotient_however_large(rows: list[Trade]) -> None:
    """Price times size of a single trade already exceeds 64 bits here."""
    check(rows)


@settings(deadline=None, max_examples=60)
@given(trades(st.integers(1, 10**8), st.integers(1, 10**6)), st.randoms(use_true_random=False))
def test_bars_do_not_depend_on_the_order_of_rows_but_for_ties(rows: list[Trade], chance: random.Random) -> None:
    unique = list({(row[0], row[2]): row for row in rows}.values())
    frame = pl.DataFrame(unique, SCHEMA, orient="row")
    shuffled = pl.DataFrame(chance.sample(unique, len(unique)), SCHEMA, orient="row")
    assert derive(TRADES, BARS, frame).equals(derive(TRADES, BARS, shuffled))


def test_of_trades_in_the_same_nanosecond_the_first_opens_and_the_last_closes() -> None:
    rows: list[Trade] = [(5, 0, "A", price, 1) for price in (3, 9, 1, 7)]
    assert derive(TRADES, BARS, pl.DataFrame(rows, SCHEMA, orient="row")).row(0)[2:6] == (3, 9, 1, 7)


def test_columns_of_bars_have_the_types_of_their_sources() -> None:
    made = {one.name: one for one in derived_columns(TRADES, BARS)}
    assert list(made) == ["bar_start", "symbol", "open", "high", "low", "close", "volume", "vwap", "trades"]
    assert (made["open"].kind, made["open"].scale) == (Kind.DECIMAL, 4)
    assert made["vwap"].kind == Kind.DOUBLE
    assert made["bar_start"].role == Role.EVENT_TIME
    assert not any(one.measure for one in made.values())
    empty = derive(TRADES, BARS, pl.DataFrame(schema=SCHEMA))
    assert empty.columns == list(made)
    assert empty.schema == derive(TRADES, BARS, pl.DataFrame([(1, 0, "A", 1, 1)], SCHEMA, orient="row")).schema


@pytest.mark.parametrize("missing", [SYMBOL, PRICE, SIZE])
def test_bars_without_a_column_they_need_are_a_contract_error(missing: object) -> None:
    made = contract(*(one for one in (TIME, SYMBOL, PRICE, SIZE) if one is not missing))
    with pytest.raises(ContractError, match="needs a column with role"):
        derived_columns(made, BARS)


BBO = Derivation("bbo", "bbo")
QUOTES = contract(
    TIME,
    SYMBOL,
    column("bid", Kind.DECIMAL, role=Role.BID, scale=4),
    column("bid_size", Kind.INTEGER, role=Role.BID_SIZE),
    column("ask", Kind.DECIMAL, role=Role.ASK, scale=4),
    column("ask_size", Kind.INTEGER, role=Role.ASK_SIZE),
)
Quote = tuple[int, str | None, int | None, int | None, int | None, int | None]
SIDE = st.one_of(st.none(), st.integers(1, 3))


def slow_bbo(rows: list[Quote]) -> list[tuple[object, ...]]:
    """After each quote of a symbol that changed it: time, symbol, bid and its size, ask and its size."""
    rows = [row for row in rows if row[1] is not None]
    out: list[tuple[object, ...]] = []
    book: dict[str | None, list[int | None]] = {}
    for time, symbol, *sides in sorted(rows, key=lambda row: (str(row[1]).encode(), row[0])):
        before = book.get(symbol)
        now = [new if new is not None else old for new, old in zip(sides, before or [None] * 4, strict=True)]
        if now != before:
            out.append((time, symbol, *now))
        book[symbol] = now
    return out


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(("A", "B", "é", None)), SIDE, SIDE, SIDE, SIDE), max_size=30)
)
def test_best_bid_and_offer_carry_each_side_forward(rows: list[Quote]) -> None:
    schema = {
        "t": pl.Int64,
        "s": pl.String,
        "bid": pl.Int64,
        "bid_size": pl.Int64,
        "ask": pl.Int64,
        "ask_size": pl.Int64,
    }
    made = derive(QUOTES, BBO, pl.DataFrame(rows, schema, orient="row"))
    assert made.rows() == slow_bbo(rows)
    assert made.columns == [one.name for one in derived_columns(QUOTES, BBO)]


def test_a_volume_beyond_64_bits_is_null_and_its_vwap_exact() -> None:
    most = (1 << 63) - 1
    rows = pl.DataFrame([(0, 0, "A", 10**PRICE.scale, most), (1, 0, "A", 10**PRICE.scale, most)], SCHEMA, orient="row")
    made = derive(TRADES, Derivation("b", "bars", {"interval_seconds": 60}), rows)
    assert made.select("volume", "vwap", "trades").rows() == [(None, 1.0, 2)]


def test_the_bar_of_the_first_instant_of_64_bits_does_not_wrap_to_the_last() -> None:
    first = -(1 << 63)
    rows = pl.DataFrame([(first, 0, "A", 1, 1)], SCHEMA, orient="row")
    made = derive(TRADES, Derivation("b", "bars", {"interval_seconds": 60}), rows)
    assert made["bar_start"].to_list() == [first]

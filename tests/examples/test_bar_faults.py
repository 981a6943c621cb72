"""The evaluation of `BarFault` itself: any input is survived, and scaled or keyed columns mean the same."""

from __future__ import annotations

import math
from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tapehouse.contracts.expr import Col, Scope
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.kernel.adjustments import bar_faults

from .bars import PAID, history

PRICES = ("open", "high", "low", "close", "adjusted", "dividend", "split", "gains")
SCALE = 6


def _node(answer: str = "faults", *, scale: int = 0, by: tuple[str, ...] = ()) -> BarFault:
    columns = {name: Col(name) for name in (*PRICES, "volume")}
    scales = tuple(scale if name not in ("split",) else 0 for name in PRICES)
    return BarFault(at=Col("at"), **columns, by=by, scales=scales, unit_factor=100.0, material=0.005, answer=answer)  # type: ignore[arg-type]


def _frame() -> pl.DataFrame:
    """A history whose second dividend was not adjusted for."""
    bars = history()
    bars.adjust({PAID[1]: 0.0})
    frame = bars.frame().rename(
        {"adj_close": "adjusted", "dividends": "dividend", "splits": "split", "capital_gains": "gains"}
    )
    days = [date(2022, 1, 3) + timedelta(days=row) for row in range(frame.height)]
    return frame.with_columns(pl.exclude("day", "symbol").cast(pl.Float64), at=pl.Series(days))


def test_sees_the_whole_batch() -> None:
    assert _node().scope == Scope.BATCH
    assert set(_node(by=("symbol",)).columns()) == {*PRICES, "volume", "at", "symbol"}


def test_scaled_integers_mean_the_same_as_doubles() -> None:
    frame = _frame()
    scaled = frame.with_columns(
        (pl.col(name) * 10**SCALE).round().cast(pl.Int64) for name in PRICES if name != "split"
    ).with_columns(pl.col("volume").cast(pl.Int64))
    plain = bar_faults(frame, _node())
    assert plain.to_list() == [BarFault.FACTOR] * PAID[1] + [0] * (frame.height - PAID[1])
    assert bar_faults(scaled, _node(scale=SCALE)).to_list() == plain.to_list()


def test_keys_are_judged_apart_and_keep_their_rows() -> None:
    frame = _frame()
    both = pl.concat([frame.with_columns(key=pl.lit(name)) for name in ("a", "b")]).sample(
        fraction=1.0, shuffle=True, seed=1
    )
    found = both.with_columns(fault=bar_faults(both, _node(by=("key",))))
    assert found.filter(pl.col("fault") != 0).group_by("key").len().sort("key").rows() == [
        ("a", PAID[1]),
        ("b", PAID[1]),
    ]


def test_words_stand_exactly_where_a_fault_is() -> None:
    frame = _frame()
    faults = bar_faults(frame, _node())
    for answer in ("observed", "expected"):
        assert bar_faults(frame, _node(answer)).is_not_null().to_list() == (faults != 0).to_list()


def test_no_rows_and_no_prices() -> None:
    frame = _frame()
    assert bar_faults(frame.head(0), _node()).to_list() == []
    blank = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias("close"))
    assert set(bar_faults(blank, _node()).to_list()) == {0}
    assert set(bar_faults(frame.with_columns(volume=pl.lit(None, dtype=pl.Float64)), _node()).head(5).to_list()) == {8}


_AMOUNT = st.one_of(
    st.none(), st.floats(-5, 500), st.sampled_from([0.0, 1e-12, 1e12, math.inf, -math.inf, math.nan]), st.just(10.0)
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[_AMOUNT] * 9, st.integers(0, 30)), max_size=25))
def test_any_bars_are_survived(rows: list[tuple[float | None, ...]]) -> None:
    schema = {**dict.fromkeys((*PRICES, "volume"), pl.Float64), "at": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("at") * 86_400_000_000_000)
    faults = bar_faults(frame, _node())
    assert len(faults) == len(rows)
    assert faults.null_count() == 0
    priced = (frame["close"] > 0).fill_null(False).to_list()
    assert not any(fault for fault, known in zip(faults.to_list(), priced, strict=True) if not known)
    assert bar_faults(frame, _node("expected")).is_not_null().to_list() == (faults != 0).to_list()

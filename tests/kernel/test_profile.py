"""Profiles: equal to counting by hand, and the same however the rows were sliced."""

from __future__ import annotations

import math
from itertools import pairwise

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapehouse.contracts.expr import Lit
from tapehouse.contracts.model import Contract, RowRule
from tapehouse.kernel.parse import FAILED
from tapehouse.kernel.profile import QUANTILES, Profile, profile

from .support import PRICE, RECEIVED, SIZE, SYMBOL, TIME, contract

RULES = tuple(RowRule(code, "expression", Lit(value=False)) for code in ("one", "two", "three"))
MADE: Contract = Contract(
    **{
        **{name: getattr(contract(TIME, RECEIVED, SYMBOL, PRICE, SIZE), name) for name in Contract.__slots__},
        "rules": RULES,
    }
)
SCHEMA = {
    "t": pl.Int64, "r": pl.Int64, "s": pl.String, "p": pl.Int64, "q": pl.Int64,
    FAILED + "p": pl.Boolean, "_broken": pl.UInt64,
}  # fmt: skip
NUMBER = st.one_of(st.none(), st.integers(-(10**15), 10**15))
ROWS = st.lists(
    st.tuples(NUMBER, NUMBER, st.sampled_from(("A", None)), NUMBER, NUMBER, st.booleans(), st.integers(0, 7)),
    max_size=30,
)
Rows = list[tuple[int | None, int | None, str | None, int | None, int | None, bool, int]]


def told(rows: Rows) -> Profile:
    frame = pl.DataFrame(rows, SCHEMA, orient="row")
    return profile(MADE, frame if any(row[5] for row in rows) else frame.drop(FAILED + "p"))


@settings(deadline=None, max_examples=100)
@given(ROWS, st.lists(st.integers(0, 30), max_size=4))
def test_slicing_never_shows(rows: Rows, cuts: list[int]) -> None:
    bounds = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    merged = Profile()
    for low, high in pairwise(bounds):
        merged = merged + told(rows[low:high])
    if rows:
        assert merged == told(rows)
    assert merged + Profile() == merged == Profile() + merged


@settings(deadline=None, max_examples=100)
@given(ROWS)
def test_a_profile_is_what_one_counts_by_hand(rows: Rows) -> None:
    made = told(rows)
    for at, name in enumerate(("t", "r", "s", "p", "q")):
        present = [row[at] for row in rows if row[at] is not None]
        seen = made.columns[name]
        assert (seen.rows, seen.nulls) == (len(rows), len(rows) - len(present))
        assert seen.failed == (sum(row[5] for row in rows) if name == "p" else 0)
        if name != "s":
            assert (seen.low, seen.high) == (min(present, default=None), max(present, default=None))
    counts = {code: sum(row[6] >> bit & 1 for row in rows) for bit, code in enumerate(("one", "two", "three"))}
    assert made.rules == {code: count for code, count in counts.items() if count}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(st.integers(0, 10**6), st.integers(-(10**12), 10**15)), min_size=1, max_size=60))
@example([0])
@example([-5, -1, 0])
@example([1, 2, 3, 10**18])
def test_lateness_quantiles_are_right_to_a_sixteenth(delays: list[int]) -> None:
    rows: Rows = [(1_000, 1_000 + delay, "A", 1, 1, False, 0) for delay in delays]
    ordered = sorted(max(delay, 0) for delay in delays)
    found = told(rows).lateness_quantiles()
    assert list(found) == list(QUANTILES)
    for quantile, value in found.items():
        exact = ordered[max(1, math.ceil(quantile * len(ordered))) - 1]
        assert value <= exact
        assert exact - value <= exact / 16 + 1, (quantile, value, exact)


def test_no_lateness_without_both_times() -> None:
    rows: Rows = [(None, 5, "A", 1, 1, False, 0), (5, None, "A", 1, 1, False, 0)]
    assert told(rows).lateness_quantiles() == {}
    bare = contract(TIME, SYMBOL)
    assert (
        profile(bare, pl.DataFrame({"t": [1], "s": ["A"], "_broken": pl.Series([0], dtype=pl.UInt64)})).lateness == {}
    )

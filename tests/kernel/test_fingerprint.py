"""Fingerprints and sums of sets of rows (I1): additive, free of order, and moved by any change of any row."""

from __future__ import annotations

import datetime as dt
import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapehouse.contracts.model import Kind
from tapehouse.kernel.fingerprint import Tally, batch_salt, exact_sum, tally, tally_by_batch, total

from .support import column

COLUMNS = (
    column("i", Kind.INTEGER, measure=True),
    column("d", Kind.DECIMAL, scale=4, measure=True),
    column("f", Kind.DOUBLE),
    column("s", Kind.STRING),
    column("b", Kind.BOOLEAN),
    column("t", Kind.TIMESTAMP),
    column("day", Kind.DATE),
)
SCHEMA = {
    "i": pl.Int64, "d": pl.Int64, "f": pl.Float64, "s": pl.String, "b": pl.Boolean, "t": pl.Int64, "day": pl.Date,
    "_batch": pl.UInt32, "_row": pl.Int64,
}  # fmt: skip
SALTS = np.array([batch_salt(f"{number:064x}"[::-1]) for number in (11, 222, 3333)], np.uint64)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
Row = tuple[object, ...]


def maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), strategy, strategy)


VALUES = st.tuples(
    maybe(INT64),
    maybe(st.integers(-(10**6), 10**6)),
    maybe(st.floats(allow_nan=False, allow_infinity=False)),
    maybe(st.text(max_size=5)),
    maybe(st.booleans()),
    maybe(st.integers(0, 2 * 10**18)),
    maybe(st.dates()),
)


@st.composite
def rows_of(draw: st.DrawFn, least: int = 0) -> list[Row]:
    """Rows with distinct (batch, record number)."""
    values = draw(st.lists(VALUES, min_size=least, max_size=12))
    identities = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 10**9)), min_size=len(values), max_size=len(values), unique=True
        )
    )
    return [value + identity for value, identity in zip(values, identities, strict=True)]


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def told(rows: list[Row]) -> Tally:
    return tally(frame(rows), COLUMNS, SALTS)


@settings(deadline=None, max_examples=100)
@given(rows_of(), st.randoms(use_true_random=False), st.lists(st.integers(0, 12), max_size=4))
def test_order_and_slicing_never_show(rows: list[Row], chance: random.Random, cuts: list[int]) -> None:
    whole = told(rows)
    shuffled = chance.sample(rows, len(rows))
    bounds = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    parts = [told(shuffled[low:high]) for low, high in pairwise(bounds)]
    assert total(parts) == whole if parts else whole.rows == 0
    assert whole.rows == len(rows)
    for at, name in ((0, "i"), (1, "d")):
        assert whole.sums[name] == sum(row[at] or 0 for row in rows)


@settings(deadline=None, max_examples=150)
@given(rows_of(least=1), st.data())
def test_any_change_of_one_value_shows(rows: list[Row], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    which = data.draw(st.integers(0, len(SCHEMA) - 1))
    row = list(rows[at])
    pool = [*VALUES.wrapped_strategy.element_strategies, st.integers(0, 2), st.integers(0, 10**9)]  # type: ignore[attr-defined]
    row[which] = data.draw(pool[which])
    changed = [*rows[:at], tuple(row), *rows[at + 1 :]]
    same = row[which] == rows[at][which] or (which == 3 and _length(row[3]) == _length(rows[at][3]))
    assert (told(changed).fingerprint == told(rows).fingerprint) == same


def _length(text: object) -> int | None:
    return None if text is None else len(str(text).encode())


@settings(deadline=None, max_examples=80)
@given(rows_of(least=2), st.data())
def test_rows_lost_doubled_or_with_values_swapped_show(rows: list[Row], data: st.DataObject) -> None:
    whole = told(rows).fingerprint
    one, other = data.draw(st.permutations(range(len(rows))))[:2]
    assert told(rows[:one] + rows[one + 1 :]).fingerprint != whole
    assert told([*rows, rows[one]]).fingerprint != whole
    assert told([row for at, row in enumerate(rows) if at != one] + [rows[other]]).fingerprint != whole
    for which in range(7):
        a, b = list(rows[one]), list(rows[other])
        a[which], b[which] = b[which], a[which]
        swapped = [tuple(a) if at == one else tuple(b) if at == other else row for at, row in enumerate(rows)]
        alike = rows[one][which] == rows[other][which]
        if which == 3:
            alike = _length(rows[one][3]) == _length(rows[other][3])
        assert (told(swapped).fingerprint == whole) == alike, which


def test_a_null_is_no_zero_and_minus_zero_is_zero() -> None:
    day = dt.date(1970, 1, 1)
    base: Row = (0, 0, 0.0, "", False, 0, day, 0, 7)
    seen = {told([base]).fingerprint}
    for which in range(7):
        row = list(base)
        row[which] = None
        seen.add(told([tuple(row)]).fingerprint)
    assert len(seen) == 8
    assert told([(0, 0, -0.0, "", False, 0, day, 0, 7)]) == told([base])


@settings(deadline=None, max_examples=80)
@given(rows_of())
def test_by_batch_is_the_tally_of_each_batch(rows: list[Row]) -> None:
    batches = sorted({int(str(row[-2])) for row in rows})
    wanted = {batch: told([row for row in rows if row[-2] == batch]) for batch in batches}
    assert tally_by_batch(frame(rows), COLUMNS, SALTS) == wanted
    assert tally_by_batch(frame(rows).clear(), COLUMNS, SALTS) == {}


@settings(deadline=None, max_examples=80)
@given(st.lists(st.one_of(st.none(), INT64), max_size=50))
@example([(1 << 63) - 1] * 9)
@example([-(1 << 63)] * 9)
def test_sums_are_exact_beyond_64_bits(values: list[int | None]) -> None:
    assert exact_sum(pl.Series(values, dtype=pl.Int64)) == sum(value or 0 for value in values)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.one_of(st.none(), st.floats(-(2.0**42), 2.0**42)), max_size=50), st.randoms(use_true_random=False))
def test_sums_of_doubles_do_not_depend_on_order(values: list[float | None], chance: random.Random) -> None:
    whole = exact_sum(pl.Series(values, dtype=pl.Float64))
    assert exact_sum(pl.Series(chance.sample(values, len(values)), dtype=pl.Float64)) == whole
    exact = sum(Fraction(value or 0) for value in values) * (1 << 20)
    assert abs(whole - exact) <= Fraction(len(values), 2)


def test_more_rows_than_one_block() -> None:
    rows = (
        frame([]).clear(40_000).with_columns(pl.int_range(40_000).alias("_row"), pl.lit(1, pl.UInt32).alias("_batch"))
    )
    parts = [tally(rows[start : start + 7_000], COLUMNS, SALTS) for start in range(0, 40_000, 7_000)]
    assert total(parts) == tally(rows, COLUMNS, SALTS)
    assert total([]) == Tally()


def test_fingerprints_are_stable_for_ever() -> None:
    """They are stored in lakes: a change of this number makes every proof written before unreadable."""
    row: Row = (-5, 1_690_000, 0.25, "AAPL", True, 1_709_908_200_000_000_123, dt.date(2024, 3, 8), 1, 42)
    assert told([row]).fingerprint == STABLE


STABLE = 14_842_720_291_921_147_142

"""Sorting and partitioning against `sorted` and `datetime`."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapehouse.contracts.model import Kind, Partitioning
from tapehouse.kernel.order import packed_order, partition_ids, partition_label, sort_rows, split

from .support import TIME, column, contract

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
SMALL = st.integers(-3, 3)
NAMES = st.sampled_from(("", "A", "AA", "a", "Z", "é", "z", "日本", "\U0001f600", "\uffff", "NA"))
KEYS = {
    "small": (SMALL, pl.Int64),
    "wide": (INT64, pl.Int64),
    "time": (st.integers(1_709_500_000_000_000_000, 1_709_500_000_000_000_009), pl.Int64),
    "name": (NAMES, pl.String),
    "text": (st.text(max_size=3), pl.String),
    "count": (st.integers(0, 5), pl.UInt32),
    "category": (NAMES, pl.Categorical),
}


@st.composite
def keyed(draw: st.DrawFn, nulls: bool = False) -> tuple[pl.DataFrame, list[str]]:
    """A frame with one to three key columns and its own row number `n`."""
    names = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=3, unique=True))
    size = draw(st.integers(0, 40))
    columns = []
    for name in names:
        values, kind = KEYS[name]
        choice = st.one_of(st.none(), values) if nulls else values
        columns.append(pl.Series(name, draw(st.lists(choice, min_size=size, max_size=size)), dtype=kind))
    return pl.DataFrame([*columns, pl.Series("n", range(size), dtype=pl.Int64)]), names


def sortable(value: object) -> tuple[bool, object]:
    """Nulls first; text in the order of its bytes, which is that of its code points."""
    return (value is not None, value.encode() if isinstance(value, str) else value if value is not None else 0)


def slow(frame: pl.DataFrame, names: list[str]) -> list[int]:
    rows = frame.to_dicts()
    return sorted(range(len(rows)), key=lambda at: tuple(sortable(rows[at][name]) for name in names))


@settings(deadline=None, max_examples=200)
@given(keyed())
def test_packed_order_is_that_of_sorted_with_stable_ties(given_: tuple[pl.DataFrame, list[str]]) -> None:
    frame, names = given_
    if frame.height < 2:
        return
    order = packed_order([frame[name] for name in names])
    wanted = slow(frame, names)
    if order is not None:
        assert (order.tolist() or list(range(frame.height))) == wanted
        assert len(order) or wanted == list(range(frame.height))


@settings(deadline=None, max_examples=200)
@given(keyed(nulls=True))
@example((pl.DataFrame({"wide": [(1 << 63) - 1, -(1 << 63), 0, 0], "n": [0, 1, 2, 3]}), ["wide"]))
@example((pl.DataFrame({"wide": [(1 << 62), 0], "small": [0, 1], "n": [0, 1]}), ["wide", "small"]))
def test_rows_sort_alike_packed_or_not(given_: tuple[pl.DataFrame, list[str]]) -> None:
    frame, names = given_
    assert sort_rows(frame, names)["n"].to_list() == slow(frame, names)
    assert sort_rows(frame, []).equals(frame)


def test_which_keys_fit_in_one_integer() -> None:
    wide = pl.Series([0, (1 << 62)])
    assert packed_order([wide, pl.Series([1, 0])]) is None
    assert packed_order([wide]) is not None
    assert packed_order([pl.Series([-(1 << 63), (1 << 63) - 1])]) is None
    assert packed_order([pl.Series([1, None])]) is None
    assert packed_order([pl.Series([1.0, 2.0])]) is None
    assert packed_order([pl.Series([5, 5, 6])]).tolist() == []
    assert packed_order([pl.Series(["b", "a", "b", "a"])]).tolist() == [1, 3, 0, 2]


def test_ties_by_the_thousand_stay_in_order() -> None:
    keys = pl.Series([(n * 7919) % 5 for n in range(50_000)])
    assert packed_order([keys]).tolist() == sorted(range(50_000), key=keys.to_list().__getitem__)


INSTANTS = st.integers(-(2 * 10**18), 4 * 10**18)


@settings(deadline=None, max_examples=100)
@given(
    st.one_of(
        st.lists(INSTANTS, min_size=1, max_size=20),
        st.lists(st.integers(0, 10**9), min_size=20, max_size=40),  # all in one partition
    ),
    st.sampled_from(("hour", "day", "month")),
    st.sets(st.integers(0, 39), max_size=4),
)
@example([-1, 0, 3_600 * 10**9 - 1, 3_600 * 10**9], "hour", set())
@example([-1, 0, 86_400 * 10**9 - 1, 86_400 * 10**9], "day", {3})
@example([951_782_400 * 10**9, 951_782_400 * 10**9 - 1, -1], "month", {0, 1, 2})
def test_rows_part_by_hour_day_or_month_of_the_event(instants: list[int], by: str, bad: set[int]) -> None:
    """Bad rows, which may lie in any partition, are left out or pointed at."""
    made = contract(TIME, column("n", Kind.INTEGER), partitioning=Partitioning(by))
    frame = pl.DataFrame({"t": instants, "n": range(len(instants))})
    form = {"hour": "%Y-%m-%d-%H", "day": "%Y-%m-%d", "month": "%Y-%m"}[by]
    epoch = dt.datetime(1970, 1, 1)
    labels = [(epoch + dt.timedelta(microseconds=ns // 1000)).strftime(form) for ns in instants]
    marked = pl.Series([n in bad for n in range(len(instants))], dtype=pl.Boolean)
    parts = [(value, rows[np.delete(np.arange(rows.height), at)]) for value, rows, at in split(made, frame, marked)]
    assert [value for value, _ in parts] == sorted({value for value, _ in parts})
    good = {n: label for n, label in enumerate(labels) if n not in bad}
    assert {partition_label(by, value) for value, _ in parts} == set(good.values())
    for value, rows in parts:
        assert rows["n"].to_list() == [n for n, label in good.items() if label == partition_label(by, value)]
        assert set(partition_ids(made, rows["t"]).to_list()) == {value}


def test_no_rows_are_in_no_partition() -> None:
    assert list(split(contract(TIME), pl.DataFrame(schema={"t": pl.Int64}), pl.Series([], dtype=pl.Boolean))) == []


@pytest.mark.parametrize(
    ("by", "value", "label"),
    [("hour", 474_782, "2024-02-29-14"), ("hour", -1, "1969-12-31-23"), ("day", 19_782, "2024-02-29"),
     ("day", -1, "1969-12-31"), ("month", 649, "2024-02"), ("month", -1, "1969-12"), ("month", 0, "1970-01")],
)  # fmt: skip
def test_labels_are_those_of_the_table_format(by: str, value: int, label: str) -> None:
    assert partition_label(by, value) == label

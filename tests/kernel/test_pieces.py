"""Rows picked out of pieces, against the pieces put together."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapehouse.kernel.order import sort_rows
from tapehouse.kernel.pieces import Pieces

NONE = np.empty(0, np.int64)
TEXTS = st.one_of(st.text(max_size=14), st.sampled_from(["", "exactly12byt", "thirteen byte", "日本" * 9]))
COLUMNS: dict[str, tuple[st.SearchStrategy[object], pl.DataType]] = {
    "wide": (st.integers(-(1 << 63), (1 << 63) - 1), pl.Int64()),
    "unsigned": (st.integers(0, (1 << 64) - 1), pl.UInt64()),
    "narrow": (st.integers(0, (1 << 32) - 1), pl.UInt32()),
    "double": (st.floats(allow_nan=False), pl.Float64()),
    "flag": (st.booleans(), pl.Boolean()),
    "text": (TEXTS, pl.String()),
    "category": (TEXTS, pl.Categorical()),
    "exact": (st.decimals(-99, 99, places=2), pl.Decimal(10, 2)),
    "day": (st.dates(dt.date(1970, 1, 1), dt.date(2100, 1, 1)), pl.Date()),
    "list": (st.lists(st.integers(0, 3), max_size=2), pl.List(pl.Int64)),
}


@st.composite
def pieces(draw: st.DrawFn) -> list[pl.DataFrame]:
    """One to five frames, some of them cut out of longer ones, so that their memory begins before they do."""
    frames = []
    nulls = draw(st.booleans())
    for _ in range(draw(st.integers(1, 5))):
        size = draw(st.integers(0, 20))
        columns = [pl.Series("key", draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)), dtype=pl.Int64)]
        for name, (values, kind) in COLUMNS.items():
            choice = st.one_of(st.none(), values) if nulls else values
            columns.append(pl.Series(name, draw(st.lists(choice, min_size=size, max_size=size)), dtype=kind))
        frames.append(pl.DataFrame(columns)[draw(st.integers(0, 3)) :])
    return frames


def others(frame: pl.DataFrame, without: np.ndarray) -> pl.DataFrame:
    return frame[np.delete(np.arange(frame.height), without)]


@settings(deadline=None, max_examples=150)
@given(pieces(), st.data())
def test_the_same_as_put_together(frames: list[pl.DataFrame], data: st.DataObject) -> None:
    whole, rows = pl.concat(frames), Pieces(frames)
    assert rows.height == whole.height
    anywhere = st.integers(0, max(0, whole.height - 1))
    size = 10 if whole.height else 0
    without = np.array(data.draw(st.lists(anywhere, max_size=size, unique=True)), np.int64)
    by = data.draw(st.sampled_from([[], ["key"], ["category", "key"], ["text"], ["wide", "narrow"]]))
    assert rows.sorted(by, without).equals(sort_rows(others(whole, without), by))
    rows = Pieces(frames)
    positions = np.array(data.draw(st.lists(anywhere, max_size=size)), np.int64)
    assert rows.take(positions).equals(whole[pl.Series(positions, dtype=pl.UInt32)])


@pytest.mark.parametrize("symbols", [1, 50, 1 << 40])
def test_more_rows_than_stay_in_the_cache(symbols: int) -> None:
    """In long runs, in short ones, and in no order at all."""
    chance = np.random.default_rng(symbols)

    def piece(rows: int) -> pl.DataFrame:
        numbers = chance.integers(0, symbols, rows)
        valid = pl.Series(chance.random(rows) < 0.9)
        texts = pl.Series(numbers).cast(pl.String) + "-" + pl.Series(chance.integers(0, 1 << 50, rows)).cast(pl.String)
        return pl.DataFrame(
            {"key": numbers, "text": texts, "some": pl.Series(numbers).set(~valid, None), "kept": valid}
        )

    frames = [piece(rows) for rows in (40_000, 1, 16_384, 0, 70_001)]
    whole = pl.concat(frames)
    without = np.unique(chance.integers(0, whole.height, 500))
    assert Pieces(frames).sorted(["key"], without).equals(sort_rows(others(whole, without), ["key"]))
    assert Pieces(frames).take(without).equals(whole[without])


def test_more_pieces_than_can_be_named() -> None:
    """Numbers of pieces and positions within the longest must fit 32 bits together."""
    long = pl.DataFrame({"key": np.arange(1 << 16)})
    frames = [long, *(pl.DataFrame({"key": [number]}) for number in range(1 << 15))]
    whole = pl.concat(frames)
    assert Pieces(frames).sorted(["key"], NONE).equals(sort_rows(whole, ["key"]))
    assert Pieces(frames).take(np.array([70_000, 0]))["key"].to_list() == [70_000 - (1 << 16), 0]


def test_no_rows() -> None:
    rows = Pieces([pl.DataFrame({"key": []}, schema={"key": pl.Int64})])
    assert rows.sorted(["key"], NONE).height == rows.take(NONE).height == 0


def test_pieces_of_different_types_are_refused() -> None:
    """C reads all as what the first one is."""
    texts = [pl.DataFrame({"key": ["a"]}), pl.DataFrame({"key": pl.Series(["a"], dtype=pl.Categorical)})]
    with pytest.raises(TypeError):
        Pieces(texts)

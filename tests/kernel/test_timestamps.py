"""ISO 8601 timestamps against a slow reader that works text by text with `datetime`."""

from __future__ import annotations

import datetime as dt
import re

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapehouse.kernel.timestamps import parse_iso8601

FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
EPOCH = dt.datetime(1970, 1, 1)
DAY_NS = 86_400 * 10**9


def slow(text: str | None) -> tuple[int | None, bool]:
    """(ns or None, whether the text names its offset)."""
    found = FORM.fullmatch(text) if text is not None else None
    if found is None:
        return None, False
    *numbers, fraction, ending = found.groups()
    zoned = ending is not None
    try:
        moment = dt.datetime(*map(int, numbers))
    except ValueError:
        return None, zoned
    ns = (moment - EPOCH) // dt.timedelta(microseconds=1) * 1000 + int((fraction or "").ljust(9, "0"))
    if ending not in (None, "Z"):
        hours, minutes = int(ending[1:3]), int(ending[4:6])
        if hours > 23 or minutes > 59:
            return None, zoned
        ns -= (hours * 60 + minutes) * 60 * 10**9 * (-1 if ending[0] == "-" else 1)
    return (ns if 1677 <= moment.year <= 2262 else None), zoned


def check(texts: list[str | None]) -> None:
    values, zoned = parse_iso8601(pl.Series("t", texts, dtype=pl.String))
    assert values.dtype == pl.Int64
    for text, value, offset in zip(texts, values.to_list(), zoned.to_list(), strict=True):
        wanted, named = slow(text)
        # Of the two years that int64 nanoseconds cover in part, a value is null or right, never wrapped around.
        if value is None and text is not None and text[:4] in ("1677", "2262"):
            continue
        assert value == wanted, text
        if wanted is not None:
            assert offset == named, text


def number(width: int, usual: tuple[int, int]) -> st.SearchStrategy[str]:
    whole = st.integers(0, 10**width - 1)
    return st.one_of(st.integers(*usual), st.integers(*usual), whole).map(lambda value: f"{value:0{width}d}")


YEARS = st.one_of(
    st.sampled_from(
        (0, 1, 99, 100, 1600, 1676, 1677, 1678, 1700, 1899, 1900, 1970, 2000, 2100, 2261, 2262, 2263, 9999)
    ),
    st.integers(1678, 2261),
).map(lambda year: f"{year:04d}")
DECIMALS = st.integers(0, 10).flatmap(lambda places: st.text("0123456789", min_size=places, max_size=places))
ENDINGS = st.one_of(
    st.sampled_from(
        ("", "Z", "+00:00", "-00:00", "+05:30", "-23:59", "+23:59", "z", "+24:00", "+05:60", "+0530", "+05", "Zz")
    ),
    st.tuples(st.sampled_from("+-"), number(2, (0, 23)), number(2, (0, 59))).map(lambda t: f"{t[0]}{t[1]}:{t[2]}"),
)
WRITTEN = st.tuples(
    YEARS,
    number(2, (1, 12)),
    number(2, (1, 31)),
    st.sampled_from("TTTTT t_"),
    number(2, (0, 23)),
    number(2, (0, 59)),
    number(2, (0, 59)),
    st.sampled_from((".", ".", ".", ",")),
    DECIMALS,
    ENDINGS,
).map(lambda t: f"{t[0]}-{t[1]}-{t[2]}{t[3]}{t[4]}:{t[5]}:{t[6]}{t[7] + t[8] if t[8] else ''}{t[9]}")


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """A timestamp with one character changed, dropped or doubled."""
    text = draw(WRITTEN)
    at = draw(st.integers(0, len(text) - 1))
    return (
        text[:at]
        + draw(st.one_of(st.characters(codec="utf-8"), st.sampled_from(("", "00", "/", ":", "é"))))
        + text[at + 1 :]
    )


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.none(), WRITTEN, WRITTEN, spoiled(), st.text(max_size=40)), max_size=30))
@example(["2262-04-10T23:59:59.999999999-23:59", "1677-09-22T00:00:00+23:59"])
@example(["2000-17-05T00:00:00Z", "2000-33-31T00:00:00Z", "2023-99-99T00:00:00Z"])
def test_every_layout_mixed_in_one_series(texts: list[str | None]) -> None:
    check(texts)


def test_every_day_of_the_calendar_and_every_day_that_is_none() -> None:
    """All two-digit months and days of leap years, common years and centuries: 60 000 texts in one series."""
    years = (1678, 1900, 1970, 1999, 2000, 2261)
    check([f"{year}-{month:02d}-{day:02d}T12:00:00Z" for year in years for month in range(100) for day in range(100)])


def test_every_hour_minute_and_second_of_two_digits() -> None:
    check([f"2024-02-29T{n:02d}:00:00Z" for n in range(100)])
    check([f"2024-02-29T00:{n:02d}:00Z" for n in range(100)])
    check([f"2024-02-29T00:00:{n:02d}" for n in range(100)])
    check(
        [f"2024-02-29T00:00:00{sign}{n:02d}:{m:02d}" for sign in "+-" for n in range(30) for m in (0, 30, 59, 60, 99)]
    )


@pytest.mark.parametrize("places", range(11))
@pytest.mark.parametrize("ending", ["", "Z", "+01:00", "-09:30"])
def test_every_number_of_decimals(places: int, ending: str) -> None:
    digits = "1234567890"[:places]
    text = f"1999-12-31 23:59:59{'.' + digits if digits else ''}{ending}"
    check([text, text.replace("59", "00"), None, "x"])


def test_more_rows_than_one_block_and_a_slice_of_a_longer_series() -> None:
    texts = [f"2024-03-04T14:{n % 60:02d}:{n // 60 % 60:02d}.{n:09d}Z" for n in range(40_000)]
    check(texts)
    series = pl.Series("t", texts)
    assert parse_iso8601(series[1_000:1_010])[0].to_list() == [slow(text)[0] for text in texts[1_000:1_010]]


def test_nothing_at_all() -> None:
    for texts in ([], [None, None], ["", ""]):
        values, zoned = parse_iso8601(pl.Series("t", texts, dtype=pl.String))
        assert values.to_list() == [None] * len(texts)
        assert zoned.to_list() == [False] * len(texts)

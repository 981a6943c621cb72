"""ISO 8601 text to nanoseconds, eight characters at a time.

A general date parser costs about 200 ns a value, more than reading, judging and writing the row together. Timestamps of
one file share a layout, so each layout present is read as a matrix of bytes: digits are checked and combined eight per
64-bit word (SWAR), dates come from a table per century.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

Int64s = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

NS_PER_SECOND = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_SECOND
_EPOCH = dt.date(1970, 1, 1)
_SHORTEST, _LONGEST = 19, 35
# Two days within what int64 ns hold: the time of day and an offset from UTC may each add one.
_MIN_DAY, _MAX_DAY = -(1 << 63) // NS_PER_DAY + 2, ((1 << 63) - 1) // NS_PER_DAY - 2
_FIRST_CENTURY, _LAST_CENTURY = 16, 22
_NO_DATE = np.iinfo(np.int32).min
# Rows handled at once: every temporary array stays in the cache, which is worth a factor of two to three.
_BLOCK = 1 << 14


def parse_iso8601(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Read `YYYY-MM-DD`, `T` or space, `HH:MM:SS`, optionally a point and 1-9 decimals, then `Z`, `+HH:MM` or nothing.

    Returns int64 ns (null where the text is not of that form, the date does not exist or lies outside 1678-2261) and a
    Boolean that is true where the text named its offset from UTC. Without an offset the result is the wall time as if
    it were UTC; the caller moves it to the column's zone. Leap seconds (`:60`) are refused.
    """
    size = len(text)
    out = np.zeros(size, np.int64)
    valid = np.zeros(size, np.bool_)
    zoned = np.zeros(size, np.bool_)
    lengths = text.str.len_bytes().fill_null(0).to_numpy()
    present = np.flatnonzero(np.bincount(np.minimum(lengths, _LONGEST + 1), minlength=_LONGEST + 2))
    for length in present[(present >= _SHORTEST) & (present <= _LONGEST)]:
        chosen = None if len(present) == 1 else np.flatnonzero(lengths == length)
        same = text if chosen is None else text.gather(chosen)
        for start in range(0, len(same), _BLOCK):
            block = slice(start, start + _BLOCK)
            where = block if chosen is None else chosen[block]
            rows = _matrix(same[block], int(length))
            out[where], valid[where], zoned[where] = _parse_one_length(rows, int(length))
    series = pl.Series(text.name, out)
    if not valid.all():
        series = series.set(~pl.Series(valid), None)
    return series, pl.Series(zoned)


def _matrix(text: pl.Series, length: int) -> npt.NDArray[np.uint8]:
    """The bytes of texts of equal byte length, of shape (texts, length)."""
    data = text.str.join("").item().encode()
    return np.frombuffer(data, np.uint8).reshape(-1, length)


def _word(rows: npt.NDArray[np.uint8], at: int) -> Words:
    """Bytes `at`..`at+7` of every row as one little-endian word each."""
    step = rows.shape[1]
    return np.ndarray((len(rows),), "<u8", rows, at, (step,)).copy()


def _mask(positions: tuple[int, ...], byte: int = 0xFF) -> np.uint64:
    return np.uint64(sum(byte << (8 * position) for position in positions))


def _digits_ok(word: Words, positions: tuple[int, ...]) -> Bools:
    """Whether the bytes at `positions` are ASCII digits."""
    high = (word + _mask(positions, 0x46)) | (word - _mask(positions, 0x30))
    plain = (word & _mask(positions, 0x80)) == 0
    good: Bools = ((high & _mask(positions, 0x80)) == 0) & plain
    return good


def _pair(word: Words, position: int) -> Int64s:
    """The two-digit number whose first digit is byte `position`, from a word of `tens * 10 + units` bytes."""
    return ((word >> np.uint64(8 * position)) & np.uint64(0xFF)).astype(np.int64)


def _tens_and_units(word: Words) -> Words:
    low = word & np.uint64(0x0F0F0F0F0F0F0F0F)
    return low * np.uint64(10) + (low >> np.uint64(8))


def _parse_one_length(rows: npt.NDArray[np.uint8], length: int) -> tuple[Int64s, Bools, Bools]:
    """All layouts of one total length: they differ in how the text ends (`Z`, an offset, nothing)."""
    utc = rows[:, length - 1] == ord("Z")
    sign = rows[:, length - 6]
    signed = ((sign == ord("+")) | (sign == ord("-"))) & (length >= _SHORTEST + 6) & (rows[:, length - 3] == ord(":"))
    endings = ((1, utc), (6, signed & ~utc), (0, ~(utc | signed)))
    out, valid = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    for ending, chosen in endings:
        decimals = length - _SHORTEST - ending - 1
        if decimals > 9 or decimals < -1 or decimals == 0 or not chosen.any():
            continue
        if chosen.all():
            out, valid = _parse_layout(rows, decimals, ending)
        else:
            out[chosen], valid[chosen] = _parse_layout(np.ascontiguousarray(rows[chosen]), decimals, ending)
    return out, valid, utc | signed


def _parse_layout(rows: npt.NDArray[np.uint8], decimals: int, ending: int) -> tuple[Int64s, Bools]:
    """Rows of exactly one layout to ns and validity."""
    ns, good = _to_the_minute(rows)
    seconds, seconds_good = _seconds(rows)
    ns += seconds
    good &= seconds_good
    if decimals > 0:
        fraction, fraction_good = _fraction(rows, decimals)
        ns += fraction
        good &= fraction_good
    if ending == 6:
        shift, shift_good = _offset(rows)
        ns -= shift
        good &= shift_good
    return ns, good


def _to_the_minute(rows: npt.NDArray[np.uint8]) -> tuple[Int64s, Bools]:
    """ns at the start of the minute. A tape is nearly sorted, so runs of rows that share their minute are read once."""
    first, second = _word(rows, 0), _word(rows, 8)
    starts = np.flatnonzero((first[1:] != first[:-1]) | (second[1:] != second[:-1])) + 1
    if len(starts) * 4 > len(rows):
        return _minutes(rows)
    starts = np.concatenate(([0], starts))
    ns, good = _minutes(np.ascontiguousarray(rows[starts]))
    lengths = np.diff(starts, append=len(rows))
    return np.repeat(ns, lengths), np.repeat(good, lengths)


def _minutes(rows: npt.NDArray[np.uint8]) -> tuple[Int64s, Bools]:
    """`YYYY-MM-DDTHH:MM` of each row."""
    date, clock = _word(rows, 2), _word(rows, 9)
    century, separator = rows[:, 0] * 10 + rows[:, 1] - 528 % 256, rows[:, 10]
    good = _digits_ok(date, (0, 1, 3, 4, 6, 7)) & _digits_ok(clock, (2, 3, 5, 6))
    good &= (date & _mask((2, 5))) == _mask((2, 5), ord("-"))
    good &= rows[:, 13] == ord(":")
    good &= (separator == ord("T")) | (separator == ord(" "))
    good &= (rows[:, :2] >= ord("0")).all(axis=1) & (rows[:, :2] <= ord("9")).all(axis=1)
    days = _days(century, _tens_and_units(date))
    good &= (days >= _MIN_DAY) & (days <= _MAX_DAY)
    pairs = _tens_and_units(clock)
    hour, minute = _pair(pairs, 2), _pair(pairs, 5)
    good &= (hour < 24) & (minute < 60)
    return np.where(good, days, 0) * NS_PER_DAY + (hour * 60 + minute) * (60 * NS_PER_SECOND), good


def _seconds(rows: npt.NDArray[np.uint8]) -> tuple[Int64s, Bools]:
    """`:SS` of each row in ns; 60 is refused."""
    tens, units = rows[:, 17] - np.uint8(ord("0")), rows[:, 18] - np.uint8(ord("0"))
    good = (tens < 6) & (units < 10) & (rows[:, 16] == ord(":"))
    return (tens * np.uint8(10) + units).astype(np.int64) * NS_PER_SECOND, good


def _days(century: npt.NDArray[np.uint8], date: Words) -> Int64s:
    """Days since 1970-01-01 for each row; `_NO_DATE` where the date does not exist."""
    month, day = _pair(date, 3), _pair(date, 6)
    code = (_pair(date, 0) << 9) | (month << 5) | day
    # A larger month or day would spill into the bits of its neighbour and name another date.
    code = np.where((month > 12) | (day > 31), 0, code) & 0xFFFF
    if len(century) and (century == century[0]).all():
        days: Int64s = _century_table(int(century[0]))[code]
        return days
    out = np.full(len(code), _NO_DATE, np.int64)
    for value in np.unique(century):
        rows = century == value
        out[rows] = _century_table(int(value))[code[rows]]
    return out


@lru_cache(maxsize=8)
def _century_table(century: int) -> Int64s:
    """Days since the epoch by (two-digit year << 9 | month << 5 | day)."""
    table = np.full(1 << 16, _NO_DATE, np.int64)
    if not _FIRST_CENTURY <= century <= _LAST_CENTURY:
        return table
    day = dt.date(century * 100, 1, 1)
    end = dt.date(century * 100 + 99, 12, 31)
    while day <= end:
        table[((day.year % 100) << 9) | (day.month << 5) | day.day] = (day - _EPOCH).days
        day += dt.timedelta(days=1)
    return table


def _fraction(rows: npt.NDArray[np.uint8], decimals: int) -> tuple[Int64s, Bools]:
    """Decimals of a second as ns. Rows narrower than a word after the point are padded with zeros."""
    good = rows[:, 19] == ord(".")
    if decimals >= 8:
        word = _word(rows, 20)
    else:
        padded = np.full((len(rows), 8), ord("0"), np.uint8)
        padded[:, :decimals] = rows[:, 20 : 20 + decimals]
        word = _word(padded, 0)
    good &= _digits_ok(word, tuple(range(8)))
    value = _eight_digits(word) * 10
    if decimals == 9:
        last = rows[:, 28]
        good &= (last >= ord("0")) & (last <= ord("9"))
        value += last
        value -= ord("0")
    return value, good


def _eight_digits(word: Words) -> Int64s:
    """The number written in the eight ASCII digits of each word, first character first."""
    pairs = _tens_and_units(word) & np.uint64(0x00FF00FF00FF00FF)
    low = (pairs & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
    high = ((pairs >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
    return ((low + high) >> np.uint64(32)).astype(np.int64)


def _offset(rows: npt.NDArray[np.uint8]) -> tuple[Int64s, Bools]:
    """`+HH:MM` at the end of each row as ns east of UTC."""
    tail = rows[:, -6:].astype(np.int64) - ord("0")
    digits = tail[:, (1, 2, 4, 5)]
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)
    minutes = (tail[:, 1] * 10 + tail[:, 2]) * 60 + tail[:, 4] * 10 + tail[:, 5]
    good &= (minutes < 24 * 60) & (tail[:, 4] < 6)
    sign = np.where(rows[:, -6] == ord("-"), -1, 1)
    return minutes * sign * 60 * NS_PER_SECOND, good

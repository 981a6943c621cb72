"""Sessions of a calendar by day, so that an equality finds the few that could hold an instant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import polars as pl

from tapehouse.reference import References
from tapehouse.reference.calendars import sessions

DAY_NS = 86_400_000_000_000


def session_days(references: References, calendar: str, days: Iterable[int]) -> pl.DataFrame:
    """Rows `_day, _opens, _closes`: each session once for every one of `days` that it has a part in.

    A day is what division of an instant by `DAY_NS` gives that drops the fraction, as SQL has it: 0 is two days long.
    """
    wanted = set(days)
    years = sorted({_year(day + shift) for day in wanted for shift in (-1, 0, 1)})
    found = sessions(references.calendars[calendar], tuple(years))
    rows = [
        (day, opening, closing)
        for opening, closing in zip(found.opens.tolist(), found.closes.tolist(), strict=True)
        for day in range(_day(opening), _day(closing - 1) + 1)
        if day in wanted
    ]
    return pl.DataFrame(rows, {"_day": pl.Int64, "_opens": pl.Int64, "_closes": pl.Int64}, orient="row")


def _day(instant_ns: int) -> int:
    return instant_ns // DAY_NS if instant_ns >= 0 else -(-instant_ns // DAY_NS)


def _year(day: int) -> int:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).year

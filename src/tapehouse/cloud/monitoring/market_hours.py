"""When a market is open, as a condition of metric math.

An alarm whose actions are switched off at night by a schedule would not tell of what is already wrong when they are
switched on, for actions follow changes of state. So the condition is part of the alarm: outside market hours its value
is a good one, and it changes when the market opens.

Metric math knows UTC alone, and the date. In months in which the clocks change, hours count that are open before and
after the change: for some weeks a year the first or last hour is not watched, and no alarm is false. On holidays, which
metric math cannot know, an alarm for too little goes off; that on an early close likewise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tapehouse.contracts.model import Calendar, Contract
from tapehouse.reference.calendars import sessions

# Enough for every weekday to have met both sides of a change of the clocks in its months.
_YEARS = tuple(range(2015, 2026))
_DAY_MINUTES = 1_440
_WEEK_MINUTES = 7 * _DAY_MINUTES
_MINUTE_NS = 60_000_000_000
_MONDAY = 4 * _DAY_MINUTES  # of the first week since 1970-01-01, a Thursday

Windows = tuple[tuple[int, int], ...]
ALWAYS: Windows = ((0, _WEEK_MINUTES),)


def calendar_of(contract: Contract) -> Calendar | None:
    """The calendar that says when the contract's market is open: `regular`, else the first by name, else none."""
    for name in ("regular", *sorted(contract.calendars)):
        if name in contract.calendars:
            return contract.calendars[name]
    return None


def windows(calendar: Calendar) -> Mapping[int, Windows]:
    """By month (1-12), the ordinary sessions as minutes [from, to) since Monday 00:00 UTC; in a month whose clocks
    change the part that they have in common. Early closes and special sessions are not ordinary.
    """
    found = sessions(calendar, _YEARS)
    opens, closes = found.opens // _MINUTE_NS, found.closes // _MINUTE_NS
    months = np.asarray(found.opens, "datetime64[ns]").astype("datetime64[M]").astype(int) % 12 + 1
    seen: dict[int, dict[tuple[int, int], list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    day, number = -1, 0
    for start, stop, month in zip(opens.tolist(), closes.tolist(), months.tolist(), strict=True):
        if stop - start >= _WEEK_MINUTES:
            return dict.fromkeys(range(1, 13), ALWAYS)
        number = number + 1 if start // _DAY_MINUTES == day else 0
        day = start // _DAY_MINUTES
        begin = (start - _MONDAY) % _WEEK_MINUTES
        seen[month][begin // _DAY_MINUTES, number].append((begin, begin + stop - start))
    return {month: _split(_common(spans) for spans in seen[month].values()) for month in range(1, 13)}


def _common(spans: list[tuple[int, int]]) -> tuple[int, int]:
    """What sessions of the usual length share."""
    usual, _ = Counter(stop - start for start, stop in spans).most_common(1)[0]
    kept = [span for span in spans if span[1] - span[0] == usual]
    return max(start for start, _ in kept), min(stop for _, stop in kept)


def _split(spans: Iterable[tuple[int, int]]) -> Windows:
    """In order, joined where they touch, and cut where the week ends."""
    cut = [part for span in spans for part in _cut(*span)]
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(cut):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        elif start < stop:
            joined.append((start, stop))
    return tuple(joined)


def _cut(start: int, stop: int) -> Iterator[tuple[int, int]]:
    yield start, min(stop, _WEEK_MINUTES)
    if stop > _WEEK_MINUTES:
        yield 0, stop - _WEEK_MINUTES


def minute_of_week(series: str) -> str:
    """Expression of a series' own times as minutes since Monday 00:00 UTC."""
    return f"(DAY({series})-1)*{_DAY_MINUTES}+HOUR({series})*60+MINUTE({series})"


def is_open(calendar: Calendar | None, series: str, minute: str) -> str:
    """Expression that is 1 in market hours and 0 outside; `minute` is the id of `minute_of_week`. Without a calendar
    the market is always open.
    """
    months: dict[Windows, list[int]] = defaultdict(list)
    for month, found in _or_always(calendar).items():
        months[found].append(month)
    groups = sorted(months.items(), key=lambda group: -len(group[1]))
    *special, (usual, _) = groups[1:] + groups[:1]
    text = _within(usual, minute)
    for found, those in special:
        chosen = " OR ".join(_months(those, series))
        text = f"IF({chosen}, {_within(found, minute)}, {text})"
    return f"IF({text}, 1, 0)"


def session_days(calendar: Calendar | None, minute: str) -> str:
    """Expression that is 1 on days (UTC) on which an ordinary session begins or goes on, 0 on others."""
    days = {
        (day * _DAY_MINUTES, (day + 1) * _DAY_MINUTES)
        for found in _or_always(calendar).values()
        for start, stop in found
        for day in range(start // _DAY_MINUTES, -(-stop // _DAY_MINUTES))
    }
    return f"IF({_within(_split(days), minute)}, 1, 0)"


def _or_always(calendar: Calendar | None) -> Mapping[int, Windows]:
    return dict.fromkeys(range(1, 13), ALWAYS) if calendar is None else windows(calendar)


def _within(found: Windows, minute: str) -> str:
    # Of nothing, what is never true.
    return " OR ".join(f"({minute}>={start} AND {minute}<{stop})" for start, stop in found) or f"{minute}<0"


def _months(months: list[int], series: str) -> Iterator[str]:
    return (f"MONTH({series})=={month}" for month in months)

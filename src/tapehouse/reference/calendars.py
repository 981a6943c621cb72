"""Trading calendars as half-open [open, close) intervals in UTC nanoseconds.

Two sources: an exchange of the `exchange_calendars` library (imported only when a contract names one: it takes most of
a second; `prepared` has its sessions where there is no room for it), or fixed weekly sessions in a local zone, with
holidays and early closes. Built a UTC year at a time and only for the years that occur, so that one absurd timestamp
does not cost five centuries of sessions.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version as installed_version
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Calendar
from tapehouse.errors import ContractError, Problem
from tapehouse.reference import prepared

Instants = npt.NDArray[np.int64]

_DAY_S = 86_400
_NS = 1_000_000_000
_EPOCH = dt.date(1970, 1, 1)
# int64 nanoseconds reach from 1677-09-21 to 2262-04-11; the two broken years have no sessions.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
# Among these is one of every exchange that the library knows.
_PROBED_YEARS = (2020, 2010, 2000, 2030)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Disjoint sessions in ascending order: `opens[i] <= t < closes[i]`, UTC nanoseconds."""

    opens: Instants
    closes: Instants

    def contains(self, instants: Instants) -> npt.NDArray[np.bool_]:
        """For each instant, whether it lies in a session."""
        if not len(self.opens):
            return np.zeros(len(instants), np.bool_)
        index = np.searchsorted(self.opens, instants, side="right") - 1
        return (index >= 0) & (instants < self.closes[np.maximum(index, 0)])

    def overlapping(self, first: int, last: int) -> Sessions:
        """The sessions that hold at least one instant of the closed range [first, last]."""
        begin = int(np.searchsorted(self.closes, first, side="right"))
        end = int(np.searchsorted(self.opens, last, side="right"))
        return Sessions(self.opens[begin:end], self.closes[begin:end])


def sessions(calendar: Calendar, years: tuple[int, ...]) -> Sessions:
    """Sessions of `calendar` that fall in the given UTC years (ascending), clipped to them.

    Raises ContractError when the calendar names an exchange or zone that does not exist.
    """
    parts = [_year(_key(calendar), year) for year in years if _FIRST_YEAR <= year <= _LAST_YEAR]
    if not parts:
        return Sessions(np.empty(0, np.int64), np.empty(0, np.int64))
    return _merged(np.concatenate([part.opens for part in parts]), np.concatenate([part.closes for part in parts]))


def calendar_version(calendar: Calendar) -> str:
    """What decides the sessions, for the record: the library and its version, or a digest of the fixed sessions."""
    if calendar.exchange:
        return exchange_version(calendar.exchange)
    written = json.dumps([calendar.zone, calendar.sessions, calendar.holidays, dict(calendar.early_closes)])
    return f"sha256:{hashlib.sha256(written.encode()).hexdigest()}"


def exchange_version(exchange: str) -> str:
    """The library and its version, here or where the sessions were prepared, and the exchange."""
    known = prepared.find(exchange)
    return (
        f"exchange_calendars {installed_version('exchange_calendars')} {exchange}" if known is None else known.version
    )


def exchange_sessions(exchange: str) -> Sessions:
    """Every session of an exchange that the library knows, in all the years there are.

    Raises ContractError for an exchange that it does not have.
    """
    key = _Key(exchange, "UTC", exchange, (), (), ())
    middle = next((year for year in _PROBED_YEARS if _known(key, year)), None)
    if middle is None:
        return Sessions(np.empty(0, np.int64), np.empty(0, np.int64))
    # The library knows some exchanges for some years only, and refuses a range that goes beyond them.
    first = bisect_left(range(middle), x=True, lo=_FIRST_YEAR, key=lambda year: _known(key, year))
    last = bisect_left(range(_LAST_YEAR + 1), x=True, lo=middle, key=lambda year: not _known(key, year))
    return _merged(*_clipped(key, first, last))


def _known(key: _Key, year: int) -> bool:
    return bool(len(_clipped(key, year, year + 1)[0]))


@dataclass(frozen=True, slots=True)
class _Key:
    """A calendar as a hashable value."""

    name: str
    zone: str
    exchange: str
    sessions: tuple[tuple[tuple[int, ...], int, int], ...]
    holidays: tuple[str, ...]
    early_closes: tuple[tuple[str, int], ...]


def _key(calendar: Calendar) -> _Key:
    weekly = tuple((tuple(days), int(start), int(end)) for days, start, end in calendar.sessions)
    early = tuple(sorted(calendar.early_closes.items()))
    return _Key(calendar.name, calendar.zone, calendar.exchange, weekly, tuple(calendar.holidays), early)


@lru_cache(maxsize=512)
def _year(key: _Key, year: int) -> Sessions:
    return _merged(*_clipped(key, year, year + 1))


def _clipped(key: _Key, first: int, last: int) -> tuple[Instants, Instants]:
    start, end = dt.date(first, 1, 1), dt.date(last, 1, 1)
    opens, closes = _from_exchange(key, start, end) if key.exchange else _from_weekly(key, start, end)
    low, high = ((day - _EPOCH).days * _DAY_S * _NS for day in (start, end))
    inside = (closes > low) & (opens < high) & (opens < closes)
    return np.clip(opens[inside], low, high), np.clip(closes[inside], low, high)


def _merged(opens: Instants, closes: Instants) -> Sessions:
    """Disjoint ascending union of possibly touching or overlapping intervals."""
    if not len(opens):
        return Sessions(opens, closes)
    order = np.argsort(opens, kind="stable")
    opens, reach = opens[order], np.maximum.accumulate(closes[order])
    starts = np.flatnonzero(np.concatenate([[True], opens[1:] > reach[:-1]]))
    ends = np.concatenate([starts[1:], [len(opens)]]) - 1
    return Sessions(opens[starts], reach[ends])


# ---- an exchange's own calendar ----------------------------------------------------------------------------------


def _from_exchange(key: _Key, start: dt.date, end: dt.date) -> tuple[Instants, Instants]:
    known = prepared.find(key.exchange)
    return _from_library(key, start, end) if known is None else (known.opens, known.closes)


def _from_library(key: _Key, start: dt.date, end: dt.date) -> tuple[Instants, Instants]:
    import exchange_calendars
    from exchange_calendars.errors import CalendarError, InvalidCalendarName, NoSessionsError

    # A session is labelled with a date but may open on the evening before or close after midnight UTC.
    first, last = start - dt.timedelta(days=8), end + dt.timedelta(days=8)
    try:
        found = exchange_calendars.get_calendar(key.exchange, start=first.isoformat(), end=last.isoformat())
    except InvalidCalendarName as error:
        problem = Problem(
            f"exchange {key.exchange!r} is not in the exchange calendar library",
            path=f"tapehouse.calendars.{key.name}.exchange",
            value=key.exchange,
            allowed=", ".join(sorted(exchange_calendars.get_calendar_names(include_aliases=False))),
        )
        raise ContractError([problem]) from error
    except (NoSessionsError, CalendarError, ValueError):
        # Outside the years the library knows there are no sessions to be in.
        return np.empty(0, np.int64), np.empty(0, np.int64)
    opens, closes, pauses, resumes = (
        found.schedule[name].dt.tz_localize(None).to_numpy("datetime64[ns]")
        for name in ("open", "close", "break_start", "break_end")
    )
    paused = ~np.isnat(pauses)
    starts = np.concatenate([opens, resumes[paused]])
    stops = np.concatenate([np.where(paused, pauses, closes), closes[paused]])
    return starts.astype(np.int64), stops.astype(np.int64)


# ---- fixed weekly sessions ---------------------------------------------------------------------------------------


def _from_weekly(key: _Key, start: dt.date, end: dt.date) -> tuple[Instants, Instants]:
    """Weekly sessions of local wall time, less the holidays and the hours after early closes, as UTC instants."""
    longest = max((stop for _, _, stop in key.sessions), default=0)
    first = (start - _EPOCH).days - longest // _DAY_S - 2
    days = np.arange(first, (end - _EPOCH).days + 2, dtype=np.int64)
    weekdays = (days + 3) % 7  # 1970-01-01 was a Thursday
    spans: list[tuple[int, int]] = []
    for chosen, opening, closing in key.sessions:
        at = days[np.isin(weekdays, chosen)] * _DAY_S
        spans.extend(zip((at + opening).tolist(), (at + closing).tolist(), strict=True))
    spans = _without_closures(sorted(spans), key)
    edges = np.array(spans, np.int64).reshape(-1, 2)
    return _to_utc(edges[:, 0], key), _to_utc(edges[:, 1], key)


def _without_closures(spans: list[tuple[int, int]], key: _Key) -> list[tuple[int, int]]:
    """A holiday closes its whole local day. An early close ends the session under way until local midnight; a session
    that opens later the same day (an evening session) is not touched."""
    for day in key.holidays:
        at = _local_midnight(day, key, "holidays")
        spans = [piece for span in spans for piece in _less(span, at, at + _DAY_S)]
    for day, seconds in key.early_closes:
        at = _local_midnight(day, key, "earlyCloses")
        close = at + seconds
        spans = [
            piece
            for span in spans
            for piece in (_less(span, close, at + _DAY_S) if span[0] < close < span[1] else [span])
        ]
    return spans


def _less(span: tuple[int, int], start: int, end: int) -> list[tuple[int, int]]:
    """`span` without [start, end)."""
    if end <= span[0] or span[1] <= start:
        return [span]
    return [piece for piece in ((span[0], min(start, span[1])), (max(end, span[0]), span[1])) if piece[0] < piece[1]]


def _local_midnight(day: str, key: _Key, where: str) -> int:
    try:
        return (dt.date.fromisoformat(day) - _EPOCH).days * _DAY_S
    except ValueError as error:
        problem = Problem(
            f"{day!r} is not a date",
            path=f"tapehouse.calendars.{key.name}.{where}",
            value=day,
            allowed="ISO dates such as 2013-11-29",
        )
        raise ContractError([problem]) from error


def _to_utc(local_seconds: Instants, key: _Key) -> Instants:
    """UTC nanoseconds of local wall seconds; a wall time skipped by a clock change is the instant of the change."""
    if key.zone in ("UTC", "Etc/UTC"):
        return local_seconds * _NS
    try:
        zone = ZoneInfo(key.zone)
    except (KeyError, ValueError, OSError) as error:
        problem = Problem(
            f"time zone {key.zone!r} does not exist",
            path=f"tapehouse.calendars.{key.name}.zone",
            value=key.zone,
            allowed="IANA names such as America/New_York",
        )
        raise ContractError([problem]) from error
    wall = pl.Series(local_seconds * 1_000_000, dtype=pl.Int64).cast(pl.Datetime("us"))
    instants = wall.dt.replace_time_zone(key.zone, ambiguous="earliest", non_existent="null")
    utc = instants.cast(pl.Int64) * 1000
    for index in utc.is_null().arg_true():
        naive = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=int(local_seconds[index]))
        # Read with the offset before the change, a skipped wall time lies after it by as much as it is into the gap.
        after = naive.replace(tzinfo=zone, fold=0).timestamp()
        utc[int(index)] = int(_start_of_offset(after, zone)) * _NS
    return utc.to_numpy().astype(np.int64)


def _start_of_offset(instant_s: float, zone: ZoneInfo) -> float:
    """The clock change at or before `instant_s`, at most a day earlier."""
    offset = dt.datetime.fromtimestamp(instant_s, zone).utcoffset()
    low, high = int(instant_s) - _DAY_S, int(instant_s)
    while high - low > 1:
        middle = (low + high) // 2
        if dt.datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high

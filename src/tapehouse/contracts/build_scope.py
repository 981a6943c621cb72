"""Calendars and reference tables: what rules may refer to besides columns."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from tapehouse.contracts.build_columns import check_zone
from tapehouse.contracts.draft import Custom, Draft
from tapehouse.contracts.model import Calendar, Column, Kind, ReferenceTable
from tapehouse.contracts.positions import Path
from tapehouse.contracts.suggest import did_you_mean

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DECIMAL = re.compile(r"decimal:(\d|1[0-5])")
_BARE_KINDS = tuple(kind.value for kind in Kind if kind != Kind.DECIMAL)


def build_calendars(draft: Draft, custom: Mapping[str, Custom]) -> dict[str, Calendar]:
    """Calendars by name; a wrong one is noted and still named, so that rules do not complain once more."""
    found = custom.get("tapehouse.calendars")
    if found is None:
        return {}
    return {name: _calendar(draft, name, raw, (*found.path, name)) for name, raw in found.value.items()}


def _calendar(draft: Draft, name: str, raw: Mapping[str, Any], path: Path) -> Calendar:
    exchange = raw.get("exchange", "")
    if bool(exchange) == ("sessions" in raw):
        draft.problem(path, f"calendar {name}", allowed="either `exchange` or `sessions`", value=dict(raw))
    zone = raw.get("zone", "UTC")
    if "zone" in raw:
        check_zone(draft, zone, (*path, "zone"))
    sessions = []
    for index, session in enumerate(raw.get("sessions", ())):
        here = (*path, "sessions", index)
        days = _weekdays(draft, session["days"], (*here, "days"))
        start, end = _clock_seconds(session["open"]), _clock_seconds(session["close"])
        if end <= start:
            close = f"{end // 3600 + 24}:{end % 3600 // 60:02}"
            guess = f'a session past midnight closes at "{close}"'
            draft.problem((*here, "close"), "the session closes before it opens", value=session["close"], guess=guess)
        sessions.append((days, start, end))
    holidays = raw.get("holidays", ())
    for index, day in enumerate(holidays):
        _check_date(draft, day, (*path, "holidays", index))
    closes = raw.get("earlyCloses", {})
    for day in closes:
        _check_date(draft, day, (*path, "earlyCloses", day))
    early = {day: _clock_seconds(clock) for day, clock in closes.items()}
    return Calendar(name, zone, exchange, tuple(sessions), tuple(holidays), early)


def _weekdays(draft: Draft, text: str, path: Path) -> tuple[int, ...]:
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last and last not in _DAYS):
            guess = did_you_mean(first if first not in _DAYS else last, _DAYS)
            allowed = "mon-fri, or a list of " + ", ".join(_DAYS)
            draft.problem(path, f"{text!r} names no weekdays", value=text, allowed=allowed, guess=guess)
            continue
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return tuple(sorted(days))


def _clock_seconds(text: str) -> int:
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return hours * 3600 + minutes * 60 + (seconds[0] if seconds else 0)


def _check_date(draft: Draft, text: str, path: Path) -> None:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        draft.problem(path, f"{text!r} is not a date", value=text, allowed="YYYY-MM-DD")


def build_references(
    draft: Draft, custom: Mapping[str, Custom], columns: Mapping[str, Column]
) -> dict[str, ReferenceTable]:
    """Reference tables by name."""
    found = custom.get("tapehouse.references")
    tables: dict[str, ReferenceTable] = {}
    for name, raw in (found.value if found is not None else {}).items():
        path = (*found.path, name) if found is not None else ()
        declared = dict(raw.get("columns", {}))
        for column, like in [*declared.items()]:
            if like in columns or like in _BARE_KINDS or _DECIMAL.fullmatch(like):
                continue
            del declared[column]
            draft.broken_names.add(column)
            if like in draft.broken_names:
                continue
            choices = (*columns, *_BARE_KINDS)
            guess = did_you_mean(like, choices)
            if like in ("decimal", "number"):
                guess = "name a contract column, whose scale it shares, or say the decimals: decimal:4"
            message = f"{column} takes its type from {like!r}, which is no column"
            draft.problem((*path, "columns", column), message, value=like, allowed=", ".join(choices), guess=guess)
        keys = tuple(raw["keys"])
        tables[name] = ReferenceTable(name, keys, declared, raw.get("path", ""), raw.get("validFrom", ""))
    return tables

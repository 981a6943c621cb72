"""Market hours as conditions, held against the calendars themselves: the expressions are evaluated here."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from tapehouse.arguments import load_contract
from tapehouse.cloud.monitoring.market_hours import calendar_of, is_open, minute_of_week, session_days, windows
from tapehouse.contracts.model import Calendar

from ..deployments import CONTRACTS  # noqa: TID252 - shared with other folders

NEW_YORK = Calendar("regular", exchange="XNYS")
TOKYO = Calendar("regular", exchange="XTKS")
FX_WEEK = Calendar(
    "fx", zone="America/New_York", sessions=(((6,), 61200, 86400), ((0, 1, 2, 3), 0, 86400), ((4,), 0, 61200))
)
ALWAYS = Calendar("always", sessions=(((0, 1, 2, 3, 4, 5, 6), 0, 86400),))


def evaluated(expression: str, at: dt.datetime) -> int:
    """What CloudWatch makes of an expression at that moment."""
    for name, value in (
        ("DAY", at.isoweekday()), ("HOUR", at.hour), ("MINUTE", at.minute), ("MONTH", at.month)
    ):  # fmt: skip
        expression = expression.replace(f"{name}(m)", str(value))
    python = re.sub(r"\bIF\(", "iff(", expression).replace(" AND ", " and ").replace(" OR ", " or ")
    return int(eval(python, {"iff": lambda condition, yes, no: yes if condition else no}))


def holds(condition: str, at: dt.datetime) -> bool:
    minute = evaluated(minute_of_week("m"), at)
    return bool(evaluated(condition.replace("w>", f"{minute}>").replace("w<", f"{minute}<"), at))


def opened(calendar: Calendar | None, text: str) -> bool:
    return holds(is_open(calendar, "m", "w"), dt.datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        # Winter: 14:30 to 21:00 UTC.
        ("2026-01-14 14:25", False), ("2026-01-14 14:30", True), ("2026-01-14 20:55", True),
        ("2026-01-14 21:00", False), ("2026-01-17 16:00", False), ("2026-01-18 16:00", False),
        # Summer: 13:30 to 20:00.
        ("2026-07-15 13:25", False), ("2026-07-15 13:30", True), ("2026-07-15 19:55", True),
        ("2026-07-15 20:00", False), ("2026-07-18 16:00", False),
        # March and November have both: what both share.
        ("2026-03-18 13:30", False), ("2026-03-18 14:30", True), ("2026-03-18 19:55", True),
        ("2026-03-18 20:00", False), ("2026-11-04 20:30", False), ("2026-11-04 15:00", True),
    ],
)  # fmt: skip
def test_new_york(moment: str, expected: bool) -> None:
    assert opened(NEW_YORK, moment) is expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [("2026-05-13 02:00", True), ("2026-05-13 03:00", False), ("2026-05-13 04:00", True), ("2026-05-13 09:00", False)],
)
def test_a_break_at_noon_is_not_watched(moment: str, expected: bool) -> None:
    assert opened(TOKYO, moment) is expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-11 22:00", True), ("2026-01-11 21:55", False), ("2026-01-13 03:00", True),
        ("2026-01-16 21:55", True), ("2026-01-16 22:00", False), ("2026-01-17 12:00", False),
        ("2026-07-12 21:00", True),
    ],
)  # fmt: skip
def test_a_session_of_days_goes_over_the_end_of_the_week(moment: str, expected: bool) -> None:
    assert opened(FX_WEEK, moment) is expected


@pytest.mark.parametrize("calendar", [None, ALWAYS])
@pytest.mark.parametrize("moment", ["2026-01-11 00:00", "2026-03-29 01:30", "2026-12-25 23:55"])
def test_what_never_closes_is_always_watched(calendar: Calendar | None, moment: str) -> None:
    assert opened(calendar, moment)


def test_the_condition_agrees_with_the_calendar_through_a_year() -> None:
    """Never open when the exchange is closed, but for its holidays and early closes."""
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XNYS", start="2025-01-01", end="2025-12-31")
    sessions = {day.date(): row for day, row in calendar.schedule.iterrows()}
    condition, wrong = is_open(NEW_YORK, "m", "w"), []
    # Every fourth session: all weekdays and months, and both sides of each change of the clocks.
    for day, row in list(sessions.items())[::4]:
        if row["close"] - row["open"] != dt.timedelta(hours=6, minutes=30):
            continue
        for minutes in range(0, 24 * 60, 30):
            at = dt.datetime.combine(day, dt.time()) + dt.timedelta(minutes=minutes)
            is_session = row["open"].tz_localize(None) <= at < row["close"].tz_localize(None)
            if holds(condition, at) and not is_session:
                wrong.append(at)
    assert not wrong


def test_days_of_trading() -> None:
    def traded(calendar: Calendar | None, text: str) -> bool:
        return holds(session_days(calendar, "w"), dt.datetime.fromisoformat(text))

    assert traded(NEW_YORK, "2026-01-14 00:00")
    assert not traded(NEW_YORK, "2026-01-17 00:00")
    assert traded(FX_WEEK, "2026-01-11 00:00")
    assert not traded(FX_WEEK, "2026-01-17 00:00")
    assert traded(None, "2026-01-17 00:00")


def test_months_are_told_apart_only_where_the_clocks_change() -> None:
    assert len(set(windows(NEW_YORK).values())) == 3
    assert len(set(windows(TOKYO).values())) == 1


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_expressions_fit(path: object) -> None:
    """CloudWatch takes 2,048 characters."""
    calendar = calendar_of(load_contract(path))  # type: ignore[arg-type]
    assert len(is_open(calendar, "m", "w")) <= 2_048


def test_where_two_offsets_share_nothing_nothing_is_watched() -> None:
    auction = Calendar("auction", zone="America/New_York", sessions=(((0, 1, 2, 3, 4), 57_600, 59_400),))
    found = windows(auction)
    assert found[3] == ()
    assert found[1][0] == (1_260, 1_290)
    assert not opened(auction, "2026-03-18 21:00")
    assert opened(auction, "2026-01-14 21:00")


def test_the_regular_calendar_is_taken_else_the_first() -> None:
    trades = load_contract(CONTRACTS / "us-equity-trades.yaml")
    assert calendar_of(trades) is trades.calendars["regular"]
    invoices = load_contract(CONTRACTS / "retail-invoices.yaml")
    assert calendar_of(invoices) is invoices.calendars["opening_hours"]
    assert calendar_of(load_contract(CONTRACTS / "daily-bars.yaml")) is None

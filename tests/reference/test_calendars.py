"""Sessions: weekly hours in a local zone, clock changes, midnight, holidays, early closes; exchanges of the library."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapehouse.contracts.model import Calendar
from tapehouse.errors import ContractError
from tapehouse.reference.calendars import calendar_version, sessions

NEW_YORK = "America/New_York"
WEEKDAYS = (0, 1, 2, 3, 4)
HOUR = 3600
EQUITIES = Calendar(
    "us",
    NEW_YORK,
    sessions=((WEEKDAYS, 34_200, 57_600),),
    holidays=("2013-11-28",),
    early_closes={"2013-11-29": 13 * HOUR},
)
FX = Calendar(
    "fx", NEW_YORK, sessions=(((6,), 17 * HOUR, 24 * HOUR), ((0, 1, 2, 3), 0, 24 * HOUR), ((4,), 0, 17 * HOUR))
)
CME = Calendar(
    "cme",
    "America/Chicago",
    sessions=(((6, 0, 1, 2, 3), 17 * HOUR, 40 * HOUR),),
    early_closes={"2024-11-29": 12 * HOUR + 900},
    holidays=("2024-12-25",),
)


def ns(text: str, zone: str = NEW_YORK) -> int:
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp()) * 10**9


def inside(calendar: Calendar, *instants: int) -> list[bool]:
    years = sorted({int(np.datetime64(at, "ns").astype("datetime64[Y]").astype(int)) + 1970 for at in instants})
    return sessions(calendar, tuple(years)).contains(np.array(instants, np.int64)).tolist()


def test_half_open_hours_follow_the_clock_change() -> None:
    for day, utc_open in (
        ("2013-03-08", "14:30"),
        ("2013-03-11", "13:30"),
        ("2013-11-01", "13:30"),
        ("2013-11-04", "14:30"),
    ):
        opening, closing = ns(f"{day}T{utc_open}", "UTC"), ns(f"{day}T16:00")
        assert inside(EQUITIES, opening - 1, opening, closing - 1, closing) == [False, True, True, False], day


def test_holiday_and_early_close() -> None:
    assert inside(EQUITIES, ns("2013-11-28T12:00")) == [False]
    assert inside(EQUITIES, ns("2013-11-29T13:00") - 1, ns("2013-11-29T13:00")) == [True, False]
    assert inside(EQUITIES, ns("2013-11-30T12:00")) == [False]


def test_fx_week_is_one_session() -> None:
    week = sessions(FX, (2014,)).overlapping(ns("2014-05-05T00:00"), ns("2014-05-05T01:00"))
    assert week.opens.tolist() == [ns("2014-05-04T17:00")]
    assert week.closes.tolist() == [ns("2014-05-09T17:00")]


def test_session_over_midnight_early_close_and_evening_reopening() -> None:
    zone = "America/Chicago"
    assert inside(CME, ns("2024-11-24T17:00", zone) - 1, ns("2024-11-24T17:00", zone)) == [False, True]
    assert inside(CME, ns("2024-11-25T15:59", zone), ns("2024-11-25T16:00", zone)) == [True, False]
    friday = [ns(f"2024-11-29T{time}", zone) for time in ("12:14", "12:15", "15:00")]
    assert inside(CME, *friday) == [True, False, False]
    # A holiday closes its local day: the end of one session and the beginning of the next.
    christmas = [ns(f"2024-12-{time}", zone) for time in ("24T23:59", "25T00:00", "25T18:00", "26T00:00", "26T17:00")]
    assert inside(CME, *christmas) == [True, False, False, True, True]


def test_early_close_leaves_the_evening_session() -> None:
    calendar = Calendar(
        "x",
        sessions=(((2,), 8 * HOUR, 16 * HOUR), ((2,), 17 * HOUR, 30 * HOUR)),
        early_closes={"2024-07-03": 12 * HOUR},
    )
    day = [
        ns(f"2024-07-{time}", "UTC")
        for time in ("03T11:59", "03T12:00", "03T16:59", "03T17:00", "04T05:59", "04T06:00")
    ]
    assert inside(calendar, *day) == [True, False, False, True, True, False]


def test_opening_in_the_hour_the_clock_skips() -> None:
    night = Calendar("night", NEW_YORK, sessions=(((6,), 2 * HOUR + 1800, 4 * HOUR),))
    change = ns("2013-03-10T07:00", "UTC")  # 02:00 EST becomes 03:00 EDT
    assert inside(night, change - 1, change, ns("2013-03-10T04:00")) == [False, True, False]


def test_sessions_meet_at_the_turn_of_the_year() -> None:
    always = Calendar("always", NEW_YORK, sessions=((tuple(range(7)), 0, 24 * HOUR),))
    assert len(sessions(always, (2013, 2014)).opens) == 1
    assert inside(always, ns("2013-12-31T23:59", "UTC"), ns("2014-01-01T00:00", "UTC")) == [True, True]


def test_years_without_int64_nanoseconds_have_no_sessions() -> None:
    assert not len(sessions(EQUITIES, (1677, 2262)).opens)
    assert inside(EQUITIES, -(2**63), 2**63 - 1) == [False, False]


@given(st.datetimes(dt.datetime(2013, 1, 1), dt.datetime(2014, 12, 31)))
def test_every_instant_agrees_with_the_wall_clock(naive: dt.datetime) -> None:
    moment = naive.replace(microsecond=0, tzinfo=dt.UTC)
    wall = moment.astimezone(ZoneInfo(NEW_YORK))
    closing = dt.time(13) if wall.date() == dt.date(2013, 11, 29) else dt.time(16)
    trading = wall.weekday() < 5 and wall.date() != dt.date(2013, 11, 28) and dt.time(9, 30) <= wall.time() < closing
    assert inside(EQUITIES, int(moment.timestamp()) * 10**9) == [trading]


def test_exchange_of_the_library() -> None:
    xnys = Calendar("us", exchange="XNYS")
    assert inside(xnys, ns("2013-07-03T12:59"), ns("2013-07-03T13:00"), ns("2013-07-04T12:00")) == [True, False, False]
    hong_kong = Calendar("hk", exchange="XHKG")
    day = [ns(f"2024-01-03T{time}", "Asia/Hong_Kong") for time in ("11:59", "12:00", "12:59", "13:00", "16:00")]
    assert inside(hong_kong, *day) == [True, False, False, True, False]
    assert inside(hong_kong, ns("1700-01-04T12:00", "UTC"), ns("2200-01-06T03:00", "UTC")) == [False, False]


@pytest.mark.parametrize(
    ("calendar", "path", "words"),
    [
        (Calendar("c", exchange="XNYZ"), "tapehouse.calendars.c.exchange", "XNYS"),
        (
            Calendar("c", "America/NewYork", sessions=((WEEKDAYS, 0, 1),)),
            "tapehouse.calendars.c.zone",
            "America/New_York",
        ),
        (
            Calendar("c", sessions=((WEEKDAYS, 0, 1),), holidays=("7/4/2013",)),
            "tapehouse.calendars.c.holidays",
            "2013-11-29",
        ),
    ],
)
def test_wrong_calendar_says_where_and_what(calendar, path, words) -> None:
    with pytest.raises(ContractError) as raised:
        sessions(calendar, (2013,))
    assert raised.value.problems[0].path == path
    assert words in raised.value.problems[0].allowed


def test_version_names_what_decides_the_sessions() -> None:
    assert calendar_version(Calendar("us", exchange="XNYS")).endswith(" XNYS")
    other = Calendar("us", NEW_YORK, sessions=EQUITIES.sessions)
    assert calendar_version(other) != calendar_version(EQUITIES)
    assert calendar_version(EQUITIES) == calendar_version(EQUITIES)

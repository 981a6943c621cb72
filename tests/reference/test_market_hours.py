"""The exchange calendar library against an independent database of market hours."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

import numpy as np

from tapehouse.contracts.model import Calendar
from tapehouse.reference.calendars import sessions

ZONE = ZoneInfo("America/New_York")


def _day(text: str) -> dt.date:
    return dt.datetime.strptime(text, "%m/%d/%Y").date()


def test_us_equities_of_2013(sample_data) -> None:
    database = json.loads((sample_data / "reference" / "market-hours-database.json").read_text())
    entry = database["entries"]["Equity-usa-[*]"]
    holidays = {day for day in map(_day, entry["holidays"]) if day.year == 2013}
    early = {day: time for text, time in entry["earlyCloses"].items() if (day := _day(text)).year == 2013}
    expected = {}
    for number in range(365):
        day = dt.date(2013, 1, 1) + dt.timedelta(days=number)
        if day.weekday() < 5 and day not in holidays:
            close = dt.time.fromisoformat(early.get(day, "16:00:00"))
            expected[day] = tuple(
                int(dt.datetime.combine(day, time, ZONE).timestamp()) * 10**9 for time in (dt.time(9, 30), close)
            )
    found = sessions(Calendar("us", exchange="XNYS"), (2013,))
    days = [dt.datetime.fromtimestamp(at // 10**9, ZONE).date() for at in found.opens.tolist()]
    library = dict(zip(days, zip(found.opens.tolist(), found.closes.tolist(), strict=True), strict=True))
    assert len(holidays) >= 9
    assert library == expected
    assert np.all(found.opens < found.closes)

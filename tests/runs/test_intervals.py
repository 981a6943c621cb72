"""The interval ledger: complete through when, with holes, channels and calendars."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapehouse.runs.intervals import complete_through, ledger_of

from .conftest import NewLake
from .support import Bench, replaced, trade, write_csv


def ns(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1000


def spans(*rows: tuple[str, str, int]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, {"channel": pl.String, "partition": pl.String, "last": pl.Int64}, orient="row")
    return frame.select(
        "channel", "partition", pl.from_epoch("last", "us").dt.replace_time_zone("UTC").alias("last_event")
    )


def test_a_hole_is_where_another_channel_has_rows() -> None:
    rows = spans(("a", "d1", 1), ("a", "d2", 2), ("a", "d4", 4), ("b", "d1", 1), ("b", "d3", 3), ("c", "d4", 4))
    assert complete_through(rows, None) == {"a": 2_000, "b": 1_000, "c": 4_000}


def test_a_hole_is_where_rows_were_due() -> None:
    rows = spans(("a", "d1", 1), ("a", "d3", 3), ("b", "d2", 2), ("b", "d3", 3))
    assert complete_through(rows, {"d1", "d3"}) == {"a": 3_000, "b": 3_000}
    assert complete_through(rows, {"d1", "d2", "d3"}) == {"a": 1_000, "b": 3_000}


@settings(deadline=None, max_examples=100)
@given(
    st.sets(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=1), st.sets(st.integers(1, 9)), st.booleans()
)
def test_complete_through_against_walking_day_by_day(held: set[tuple[str, int]], due: set[int], known: bool) -> None:
    rows = spans(*((channel, f"d{day}", day) for channel, day in held))
    days = due if known else {day for _, day in held}
    wanted = {}
    for channel in {channel for channel, _ in held}:
        mine = {day for name, day in held if name == channel}
        reached = min(mine)
        for day in range(min(mine), 10):
            if day in mine:
                reached = day
            elif day in days:
                break
        wanted[channel] = reached * 1_000
    assert complete_through(rows, {f"d{day}" for day in due} if known else None) == wanted


def hour(folder: Path, clock: str, number: int, day: str = "2024-03-08") -> Path:
    return write_csv(folder / f"{day}-{number}.csv", [trade(clock, number, day=day)])


def test_the_ledger_sees_a_hole_and_its_filling(bench: Bench, tmp_path: Path) -> None:
    """Sessions are 14:30 to 21:00; the hour of 16 comes last."""
    first = bench.run(hour(tmp_path, "14:59:59.5", 1), hour(tmp_path, "15:30:00", 2))
    assert first.complete_through == {"*": ns("2024-03-08T15:30:00+00:00")}
    ahead = bench.run(hour(tmp_path, "17:10:00", 3), hour(tmp_path, "18:10:00", 4))
    assert ahead.complete_through == {"*": ns("2024-03-08T15:30:00+00:00")}
    filled = bench.run(hour(tmp_path, "16:20:00", 5))
    assert filled.complete_through == {"*": ns("2024-03-08T18:10:00+00:00")}
    assert ledger_of(bench.lake, bench.contract) == filled.complete_through


def test_hours_without_a_session_are_no_holes(bench: Bench, tmp_path: Path) -> None:
    """From the last hour of one session to the first of the next nothing is due; a whole missing session is a hole."""
    hours = [f"{clock}:45:00" for clock in range(14, 21)]
    days = [
        write_csv(
            tmp_path / f"{day}.csv",
            [trade(clock, day * 10 + n, day=f"2024-03-0{day}") for n, clock in enumerate(hours)],
        )
        for day in (5, 6, 7)
    ]
    assert bench.run(days[0]).complete_through == {"*": ns("2024-03-05T20:45:00+00:00")}
    assert bench.run(days[2]).complete_through == {"*": ns("2024-03-05T20:45:00+00:00")}
    assert bench.run(days[1]).complete_through == {"*": ns("2024-03-07T20:45:00+00:00")}


@pytest.mark.parametrize(
    ("day", "reached"), [("2024-03-11", "2024-03-11T14:45:00+00:00"), ("2024-03-12", "2024-03-08T20:45:00+00:00")]
)
def test_days_without_a_session_are_no_holes(new_lake: NewLake, tmp_path: Path, day: str, reached: str) -> None:
    """By day, on weekdays: after Friday comes Monday; a missing Monday is a hole."""
    weekly = replaced(
        tmp_path, "weekly.yaml",
        {"value: {by: hour,": "value: {by: day,", "days: mon-sun": "days: mon-fri"},
    )  # fmt: skip
    bench = new_lake(made=weekly)
    bench.run(hour(tmp_path, "20:45:00", 1, "2024-03-08"))
    assert bench.run(hour(tmp_path, "14:45:00", 2, day)).complete_through == {"*": ns(reached)}


def test_an_empty_lake_is_complete_through_nothing(bench: Bench) -> None:
    assert ledger_of(bench.lake, bench.contract) == {}

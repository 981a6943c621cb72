"""Every grammar against plain Python: `Decimal`, `int`, `datetime` and `zoneinfo`, value by value."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapehouse.contracts.model import Column, Contract, Feed, Grammar, Kind
from tapehouse.errors import FeedError
from tapehouse.kernel.parse import FAILED, from_wall_time, parse, path_captures

from .support import TIME, column, contract

Texts = list[str | None]
INT64 = range(-(1 << 63), 1 << 63)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def read(made: Column, texts: Texts, **captures: str) -> tuple[list[object], list[bool]]:
    """Values and refusals of one column of text."""
    frame = parse(contract(made), pl.DataFrame({made.name: pl.Series(texts, dtype=pl.String)}), {}, captures)
    marks = frame[FAILED + made.name].to_list() if FAILED + made.name in frame.columns else [False] * len(texts)
    return frame[made.name].to_list(), marks


def check(made: Column, texts: Texts, slow: Callable[[str], object | None], **captures: str) -> None:
    """Each text reads as `slow` says; what it refuses is null and marked, what was null is null and not marked."""
    values, marks = read(made, texts, **captures)
    for text, value, mark in zip(texts, values, marks, strict=True):
        wanted = None if text is None else slow(text)
        assert value == wanted, (text, value, wanted)
        assert mark == (text is not None and wanted is None), text


def int64(value: int | None) -> int | None:
    return value if value is not None and value in INT64 else None


def slow_integer(text: str) -> int | None:
    return int64(int(text)) if re.fullmatch(r"[+-]?[0-9]+", text) else None


def slow_decimal(scale: int) -> Callable[[str], int | None]:
    def slow(text: str) -> int | None:
        if not re.fullmatch(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", text):
            return None
        with localcontext(prec=200):  # the usual 28 digits would round what must be refused
            scaled = Decimal(text).scaleb(scale)
            return int64(int(scaled)) if scaled == int(scaled) else None

    return slow


DIGITS = st.text("0123456789", max_size=22)
NOISE = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        (
            "",
            " 1",
            "1 ",
            "1\n",
            "١٢",
            "1_000",
            "NaN",
            "inf",
            "0x1",
            "--1",
            "+-1",
            "1e5",
            "1,5",
            ".",
            "-",
            "+.",
            "-.5",
            "5.",
        )
    ),
)
NUMBERS = st.one_of(
    st.tuples(st.sampled_from(("", "", "+", "-")), DIGITS, st.sampled_from(("", ".")), DIGITS).map("".join),
    st.tuples(st.sampled_from(("", "-")), st.integers(0, 10**12).map(str), st.text("0123456789", max_size=5)).map(
        lambda t: f"{t[0]}{t[1]}.{t[2]}" + "0" * (len(t[2]) % 3)
    ),
    st.integers(-(1 << 64), 1 << 64).map(str),
    st.sampled_from((str((1 << 63) - 1), str(1 << 63), str(-(1 << 63)), str(-(1 << 63) - 1))),
    NOISE,
)
MANY = st.lists(st.one_of(st.none(), NUMBERS), min_size=1, max_size=30)


@settings(deadline=None, max_examples=100)
@given(MANY)
def test_integers(texts: Texts) -> None:
    check(column("x", Kind.INTEGER), texts, slow_integer)


@settings(deadline=None, max_examples=150)
@given(MANY, st.integers(0, 9))
@example(["1000000000.0000000000000000001"], 0)
@example(["9223372036854775807", "9223372036854775808", "-9223372036854775808", "0.0000000000"], 0)
@example(["922337203685.4775807", "922337203685.4775808", "1.00000001", "1.00000000000000000000000"], 7)
@example(["12345678901234567890123456789012345678901", "0." + "0" * 60, "1" + "0" * 40], 4)
def test_decimals_are_exact_and_surplus_decimals_refused(texts: Texts, scale: int) -> None:
    check(column("x", Kind.DECIMAL, scale=scale), texts, slow_decimal(scale))


@settings(deadline=None, max_examples=100)
@given(MANY, st.integers(0, 9), st.integers(0, 9))
def test_scaled_integers(texts: Texts, scale: int, source_scale: int) -> None:
    def slow(text: str) -> int | None:
        whole = slow_integer(text)
        if whole is None:
            return None
        value = Decimal(whole).scaleb(scale - source_scale)
        return int64(int(value)) if value == int(value) else None

    check(column("x", Kind.DECIMAL, Grammar.SCALED, scale=scale, source_scale=source_scale), texts, slow)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(st.none(), NOISE, st.text("0123456789abcdefABCDEFxXg", max_size=18)), max_size=30))
@example(["0x", "0X10", "0x0x10", "fffffffffffffff", "ffffffffffffffff", "-1", "+1", "", "00000000000000000001"])
def test_hexadecimals_of_at_most_fifteen_digits(texts: Texts) -> None:
    def slow(text: str) -> int | None:
        return int(text, 16) if re.fullmatch(r"(?:0[xX])?[0-9a-fA-F]{1,15}", text) else None

    check(column("x", Kind.INTEGER, Grammar.HEX), texts, slow)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(NUMBERS, st.floats().map(repr)), max_size=30))
@example(["1e400", "-1e400", "1e-400", "1.5E+3", "1e", "e5", ".e5", "1.e5", "Infinity"])
def test_doubles(texts: Texts) -> None:
    def slow(text: str) -> float | None:
        if not re.fullmatch(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", text):
            return None
        value = float(text)
        return value if abs(value) != float("inf") else None

    check(column("x", Kind.DOUBLE), texts, slow)


@pytest.mark.parametrize("grammar", [Grammar.EPOCH_S, Grammar.EPOCH_MS, Grammar.EPOCH_US, Grammar.EPOCH_NS])
def test_epochs_overflow_to_refusals(grammar: Grammar) -> None:
    factor = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}[grammar.value]
    edge = ((1 << 63) - 1) // factor
    numbers = [0, 1, -1, edge, edge + 1, -edge, -edge - 2, 1_709_562_600, 1 << 63, -(1 << 63)]
    texts: Texts = [*map(str, numbers), None, "", "1.5", "2024-03-04T14:30:00Z", " 1"]
    made = column("x", Kind.TIMESTAMP, grammar)
    values, _ = read(made, texts)
    assert all(value is None or value in INT64 for value in values)

    def slow(text: str) -> int | None:
        whole = slow_integer(text)
        return None if whole is None or (factor > 1 and abs(whole) > edge) else int64(whole * factor)

    check(made, texts, slow)


BOOLEANS = {"true": True, "t": True, "1": True, "yes": True, "y": True}
BOOLEANS |= {"false": False, "f": False, "0": False, "no": False, "n": False}


def test_booleans_in_any_case_and_nothing_else() -> None:
    texts: Texts = [form(text) for text in BOOLEANS for form in (str, str.upper, str.title)]
    texts += [None, "", "2", "on", "ja", "true ", "İ", "tru"]
    check(column("x", Kind.BOOLEAN), texts, lambda text: BOOLEANS.get(text.lower()))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(st.dates().map(str), st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True), NOISE), max_size=20
    )
)
@example(["2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2024-2-9", "20240229", "2024-02-29 ", "0000-01-01"])
def test_dates(texts: Texts) -> None:
    def slow(text: str) -> dt.date | None:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) or text.startswith("0000"):
            return None
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            return None

    check(column("x", Kind.DATE), [text for text in texts if not text.startswith("0000-")], slow)


def test_dates_with_a_format() -> None:
    def slow(text: str) -> dt.date | None:
        try:
            return dt.datetime.strptime(text, "%d/%m/%Y").date() if len(text) == 10 else None
        except ValueError:
            return None

    check(column("x", Kind.DATE, format="%d/%m/%Y"), ["29/02/2024", "30/02/2024", "2024-02-29", None, "x"], slow)


ZONES = (
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Africa/Casablanca",
)


def slow_wall(naive: dt.datetime, zone: str) -> int | None:
    """ns of a wall time: the earlier instant where clocks go back, None where they skip it."""
    moment = naive.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(dt.UTC)
    if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != naive:
        return None
    return (moment - EPOCH) // dt.timedelta(microseconds=1) * 1000


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(ZONES),
    st.lists(st.datetimes(dt.datetime(2005, 1, 1), dt.datetime(2030, 1, 1)), min_size=1, max_size=10),
    st.integers(0, 20),
)
@example(
    "America/New_York",
    [dt.datetime(2024, 3, 10, 1, 59), dt.datetime(2024, 3, 10, 2, 30), dt.datetime(2024, 3, 10, 3)],
    0,
)
@example(
    "America/New_York",
    [dt.datetime(2024, 11, 3, 0, 59), dt.datetime(2024, 11, 3, 1, 30), dt.datetime(2024, 11, 3, 2)],
    0,
)
@example("Australia/Lord_Howe", [dt.datetime(2024, 10, 6, 2, 15), dt.datetime(2024, 4, 7, 1, 45)], 0)
@example("America/Sao_Paulo", [dt.datetime(2018, 1, 1), dt.datetime(2019, 1, 1), dt.datetime(2020, 1, 1)], 0)
@example("Asia/Kolkata", [dt.datetime(2005, 1, 1), dt.datetime(2029, 1, 1)], 0)
@example("America/New_York", [dt.datetime(2023, 1, 1), dt.datetime(2024, 7, 1), dt.datetime(2025, 1, 1)], 0)
def test_wall_times_of_a_zone(zone: str, moments: list[dt.datetime], near: int) -> None:
    """Also spread over a few days only, the usual case of a file, where the offset is looked up by the day."""
    close = [moments[0] + dt.timedelta(days=near) * (moment.microsecond / 1e6) for moment in moments]
    for naive in (moments, close):
        texts: Texts = [moment.strftime("%Y-%m-%dT%H:%M:%S") for moment in naive]
        made = column("x", Kind.TIMESTAMP, Grammar.ISO8601, zone=zone)
        check(made, texts, lambda text: slow_wall(dt.datetime.fromisoformat(text), zone))


def test_every_quarter_hour_around_every_change_of_clocks() -> None:
    """Frames of one day, of one hour and of one instant: each takes the quick way or not, and all agree."""
    zone, base = "America/New_York", dt.datetime(1970, 1, 1)
    for change in (dt.datetime(2024, 3, 10), dt.datetime(2024, 11, 3)):
        naive = [change + dt.timedelta(minutes=15 * step - 24 * 60) for step in range(4 * 72)]
        wanted = [slow_wall(moment, zone) for moment in naive]
        walls = pl.Series([(moment - base) // dt.timedelta(microseconds=1) * 1000 for moment in naive])
        for size in (1, 4, 96, len(naive)):
            got = [
                value
                for start in range(0, len(naive), size)
                for value in from_wall_time(walls[start : start + size], zone)
            ]
            assert got == wanted


def test_instants_with_an_offset_ignore_the_zone_others_take_it() -> None:
    made = column("x", Kind.TIMESTAMP, Grammar.ISO8601, zone="America/New_York")
    values, marks = read(made, ["2024-03-04T09:30:00", "2024-03-04T14:30:00Z", "2024-03-04T15:30:00+01:00", None, "x"])
    assert values[0] == values[1] == values[2] == 1_709_562_600_000_000_000
    assert marks == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("zone", "date", "ms", "utc"),
    [
        ("America/New_York", "20240308", "34200000", "2024-03-08T14:30:00+00:00"),
        ("America/New_York", "2024-03-11", "34200000", "2024-03-11T13:30:00+00:00"),
        ("America/New_York", "20240310", "7199999", "2024-03-10T06:59:59.999000+00:00"),
        ("America/New_York", "20240310", "7200000", None),
        ("America/New_York", "20240310", "34200000", "2024-03-10T13:30:00+00:00"),
        ("America/New_York", "20241103", "34200000", "2024-11-03T14:30:00+00:00"),
        ("America/New_York", "20241103", "5400000", "2024-11-03T05:30:00+00:00"),
        ("America/New_York", "20240308", "0", "2024-03-08T05:00:00+00:00"),
        ("America/New_York", "20240308", "86399999", "2024-03-09T04:59:59.999000+00:00"),
        ("America/New_York", "20240308", "86400000", None),
        ("America/New_York", "20240308", "-1", None),
        ("UTC", "20240308", "12:30", None),
        ("UTC", "19700101", "1", "1970-01-01T00:00:00.001000+00:00"),
    ],
)
def test_milliseconds_of_the_day(zone: str, date: str, ms: str, utc: str | None) -> None:
    values, marks = read(column("x", Kind.TIMESTAMP, Grammar.MS_OF_DAY, zone=zone), [ms, None], date=date)
    wanted = None if utc is None else (dt.datetime.fromisoformat(utc) - EPOCH) // dt.timedelta(milliseconds=1) * 10**6
    assert values == [wanted, None]
    assert marks == [utc is None, False]


@pytest.mark.parametrize("date", ["", "2024", "20241301", "2024-02-30"])
def test_milliseconds_without_a_day_cannot_be_read(date: str) -> None:
    with pytest.raises(FeedError, match="midnight") as caught:
        read(column("x", Kind.TIMESTAMP, Grammar.MS_OF_DAY), ["1"], date=date)
    assert "(?P<date>" in caught.value.fix


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2250, 1, 1)), min_size=1, max_size=10),
    st.sampled_from(ZONES),
)
def test_strptime(moments: list[dt.datetime], zone: str) -> None:
    modern = [moment.replace(year=2000 + moment.year % 30, day=min(moment.day, 28)) for moment in moments]
    made = column("x", Kind.TIMESTAMP, Grammar.STRPTIME, format="%d.%m.%Y %H:%M:%S%.f", zone=zone)

    def slow(text: str) -> int | None:
        try:
            return slow_wall(dt.datetime.strptime(text, "%d.%m.%Y %H:%M:%S.%f"), zone)
        except ValueError:
            return None

    texts: Texts = [moment.strftime("%d.%m.%Y %H:%M:%S.%f") for moment in modern]
    check(made, [*texts, None, "31.02.2024 00:00:00.0", "x", ""], slow)


def test_strptime_with_an_offset_in_the_text() -> None:
    made = column("x", Kind.TIMESTAMP, Grammar.STRPTIME, format="%Y%m%d %H%M%S %z", zone="America/New_York")
    values, marks = read(made, ["20240304 153000 +0100", "20240304 143000 +0000", "20240304 143000"])
    assert values == [1_709_562_600_000_000_000, 1_709_562_600_000_000_000, None]
    assert marks == [False, False, True]


def test_sentinels_mean_not_updated_and_are_no_fault() -> None:
    made = column("x", Kind.DECIMAL, scale=2, sentinels=(0, -100))
    assert read(made, ["0", "0.00", "-1", "1", "x", None]) == (
        [None, None, None, 100, None, None],
        [False, False, False, False, True, False],
    )
    text = column("x", Kind.STRING, sentinels=("N/A",))
    assert read(text, ["N/A", "NA", "", None])[0] == [None, "NA", "", None]


def test_the_readers_refusals_are_kept_beside_the_grammars() -> None:
    made = contract(column("x", Kind.INTEGER), column("y", Kind.INTEGER), column("z", Kind.STRING), TIME)
    frame = pl.DataFrame({"x": ["1", "a", None], "y": [1, None, 3], "z": ["a", "b", None]})
    failed = {"x": pl.Series([False, False, True]), "y": pl.Series([False, True, False])}
    parsed = parse(made, frame, failed, {})
    assert parsed[FAILED + "x"].to_list() == [False, True, True]
    assert parsed[FAILED + "y"].to_list() == [False, True, False]
    assert FAILED + "z" not in parsed.columns
    assert parsed["t"].dtype == pl.Int64
    assert parsed["t"].to_list() == [None] * 3
    assert parsed.columns[:2] == ["x", FAILED + "x"]


@pytest.mark.parametrize("kind", list(Kind))
def test_no_rows_and_only_nulls_keep_the_canonical_type(kind: Kind) -> None:
    made = column("x", kind)
    for texts in ([], [None, None]):
        values, marks = read(made, texts)
        assert values == [None] * len(texts)
        assert marks == [False] * len(texts)
    types = {
        parse(contract(made), pl.DataFrame({"x": pl.Series(t, dtype=pl.String)}), {}, {}).schema["x"]
        for t in ([], [None], ["?"])
    }
    assert len(types) == 1


def test_a_path_that_does_not_match_is_an_error_with_a_way_out() -> None:
    made: Contract = contract(TIME, feed=Feed(path=r"(?P<date>\d{8})_(?P<symbol>[a-z]+)(?:_(?P<part>\d))?\.csv$"))
    assert path_captures(made, "/data/20240308_spy.csv") == {"date": "20240308", "symbol": "spy"}
    assert path_captures(contract(TIME), "anything") == {}
    with pytest.raises(FeedError, match="does not match") as caught:
        path_captures(made, "/data/readme.txt")
    assert caught.value.path == "/data/readme.txt"
    assert caught.value.fix

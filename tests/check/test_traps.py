"""Where SQL engines and the kernel differ by nature, one case each, in both dialects."""

from __future__ import annotations

import datetime as dt
import math
import random
import re
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from tapehouse.contracts import expr as e
from tapehouse.engines.sql.forms import NotCheckableError
from tapehouse.engines.sql.regex import portable
from tapehouse.engines.sql.source import Database
from tapehouse.kernel.compile import anchored

Agree = Callable[..., set[int]]
LEAST, MOST = -(2**63), 2**63 - 1
PRICE, SIZE, SEQUENCE, SYMBOL, CLOSE = (e.Col(name) for name in ("price", "size", "sequence", "symbol", "close"))


def _of(name: str, values: list[Any]) -> list[dict[str, Any]]:
    return [{name: value} for value in values]


def test_null_breaks_nothing_and_is_no_answer(agree: Agree) -> None:
    positive, negative = e.Compare(">", PRICE, e.Lit(0)), e.Compare("<", SIZE, e.Lit(0))
    conditions = [
        *(logic((positive, negative)) for logic in (e.All, e.AnyOf)),
        e.Not(positive),
        e.Not(e.All((positive, negative))),
        e.IsNull(e.Coalesce((positive, negative))),
        e.IfElse(positive, negative, e.Not(negative)),
        e.InSet(PRICE, (1,)),
        e.Not(e.InSet(PRICE, (1,))),
        e.Not(e.Matches(SYMBOL, ".")),
    ]
    cells = [None, -1, 1]
    assert not agree(conditions, [{"price": one, "size": two, "symbol": None} for one in cells for two in cells])


def test_remainders_have_the_divisors_sign(agree: Agree) -> None:
    numbers = [LEAST, LEAST + 1, -7, -1, 0, 1, 7, MOST, None]
    remainder = e.Arith("%", SIZE, SEQUENCE)
    conditions = [e.Compare("==", remainder, e.Lit(value)) for value in (-2, -1, 0, 1, 2, 3)] + [e.IsNull(remainder)]
    assert not agree(
        conditions, [{"size": one, "sequence": two} for one in numbers for two in (*numbers[2:7], LEAST, MOST)]
    )


def test_integers_do_not_wrap(agree: Agree) -> None:
    numbers = [LEAST, -(2**62), -1, 0, 3, 2**53 + 1, 2**62, MOST]
    square = e.Arith("*", SIZE, SEQUENCE)
    conditions = [
        e.Compare(">", e.Arith("+", SIZE, SEQUENCE), e.Lit(MOST)),
        e.Compare("<", e.Arith("-", SIZE, SEQUENCE), e.Lit(LEAST)),
        e.Compare(">", e.Abs(SIZE), e.Lit(MOST)),
        e.Compare("==", square, e.Arith("*", e.Lit(MOST), e.Lit(MOST))),
        e.Compare(">", square, e.Lit(2**124)),
        e.Compare(">=", e.Arith("+", square, SIZE), e.Arith("*", SIZE, e.Lit(MOST))),
        # Beyond 128 bits the kernel goes on in doubles, and so must SQL.
        e.Compare(">", e.Arith("*", square, SIZE), e.Arith("*", square, SEQUENCE)),
        e.Compare("==", e.Arith("*", square, SIZE), e.Arith("*", SIZE, square)),
        # A product is rounded once when it becomes a double.
        *(e.Compare(op, e.Arith("/", square, e.Lit(3)), e.Arith("/", square, SIZE)) for op in ("<", "==")),
        e.Compare("==", e.ToDouble(e.Arith("+", SIZE, SEQUENCE)), e.Arith("/", e.Arith("+", SIZE, SEQUENCE), e.Lit(1))),
    ]
    assert not agree(conditions, [{"size": one, "sequence": two} for one in numbers for two in numbers])


def test_large_integers_are_rounded_once(agree: Agree) -> None:
    # DuckDB's own conversion adds a rounded half to a rounded half, and is off by one in the last digit of these.
    numbers = [43_893_841_039_058_997_741, -246_451_315_674_730_857_075_110_055_710_478_442, 32_858_322_138_222_572_646]
    sums = [e.ToDouble(e.Arith("+", e.Lit(number), SIZE)) for number in numbers]
    conditions = [e.Compare("==", one, e.Lit(float(number))) for one, number in zip(sums, numbers, strict=True)]
    assert not agree(conditions, _of("size", [0, 1, -1, MOST, None]))


def test_prices_of_18_digits_keep_each_of_them(agree: Agree) -> None:
    prices = [10**18 - 1, 10**18 - 2, 123_456_789_012_345_677, -(10**18) + 1, -(10**18) + 2, 1, -1, None]
    assert not agree([e.Compare("==", PRICE, e.Lit(one)) for one in prices if one is not None], _of("price", prices))


def test_versions_and_sessions_begin_and_end_to_the_nanosecond(agree: Agree) -> None:
    tick = e.Lookup("listings", "tick", ("venue", "symbol"), ("venue", "symbol"))
    keys = [("X", "A"), ("Y", "B"), ("Y", "A"), (None, "A"), ("X", None)]
    rows = [
        {"venue": one, "symbol": two, "ts_event": at} for one, two in keys for at in (None, -1, 0, 2, 3, 4, 5, 6, MOST)
    ]
    conditions: list[e.Expr] = [e.Compare("==", tick, e.Lit(value)) for value in (100, 500, 1000)] + [e.IsNull(tick)]
    assert not agree(conditions, rows)
    days = [dt.datetime(*day, tzinfo=dt.UTC) for day in ((1969, 12, 31), (1970, 1, 1), (2013, 10, 7), (2013, 10, 12))]
    edges = [
        int((day + dt.timedelta(minutes=at)).timestamp()) * 10**9 for day in days for at in (0, 810, 870, 1200, 1260)
    ]
    instants = [edge + shift for edge in edges for shift in (-1, 0, 1)]
    inside = e.InSession(e.Col("ts_recv"), "us")
    assert not agree([inside, e.Not(inside)], _of("ts_recv", [*instants, None]))


def test_doubles_are_ordered_with_nan_last_and_one_zero(agree: Agree) -> None:
    numbers = [math.nan, -0.0, 0.0, math.inf, -math.inf, 1e308, None]
    rows = [{"close": one, "price": two} for one in numbers for two in (-1, 0, 1, None)]
    others = [e.Lit(number) for number in numbers if number is not None] + [e.ToDouble(PRICE)]
    conditions = [e.Compare(op, CLOSE, other) for op in ("<", "==", ">=") for other in others]
    conditions += [e.Compare("==", best((CLOSE, other)), CLOSE) for best in (e.Greatest, e.Least) for other in others]
    conditions += [e.Compare(">", e.Arith("*", CLOSE, e.Lit(10.0)), e.Lit(1e308)), e.IsNull(e.Arith("/", PRICE, CLOSE))]
    assert not agree(conditions, rows)


TEXTS = [
    "",
    "A",
    "a",
    "B",
    "é",
    "e\u0301",
    "ſ",
    "\u212a",
    "\uffff",
    "\U0001f600",
    "A\n",
    "\n",
    "A\r\n",
    "A\u2028",
    "a\x00",
    "٣",
    "'",
    "\\",
    "${spark.app.id}",
    None,
]


def test_texts_compare_by_their_bytes(agree: Agree) -> None:
    conditions = [e.Compare(op, SYMBOL, e.Lit(text)) for op in ("<", "==") for text in TEXTS if text is not None]
    conditions += [e.InSet(SYMBOL, (text, "\U0001f600")) for text in TEXTS if text is not None]
    assert not agree(conditions, _of("symbol", TEXTS))


PATTERNS = [
    "A", "A$", "^A", r"A\z", "a|A", ".", "(?s).", ".*", r"\w", r"[\w&&[^A]]", r"\d", r"\s", "(?i)a", "(?i)k|s", "",
    "A?", r"[^\x00-\x7F]", r"a{0,2}\x00?", r"(?P<n>A)(?:\n)?", r"\PL", r"\'|\\", r"\$\{.*\}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_match_whole_texts_and_no_newline_more(agree: Agree, pattern: str) -> None:
    assert not agree([e.Matches(SYMBOL, pattern), e.Not(e.Matches(SYMBOL, pattern))], _of("symbol", TEXTS))


@pytest.mark.parametrize(
    "pattern", [r"\bA", r"A\B", "(?m)^A$", "(?x) A", r"\<A", "(?U)a*", "a{1001}", "(?-u:A)", "(?=A)"]
)
def test_patterns_without_exact_counterpart_are_refused(pattern: str) -> None:
    with pytest.raises(NotCheckableError, match="no exact counterpart"):
        portable(pattern)


def test_generated_patterns_match_what_the_kernel_matches(database: Database) -> None:
    chosen = random.Random(11)
    atoms = [
        "a",
        "b",
        ".",
        "[ab]",
        "[^a]",
        r"\w",
        r"\d",
        "(?i:s)",
        r"\n",
        "(?:ab|b)",
        "(a|)",
        r"[[:alpha:]]",
        "[]a]",
        "é",
    ]
    counts = ["", "", "*", "+", "?", "{2}", "{0,2}", "*?", "+*"]
    texts = ["".join(chosen.choices("abAsſé1\n", k=chosen.randint(0, 5))) for _ in range(60)]
    patterns = [
        "".join(chosen.choice(atoms) + chosen.choice(counts) for _ in range(chosen.randint(1, 4))) for _ in range(80)
    ]
    relation = database.add(pl.DataFrame({"text": texts}).with_row_index("place").cast({"place": pl.Int64}))
    tests = ", ".join(database.dialect.matches("text", portable(pattern)) for pattern in patterns)
    found = database.rows(f"SELECT {tests} FROM {relation} ORDER BY place")
    series = pl.Series(texts)
    expected = list(zip(*(series.str.contains(anchored(pattern)).to_list() for pattern in patterns), strict=True))
    assert found == expected
    assert 0 < sum(map(sum, expected)) < len(texts) * len(patterns)


def test_windows_do_not_reach_into_other_batches(agree: Agree) -> None:
    rows = [
        {"symbol": name, "price": price, "size": price}
        for name, price in zip("ABAABA", (5, 3, None, 9, 1, 2), strict=True)
    ]
    by = ("symbol",)
    window = [e.Previous(PRICE, by), e.Carried(PRICE, by), e.RunningMax(PRICE, ()), e.Next(PRICE, by)]
    window += [e.Rolling(name, PRICE, rows, by) for name in ("min", "max", "sum") for rows in (1, 2, 3)]
    conditions: list[e.Expr] = [e.Compare(">", PRICE, one) for one in window]
    conditions += [e.IsNull(one) for one in window]
    conditions += [e.SeenBefore(("symbol",)), e.Compare(">", SIZE, e.Previous(e.Carried(PRICE, ("symbol",)), ()))]
    conditions += [e.Compare(">", PRICE, e.Rolling(name, PRICE, 3, ("symbol",))) for name in ("mean", "median")]
    assert not agree(conditions, rows, rows[::-1], rows[:1])


def test_statistics_that_round_are_refused(agree: Agree) -> None:
    rows = [{"size": MOST, "close": 0.1}, {"size": 1, "close": 0.2}]
    statistics = [e.Rolling("mean", SIZE, 3, ()), e.Rolling("median", SIZE, 3, ()), e.Rolling("max", CLOSE, 3, ())]
    assert agree([e.Compare(">", SIZE, one) for one in statistics], rows) == {0, 1, 2}


def test_wide_windows_are_measured(agree: Agree) -> None:
    """A carried product has up to 126 bits, so a product with it has more than 128."""
    product = e.Carried(e.Arith("*", SIZE, SEQUENCE), ())
    rows = [{"size": MOST, "sequence": MOST}, {"size": MOST, "sequence": None}, {"size": 3, "sequence": None}]
    assert not agree([e.Compare("<", e.Arith("*", product, SIZE), e.Lit(0)), e.Compare(">", product, SIZE)], rows)


def test_hexadecimal_is_only_for_texts_that_need_it(database: Database) -> None:
    assert database.dialect.literal("AAPL 2024-01-02") == "'AAPL 2024-01-02'"
    assert re.search("[0-9A-F]{2}", database.dialect.literal("'"))

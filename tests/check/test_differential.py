"""SQL against the kernel: the same generated rules over the same generated rows.

A price of the lake has 18 digits, so the extremes of 64 bits are in integer columns and in constants.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from tapehouse.contracts import expr as e
from tapehouse.engines.sql.on_duckdb import duck_database
from tapehouse.engines.sql.on_spark import SparkDatabase
from tapehouse.engines.sql.source import Database

from .support import Bench, Trial  # first: it says where the following are

from trees import BATCH_TESTS, CONDITIONS, EXACT, OPERATORS, ROW  # isort: skip

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXTS = [
    "A",
    "a",
    "B",
    "",
    "é",
    "e\u0301",
    "\U0001f600",
    "\uffff",
    "A\n",
    "\n",
    "ſ",
    "\u212a",
    "٣",
    "'",
    "\\",
    "a\x00",
    "${x}",
]
DOUBLES = [math.nan, -0.0, 0.0, 1.5, -1.5, math.inf, -math.inf, 5e-324, 1e308, 2.0**53, 0.1]
DAYS = [dt.date(1969, 12, 31), dt.date(2024, 2, 29), dt.date(9999, 12, 31)]
MORE = st.fixed_dictionaries(
    {
        "price": st.one_of(st.none(), st.sampled_from([-(10**18) + 1, 10**18 - 1]), st.integers(-9, 9)),
        "symbol": st.one_of(st.none(), st.sampled_from(["A", "B"]), st.sampled_from(TEXTS)),
        "close": st.one_of(st.none(), st.sampled_from(DOUBLES)),
        "day": st.one_of(st.none(), st.sampled_from(DAYS)),
        "flagged": st.one_of(st.none(), st.booleans()),
    }
)
ROWS = st.tuples(ROW, MORE).map(lambda parts: parts[0] | parts[1])
BATCH = st.lists(ROWS, min_size=1, max_size=12)

CLOSE, SYMBOL = e.Col("close"), e.Col("symbol")
PATTERNS = [
    "A",
    "[AB]?",
    "",
    "A|",
    r"\w",
    r"\d",
    ".",
    "(?i)s",
    "(?i:K)",
    "(?s).+",
    r"\p{L}+",
    "[^A-Z]{1,2}",
    "a*+|x",
    "A$",
    r"\s",
    r"'|\\",
]
DOUBLE = st.recursive(
    st.one_of(st.just(CLOSE), st.sampled_from(DOUBLES).map(e.Lit), st.just(e.ToDouble(e.Col("size")))),
    lambda inner: st.one_of(
        st.builds(e.Arith, st.sampled_from(["+", "-", "*", "/"]), inner, inner),
        st.builds(e.Abs, inner),
        st.tuples(inner, inner).map(e.Greatest),
        st.tuples(inner, inner).map(e.Least),
        st.tuples(inner, inner).map(e.Coalesce),
        st.builds(e.Carried, inner, st.just(("symbol",))),
        st.builds(e.RunningMax, inner, st.just(())),
    ),
    max_leaves=3,
)
TEXT = st.one_of(st.just(SYMBOL), st.just(e.Col("venue")), st.sampled_from(TEXTS).map(e.Lit))
MORE_TESTS = st.one_of(
    st.builds(e.Compare, OPERATORS, DOUBLE, DOUBLE),
    st.builds(e.Compare, OPERATORS, DOUBLE, EXACT),
    st.builds(e.Compare, OPERATORS, st.just(SYMBOL), TEXT),
    st.builds(e.Compare, OPERATORS, st.just(e.Col("day")), st.sampled_from(DAYS).map(lambda day: e.Lit(str(day)))),
    st.builds(e.Compare, OPERATORS, st.just(e.Col("flagged")), st.booleans().map(e.Lit)),
    st.builds(e.Matches, st.just(SYMBOL), st.sampled_from(PATTERNS)),
    st.builds(e.InSet, st.just(SYMBOL), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map(tuple)),
    st.just(e.InSet(e.Col("day"), ("2024-02-29", "1969-12-31"))),
    st.just(e.InSet(CLOSE, (0.0, 1.5))),
    st.just(e.Col("flagged")),
    st.just(e.Not(e.Col("flagged"))),
    DOUBLE.map(e.IsNull),
)
ALL_TESTS = st.one_of(CONDITIONS, MORE_TESTS, BATCH_TESTS)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """`count` examples, the same on every run: a query answers for all of them at once."""
    found: list[Any] = []

    @settings(max_examples=count, derandomize=True, database=None, phases=[Phase.generate], deadline=None)
    @given(strategy)
    def keep(example: Any) -> None:
        found.append(example)

    keep()
    return found


def compare(bench: Bench, database: Database, conditions: list[e.Expr], batches: list[Any]) -> set[int]:
    """Asserts equality rule by rule, so that a failure names the rule; the rules that were refused."""
    trial = Trial(bench, batches)
    found, refused = trial.database(conditions, database)
    expected = trial.kernel(conditions)
    wrong = [
        (
            conditions[bit],
            [rows for rows, other in zip(found, expected, strict=True) if (rows[2] ^ other[2]) >> bit & 1],
        )
        for bit in range(len(conditions))
        if bit not in refused
        and any((rows[2] ^ other[2]) >> bit & 1 for rows, other in zip(found, expected, strict=True))
    ]
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert not wrong, "\n".join(f"{node}: {batches[int(rows[0][0][1:])][rows[0][1]]}" for node, rows in wrong)
    return refused


@QUICK
@given(st.lists(ALL_TESTS, min_size=1, max_size=4), st.lists(BATCH, min_size=1, max_size=2))
def test_duckdb_gives_the_kernels_verdict(bench: Bench, conditions: list[e.Expr], batches: list[Any]) -> None:
    note("\n".join(map(str, conditions)))
    with duck_database() as database:
        compare(bench, database, conditions, batches)


@pytest.mark.parametrize("tests", [CONDITIONS, MORE_TESTS, BATCH_TESTS], ids=["rules", "types", "batches"])
def test_duckdb_gives_the_kernels_verdict_on_many(bench: Bench, tests: st.SearchStrategy[e.Expr]) -> None:
    conditions, batches = drawn(tests, 120), drawn(BATCH, 40)
    for start in range(0, len(conditions), 60):
        with duck_database() as database:
            compare(bench, database, conditions[start : start + 60], batches)


@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize("tests", [CONDITIONS, MORE_TESTS, BATCH_TESTS], ids=["rules", "types", "batches"])
def test_spark_gives_the_kernels_verdict(bench: Bench, spark: SparkSession, tests: st.SearchStrategy[e.Expr]) -> None:
    with SparkDatabase(spark) as database:
        compare(bench, database, drawn(tests, 50), drawn(BATCH, 20))

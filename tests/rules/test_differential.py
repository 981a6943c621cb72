"""The compiled rules against a naive evaluator: one row at a time, in plain Python, straight from the definitions.

Trees and frames are generated, with the extremes of 64 bits among the numbers, so that a product that wraps or a sum
that is rounded shows; and every batch is also judged in random slices, which must change nothing.
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from bisect import bisect_right
from statistics import median
from typing import Any

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import HealthCheck, given, note, settings

from tapehouse.contracts import expr as e
from tapehouse.contracts.model import RowRule
from tapehouse.kernel.verdict import Judge, JudgeState

LISTINGS = "venue,symbol,since,tick\nX,A,1970-01-01T00:00:00.000000003Z,0.01\nX,A,1970-01-01T00:00:00.000000006Z,0.05\nY,B,1970-01-01,0.1\n"
AS_OF = {("X", "A"): ([3, 6], [100, 500]), ("Y", "B"): ([0], [1000])}
COMPARE = {"<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt}
SCALES = {"price": 4}
MONDAY_OPEN_NS = int(dt.datetime(2013, 10, 7, 13, 30, tzinfo=dt.UTC).timestamp()) * 10**9


class Naive:
    """Evaluates a tree on row `at` of a batch given as a list of dicts."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def value(self, node: e.Expr, at: int) -> Any:
        return getattr(self, f"_{type(node).__name__.lower()}")(node, at)

    def _col(self, node: e.Col, at: int) -> Any:
        return self.rows[at][node.name]

    def _lit(self, node: e.Lit, at: int) -> Any:
        return node.value

    def _null(self, node: e.Null, at: int) -> Any:
        return None

    def _parsefailed(self, node: e.ParseFailed, at: int) -> bool:
        return self.rows[at][f"_failed_{node.name}"]

    def _not(self, node: e.Not, at: int) -> Any:
        value = self.value(node.operand, at)
        return None if value is None else not value

    def _all(self, node: e.All, at: int) -> Any:
        values = [self.value(item, at) for item in node.operands]
        return False if False in values else None if None in values else True

    def _anyof(self, node: e.AnyOf, at: int) -> Any:
        values = [self.value(item, at) for item in node.operands]
        return True if True in values else None if None in values else False

    def _compare(self, node: e.Compare, at: int) -> Any:
        left, right = self.value(node.left, at), self.value(node.right, at)
        return None if left is None or right is None else COMPARE[node.op](left, right)

    def _isnull(self, node: e.IsNull, at: int) -> bool:
        return self.value(node.operand, at) is None

    def _inset(self, node: e.InSet, at: int) -> Any:
        value = self.value(node.operand, at)
        return None if value is None else value in node.values

    def _matches(self, node: e.Matches, at: int) -> Any:
        value = self.value(node.operand, at)
        return None if value is None else re.fullmatch(node.pattern, value) is not None

    def _hasbits(self, node: e.HasBits, at: int) -> Any:
        value = self.value(node.operand, at)
        return None if value is None else value & node.mask == node.mask

    def _ifelse(self, node: e.IfElse, at: int) -> Any:
        return self.value(node.then if self.value(node.condition, at) else node.otherwise, at)

    def _coalesce(self, node: e.Coalesce, at: int) -> Any:
        return next((value for item in node.operands if (value := self.value(item, at)) is not None), None)

    def _greatest(self, node: e.Greatest, at: int) -> Any:
        return max((v for item in node.operands if (v := self.value(item, at)) is not None), default=None)

    def _least(self, node: e.Least, at: int) -> Any:
        return min((v for item in node.operands if (v := self.value(item, at)) is not None), default=None)

    def _arith(self, node: e.Arith, at: int) -> Any:
        left, right = self.value(node.left, at), self.value(node.right, at)
        if left is None or right is None or (node.op in "/%" and right == 0):
            return None
        if node.op == "/":
            return float(left) / float(right)
        return {"+": operator.add, "-": operator.sub, "*": operator.mul, "%": operator.mod}[node.op](left, right)

    def _abs(self, node: e.Abs, at: int) -> Any:
        value = self.value(node.operand, at)
        return None if value is None else abs(value)

    def _todouble(self, node: e.ToDouble, at: int) -> Any:
        value = self.value(node.operand, at)
        scale = SCALES.get(node.operand.name, 0) if isinstance(node.operand, e.Col) else 0
        return None if value is None else float(value) / 10.0**scale

    def _insession(self, node: e.InSession, at: int) -> Any:
        value = self.value(node.operand, at)
        if value is None:
            return None
        wall = dt.datetime.fromtimestamp(value // 10**9, dt.UTC) + dt.timedelta(hours=-4)  # October: daylight time
        return wall.weekday() < 5 and dt.time(9, 30) <= wall.time() < dt.time(16)

    def _lookup(self, node: e.Lookup, at: int) -> Any:
        row = self.rows[at]
        since, ticks = AS_OF.get((row["venue"], row["symbol"]), ([], []))
        if row["ts_event"] is None:
            return None
        found = bisect_right(since, row["ts_event"])
        return ticks[found - 1] if found else None

    def _key(self, node: Any, at: int) -> tuple[Any, ...]:
        return tuple(self.rows[at][name] for name in node.by)

    def _near(self, node: Any, at: int, places: Any) -> list[Any]:
        key = self._key(node, at)
        values = [self.value(node.operand, place) for place in places if self._key(node, place) == key]
        return [value for value in values if value is not None]

    def _previous(self, node: e.Previous, at: int) -> Any:
        return next(iter(self._near(node, at, range(at - 1, -1, -1))), None)

    def _carried(self, node: e.Carried, at: int) -> Any:
        return next(iter(self._near(node, at, range(at, -1, -1))), None)

    def _runningmax(self, node: e.RunningMax, at: int) -> Any:
        return max(self._near(node, at, range(at + 1)), default=None)

    def _next(self, node: e.Next, at: int) -> Any:
        return next(iter(self._near(node, at, range(at + 1, len(self.rows)))), None)

    def _carriedbest(self, node: e.CarriedBest, at: int) -> Any:
        latest: dict[Any, Any] = {}
        for place in range(at + 1):
            venue, value = self.rows[place][node.across], self.value(node.operand, place)
            if self._key(node, place) == self._key(node, at) and venue is not None and value is not None:
                latest[venue] = value
        return (max if node.side == "max" else min)(latest.values(), default=None)

    def _rolling(self, node: e.Rolling, at: int) -> Any:
        same = [place for place in range(len(self.rows)) if self._key(node, place) == self._key(node, at)]
        middle = same.index(at)
        half = node.rows // 2
        window = same[max(0, middle - half) : middle + half + 1]
        values = [value for place in window if (value := self.value(node.operand, place)) is not None]
        if not values:
            return None
        if node.statistic in ("min", "max"):
            return (min if node.statistic == "min" else max)(values)
        doubles = [float(value) for value in values]
        return {"median": median, "sum": sum, "mean": lambda items: sum(items) / len(items)}[node.statistic](doubles)

    def _seenbefore(self, node: e.SeenBefore, at: int) -> bool:
        return any(self._key(node, place) == self._key(node, at) for place in range(at))


# ---- what is generated ---------------------------------------------------------------------------------------------

EXTREMES = [-(2**63), -(2**63) + 1, -1, 0, 1, 2, 3, 7, 2**53 + 1, 2**62, 2**63 - 1]
SMALL = st.one_of(st.none(), st.integers(-9, 9))
ROW = st.fixed_dictionaries(
    {
        "ts_event": st.one_of(st.none(), st.integers(0, 9)),
        "ts_recv": st.one_of(st.none(), st.integers(MONDAY_OPEN_NS - 2 * 10**9, MONDAY_OPEN_NS + 2 * 10**9)),
        "symbol": st.sampled_from([None, "A", "B", ""]),
        "venue": st.sampled_from([None, "X", "Y"]),
        "price": st.one_of(st.none(), st.sampled_from(EXTREMES), st.integers(-9, 9)),
        "size": st.one_of(st.none(), st.sampled_from(EXTREMES), st.integers(-9, 9)),
        "sequence": SMALL,
        "_failed_price": st.booleans(),
    }
)
BY = st.sampled_from([(), ("symbol",), ("symbol", "venue")])
LEAF = st.one_of(
    st.sampled_from([e.Col("price"), e.Col("size"), e.Col("sequence")]),
    st.sampled_from(EXTREMES).map(e.Lit),
    st.just(e.Lookup("listings", "tick", ("venue", "symbol"), ("venue", "symbol"))),
)
PRODUCT = st.builds(e.Arith, st.just("*"), LEAF, LEAF)
SEQUENCE = st.just(e.Col("sequence"))


def _windows(inner: st.SearchStrategy[e.Expr]) -> st.SearchStrategy[e.Expr]:
    return st.one_of(
        st.builds(e.Previous, inner, BY),
        st.builds(e.Carried, inner, BY),
        st.builds(e.RunningMax, inner, BY),
        st.builds(e.CarriedBest, inner, st.sampled_from([(), ("symbol",)]), st.just("venue"), st.sampled_from(["max", "min"])),
    )


def _numbers(inner: st.SearchStrategy[e.Expr]) -> st.SearchStrategy[e.Expr]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.builds(e.Arith, st.sampled_from(["+", "-", "%"]), inner, inner),
        st.builds(e.Abs, inner),
        pairs.map(e.Greatest),
        pairs.map(e.Least),
        pairs.map(e.Coalesce),
        st.builds(e.IfElse, st.builds(e.Compare, st.just("<"), inner, inner), inner, st.one_of(inner, st.just(e.Null()))),
        _windows(inner),
    )


EXACT = st.recursive(LEAF, _numbers, max_leaves=5)
DOUBLE = st.one_of(
    st.builds(e.Arith, st.just("/"), EXACT, EXACT),
    st.builds(e.ToDouble, st.sampled_from([e.Col("price"), e.Col("size")])),
)
WHOLE_BATCH = st.one_of(
    st.builds(e.Next, SEQUENCE, BY),
    st.builds(e.Rolling, st.sampled_from(["median", "mean", "min", "max", "sum"]), SEQUENCE, st.sampled_from([1, 3, 5]), BY),
)
OPERATORS = st.sampled_from(list(COMPARE))
TESTS = st.one_of(
    st.builds(e.Compare, OPERATORS, EXACT, EXACT),
    st.builds(e.Compare, OPERATORS, PRODUCT, PRODUCT),
    st.builds(e.Compare, OPERATORS, DOUBLE, DOUBLE),
    EXACT.map(e.IsNull),
    st.builds(e.InSet, st.just(e.Col("symbol")), st.sampled_from([("A",), ("A", "C"), ("",)])),
    st.builds(e.InSet, st.just(e.Col("size")), st.sampled_from([(1, 2), (2**63 - 1,)])),
    st.builds(e.Matches, st.just(e.Col("symbol")), st.sampled_from(["A", "[AB]?", "", "A|"])),
    st.builds(e.HasBits, SEQUENCE, st.sampled_from([0, 1, 6])),
    st.just(e.ParseFailed("price")),
    st.just(e.InSession(e.Col("ts_recv"), "us")),
)


def _logic(inner: st.SearchStrategy[e.Expr]) -> st.SearchStrategy[e.Expr]:
    many = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(inner.map(e.Not), many.map(e.All), many.map(e.AnyOf), st.builds(e.Previous, inner, BY))


CONDITIONS = st.recursive(TESTS, _logic, max_leaves=4)
BATCH_TESTS = st.one_of(
    st.builds(e.Compare, OPERATORS, WHOLE_BATCH, SEQUENCE),
    st.sampled_from([("symbol",), ("symbol", "venue"), ("sequence",)]).map(e.SeenBefore),
)
BATCH = st.lists(ROW, min_size=1, max_size=12)
TRIALS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def references(bench):
    return bench.references(listings=LISTINGS)


def _frame(bench, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return bench.frame({name: [row[name] for row in rows] for name in rows[0]})


def _expected(conditions: list[e.Expr], rows: list[dict[str, Any]]) -> list[int]:
    naive = Naive(rows)
    return [sum(1 << i for i, node in enumerate(conditions) if naive.value(node, at)) for at in range(len(rows))]


def _rules(conditions: list[e.Expr]) -> tuple[RowRule, ...]:
    return tuple(RowRule(f"rule_{i}", "test", node, observed=e.Null()) for i, node in enumerate(conditions))


@TRIALS
@given(st.lists(CONDITIONS, min_size=1, max_size=3), BATCH, st.data())
def test_ordered_rules_whole_and_in_slices(bench, references, conditions, rows, data) -> None:
    note("\n".join(map(str, conditions)))
    judge = Judge(bench.contract(*_rules(conditions)), references)
    frame, expected = _frame(bench, rows), _expected(conditions, rows)
    whole = judge.verdict(judge.annotate(frame, JudgeState()))
    assert whole["_broken"].to_list() == expected
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=4)))
    state, found = JudgeState(), []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        found += judge.verdict(judge.annotate(frame[start:end], state))["_broken"].to_list()
    assert found == expected


@TRIALS
@given(st.lists(BATCH_TESTS, min_size=1, max_size=3), BATCH)
def test_whole_batch_rules(bench, references, conditions, rows) -> None:
    note("\n".join(map(str, conditions)))
    judge = Judge(bench.contract(*_rules(conditions)), references)
    assert judge.scope == e.Scope.BATCH
    verdict = judge.verdict(judge.annotate(_frame(bench, rows), JudgeState()))
    assert verdict["_broken"].to_list() == _expected(conditions, rows)

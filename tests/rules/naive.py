"""A naive evaluator of rule trees: one row at a time, in plain Python, straight from the definitions."""

from __future__ import annotations

import datetime as dt
import operator
import re
from bisect import bisect_right
from statistics import median
from typing import Any

from tapehouse.contracts import expr as e
from tapehouse.contracts.rules import Built, RuleKind

# Versions of the reference table `listings`: (venue, symbol) -> instants from which a tick is valid, and the ticks.
AS_OF = {("X", "A"): ([3, 6], [100, 500]), ("Y", "B"): ([0], [1000])}
COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
SCALES = {"price": 4}


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
        start = middle - node.rows // 2
        window = same[max(0, start) : max(0, start + node.rows)]
        values = [value for place in window if (value := self.value(node.operand, place)) is not None]
        if not values:
            return None
        if node.statistic in ("min", "max"):
            return (min if node.statistic == "min" else max)(values)
        return {"median": median, "sum": sum, "mean": lambda items: sum(items) / len(items)}[node.statistic](values)

    def _seenbefore(self, node: e.SeenBefore, at: int) -> bool:
        return any(self._key(node, place) == self._key(node, at) for place in range(at))


def _even_size(scope, column, params) -> Built:
    odd = e.Compare("!=", e.Arith("%", e.Col("size"), e.Lit(2)), e.Lit(0))
    return Built(odd, e.Col("size"), "even")


KIND = RuleKind("even_size", "The size is even", {"type": "object", "additionalProperties": False}, _even_size)
"""A kind of rule as a plug-in brings it."""

"""`Expr` -> text of the rule language: what `show` prints. Reading the text back gives the same tree.

Numbers are written as people do, not as they are held: 1500000 beside a price of six decimals is `1.5`, and the power
of ten that brings two columns to the same number of decimals is left out, because the parser puts it back.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tapehouse.contracts import expr as e
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.contracts.expr_lex import DURATION_NS
from tapehouse.contracts.expr_types import RATIO_SCALE, Type, type_of, widest
from tapehouse.contracts.model import Kind
from tapehouse.contracts.units import Unit

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleScope

# How tightly a node binds; an operand that binds less than its place asks for gets brackets.
_OR, _AND, _NOT, _TEST, _SUM, _PRODUCT, _ATOM = range(7)

_UNITS = tuple((name, size) for name, size in sorted(DURATION_NS.items(), key=lambda item: -item[1]) if name != "min")


def unparse(tree: e.Expr, scope: RuleScope) -> str:
    """Text of `tree`. Nodes that only rule kinds make are written as calls, which the parser does not read."""
    return _Printer(scope).text(tree, _OR)


class _Printer:
    def __init__(self, scope: RuleScope) -> None:
        self._scope = scope

    def text(self, tree: e.Expr, place: int, beside: Type | None = None) -> str:
        """`tree` where at least `place` is needed; `beside` is the type a constant takes its decimals from."""
        if isinstance(tree, e.Lit):
            return self._constant(tree, beside)
        rule = _NODES.get(type(tree))
        if rule is None:
            return self._call(tree)
        binding, write = rule
        if isinstance(tree, e.Arith) and tree.op in ("*", "/", "%"):
            binding = _PRODUCT
        written = write(self, tree)
        return f"({written})" if binding < place else written

    # ---- constants -----------------------------------------------------------------------------------------------

    def _constant(self, tree: e.Lit, beside: Type | None) -> str:
        value = tree.value
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        if isinstance(value, float):
            return _percent(Decimal(repr(value))) if tree.unit == Unit.RATIO and beside is None else _plain(value)
        if tree.unit == Unit.TIME:
            return _instant(value)
        if tree.unit == Unit.DURATION:
            return _duration(value)
        if tree.unit == Unit.RATIO and (beside is None or beside.literal):
            return _percent(Decimal(value).scaleb(-RATIO_SCALE))
        scale = beside.scale if beside is not None and beside.kind == Kind.DECIMAL else 0
        return f"{Decimal(value).scaleb(-scale).normalize():f}"

    # ---- operators -----------------------------------------------------------------------------------------------

    def level(self, trees: tuple[e.Expr, ...]) -> list[tuple[e.Expr, Type]]:
        """Each operand without the power of ten that brought it to the others' decimals, and their common type."""
        common = widest(type_of(tree, self._scope) for tree in trees)
        return [(_unscaled(tree, common, self._scope), common) for tree in trees]

    def binary(self, op: str, left: e.Expr, right: e.Expr, places: tuple[int, int]) -> str:
        (one, common), (other, _) = self.level((left, right))
        return f"{self.text(one, places[0], common)} {op} {self.text(other, places[1], common)}"

    def arith(self, tree: e.Arith) -> str:
        if tree.op in ("+", "-"):
            return self.binary(tree.op, tree.left, tree.right, (_SUM, _PRODUCT))
        if tree.op == "%":
            return self.binary(tree.op, tree.left, tree.right, (_PRODUCT, _ATOM))
        return f"{self.text(tree.left, _PRODUCT)} {tree.op} {self.text(tree.right, _ATOM)}"

    def membership(self, tree: e.InSet) -> str:
        beside = type_of(tree.operand, self._scope)
        values = [self.text(e.Lit(value, beside.unit), _ATOM, beside) for value in tree.values]
        return f"{self.text(tree.operand, _SUM)} in ({', '.join(values)})"

    def operands(self, trees: tuple[e.Expr, ...]) -> str:
        return ", ".join(self.text(tree, _OR, common) for tree, common in self.level(trees))

    def choice(self, tree: e.IfElse) -> str:
        values = [part for part in (tree.then, tree.otherwise) if not isinstance(part, e.Null)]
        written = iter(self.text(part, _OR, common) for part, common in self.level(tuple(values)))
        parts = ["null" if isinstance(part, e.Null) else next(written) for part in (tree.then, tree.otherwise)]
        return f"if({self.text(tree.condition, _OR)}, {parts[0]}, {parts[1]})"

    def negation(self, tree: e.Not) -> str:
        inner = tree.operand
        if isinstance(inner, e.IsNull):
            return f"{self.text(inner.operand, _SUM)} is not null"
        if isinstance(inner, e.InSet):
            return self.membership(inner).replace(" in (", " not in (", 1) if _simple(inner) else self._plain_not(inner)
        return self._plain_not(inner)

    def _plain_not(self, inner: e.Expr) -> str:
        return f"not {self.text(inner, _NOT)}"

    # ---- calls ---------------------------------------------------------------------------------------------------

    def window(self, name: str, tree: Any, *arguments: str) -> str:
        by = f", by: {', '.join(tree.by)}" if tree.by else ""
        return f"{name}({', '.join((self.text(tree.operand, _OR), *arguments))}{by})"

    def _call(self, tree: e.Expr) -> str:
        if isinstance(tree, BarFault):
            return f"bar_fault({tree.answer})"
        parts = ", ".join(self.text(child, _OR) for child in tree.children())
        return f"{type(tree).__name__.lower()}({parts})"


def _simple(tree: e.InSet) -> bool:
    """Whether the first ` in (` of the printed test is its own."""
    return isinstance(tree.operand, e.Col)


def _unscaled(tree: e.Expr, common: Type, scope: RuleScope) -> e.Expr:
    if not (isinstance(tree, e.Arith) and tree.op == "*" and isinstance(tree.right, e.Lit)):
        return tree
    factor = tree.right
    if factor.unit != Unit.NONE or isinstance(factor.value, str | float | bool) or factor.value <= 1:
        return tree
    inner = type_of(tree.left, scope)
    missing = common.scale - type_of(tree, scope).scale
    return tree.left if inner.exact and missing > 0 and factor.value == 10**missing else tree


def _plain(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written")
    written = f"{Decimal(repr(value)):f}"
    return written.removesuffix(".0") if written.endswith(".0") and "." in written else written


def _percent(fraction: Decimal) -> str:
    written = f"{(fraction * 100).normalize():f}"
    return f"{written}%"


def _instant(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"'{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z'"


def _duration(nanoseconds: int) -> str:
    unit, size = next((name, size) for name, size in (*_UNITS, ("ns", 1)) if nanoseconds % size == 0)
    return f"{nanoseconds // size}{unit}" if nanoseconds else "0s"


_Write = Callable[[_Printer, Any], str]

_NODES: dict[type[e.Expr], tuple[int, _Write]] = {
    e.Col: (_ATOM, lambda p, t: str(t.name)),
    e.Null: (_ATOM, lambda p, t: "null"),
    e.AnyOf: (_OR, lambda p, t: " or ".join(p.text(item, _AND) for item in t.operands)),
    e.All: (_AND, lambda p, t: " and ".join(p.text(item, _NOT) for item in t.operands)),
    e.Not: (_NOT, lambda p, t: p.negation(t)),
    e.Compare: (_TEST, lambda p, t: p.binary(t.op, t.left, t.right, (_SUM, _SUM))),
    e.IsNull: (_TEST, lambda p, t: f"{p.text(t.operand, _SUM)} is null"),
    e.InSet: (_TEST, lambda p, t: p.membership(t)),
    e.Matches: (_TEST, lambda p, t: f"{p.text(t.operand, _SUM)} matches {p.text(e.Lit(t.pattern), _ATOM)}"),
    e.Arith: (_SUM, lambda p, t: p.arith(t)),
    e.HasBits: (_ATOM, lambda p, t: f"has_bits({p.text(t.operand, _OR)}, {t.mask})"),
    e.IfElse: (_ATOM, lambda p, t: p.choice(t)),
    e.Coalesce: (_ATOM, lambda p, t: f"coalesce({p.operands(t.operands)})"),
    e.Greatest: (_ATOM, lambda p, t: f"greatest({p.operands(t.operands)})"),
    e.Least: (_ATOM, lambda p, t: f"least({p.operands(t.operands)})"),
    e.Abs: (_ATOM, lambda p, t: f"abs({p.text(t.operand, _OR)})"),
    e.ToDouble: (_ATOM, lambda p, t: f"to_double({p.text(t.operand, _OR)})"),
    e.ParseFailed: (_ATOM, lambda p, t: f"failed({t.name})"),
    e.InSession: (_ATOM, lambda p, t: f"in_session({p.text(t.operand, _OR)}, {t.calendar})"),
    e.Lookup: (_ATOM, lambda p, t: f"lookup({t.table}.{t.column} by {', '.join(t.by)})"),
    e.SeenBefore: (_ATOM, lambda p, t: f"seen_before({', '.join(t.by)})"),
    e.Previous: (_ATOM, lambda p, t: p.window("previous", t)),
    e.Carried: (_ATOM, lambda p, t: p.window("carried", t)),
    e.RunningMax: (_ATOM, lambda p, t: p.window("running_max", t)),
    e.Next: (_ATOM, lambda p, t: p.window("next", t)),
    e.Rolling: (_ATOM, lambda p, t: p.window(f"rolling_{t.statistic}", t, str(t.rows))),
}

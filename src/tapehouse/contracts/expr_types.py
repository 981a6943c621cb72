"""What a tree of the rule language is: its kind, its unit, and how many decimals its integers carry.

Exact numbers are integers with a number of decimals that only the tree's columns tell, so one function, `type_of`,
says it for parser, printer and whoever compiles `ToDouble`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tapehouse.contracts import expr as e
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.contracts.model import Kind
from tapehouse.contracts.units import Unit, product, quotient, total

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleScope

RATIO_SCALE = 4
"""Decimals of a percentage where it multiplies an exact number: hundredths of a percent."""

MAX_SCALE = 18
"""Decimals beyond which no value is left in 64 bits."""

NUMERIC = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE, Kind.TIMESTAMP})


@dataclass(frozen=True, slots=True)
class Type:
    """Kind, unit and decimals of an expression. `literal` marks a constant: it takes the decimals of its neighbour."""

    kind: Kind
    unit: Unit = Unit.ANY
    scale: int = 0
    literal: bool = False

    @property
    def exact(self) -> bool:
        """A number held as an integer."""
        return self.kind in NUMERIC and self.kind != Kind.DOUBLE


BOOLEAN = Type(Kind.BOOLEAN)


def type_of(tree: e.Expr, scope: RuleScope) -> Type:
    """Type of a well-formed tree. KeyError where it names a column or table that `scope` does not have."""
    rule = _RULES.get(type(tree))
    return rule(tree, scope) if rule is not None else BOOLEAN


def column_type(scope: RuleScope, name: str) -> Type:
    """Type of the contract column `name`."""
    column = scope.columns[name]
    return Type(column.kind, column.unit, column.scale if column.kind == Kind.DECIMAL else 0)


def lookup_type(scope: RuleScope, table: str, name: str) -> Type:
    """Type of a reference column: that of the contract column it is declared to share, or of a bare kind."""
    reference = scope.references[table]
    if name in reference.keys and name not in reference.columns:
        return column_type(scope, name) if name in scope.columns else Type(Kind.STRING)
    declared = reference.columns[name]
    if declared in scope.columns:
        return column_type(scope, declared)
    name, _, scale = declared.partition(":")
    kind = Kind(name)
    return Type(kind, Unit.TIME if kind == Kind.TIMESTAMP else Unit.ANY, int(scale or 0))


def widest(types: Iterable[Type]) -> Type:
    """Type of operands that were brought to one number of decimals: that of the most precise which is no literal."""
    found = list(types)
    solid = [item for item in found if not item.literal] or found
    for item in solid:
        if item.kind == Kind.DOUBLE:
            return item
    return max(solid, key=lambda item: item.scale)


def _literal(tree: Any, _: RuleScope) -> Type:
    value = tree.value
    if isinstance(value, bool):
        return Type(Kind.BOOLEAN, literal=True)
    if isinstance(value, str):
        return Type(Kind.STRING, literal=True)
    if isinstance(value, float):
        return Type(Kind.DOUBLE, tree.unit, literal=True)
    if tree.unit == Unit.TIME:
        return Type(Kind.TIMESTAMP, Unit.TIME, literal=True)
    if tree.unit == Unit.RATIO:
        return Type(Kind.DECIMAL, Unit.RATIO, RATIO_SCALE, literal=True)
    return Type(Kind.INTEGER, tree.unit, literal=True)


def _arith(tree: Any, scope: RuleScope) -> Type:
    left, right = type_of(tree.left, scope), type_of(tree.right, scope)
    if tree.op == "/":
        return Type(Kind.DOUBLE, quotient(left.unit, right.unit) or Unit.ANY)
    if tree.op == "*":
        unit = product(left.unit, right.unit) or Unit.ANY
        if Kind.DOUBLE in (left.kind, right.kind):
            return Type(Kind.DOUBLE, unit)
        scale = left.scale + right.scale
        return Type(Kind.DECIMAL if scale else Kind.INTEGER, unit, scale, left.literal and right.literal)
    wide = widest((left, right))
    unit = wide.unit if tree.op == "%" else total(left.unit, right.unit, tree.op) or Unit.ANY
    if tree.op == "%" and left.unit == Unit.TIME:
        unit = Unit.DURATION if right.unit == Unit.DURATION else left.unit
    kind = wide.kind
    if Kind.TIMESTAMP in (left.kind, right.kind):
        kind = Kind.TIMESTAMP if unit == Unit.TIME else Kind.INTEGER
    return Type(kind, unit, wide.scale, left.literal and right.literal)


def _operand(tree: Any, scope: RuleScope) -> Type:
    return type_of(tree.operand, scope)


def _rolling(tree: Any, scope: RuleScope) -> Type:
    inner = type_of(tree.operand, scope)
    if tree.statistic in ("median", "mean"):
        return Type(Kind.DOUBLE, inner.unit)
    return inner


def _double(tree: Any, scope: RuleScope) -> Type:
    return Type(Kind.DOUBLE, type_of(tree.operand, scope).unit)


def _operands(tree: Any, scope: RuleScope) -> Type:
    return widest(type_of(item, scope) for item in tree.operands)


_RULES: dict[type[e.Expr], Callable[[Any, RuleScope], Type]] = {
    e.Col: lambda tree, scope: column_type(scope, tree.name),
    e.Lit: _literal,
    e.Null: lambda tree, scope: Type(Kind.INTEGER, Unit.NONE, literal=True),
    e.Text: lambda tree, scope: Type(Kind.STRING),
    BarFault: lambda tree, scope: Type(Kind.INTEGER if tree.answer == "faults" else Kind.STRING),
    e.CarriedBest: _operand,
    e.Lookup: lambda tree, scope: lookup_type(scope, tree.table, tree.column),
    e.Arith: _arith,
    e.Abs: _operand,
    e.Previous: _operand,
    e.Carried: _operand,
    e.RunningMax: _operand,
    e.Next: _operand,
    e.Rolling: _rolling,
    e.ToDouble: _double,
    e.Greatest: _operands,
    e.Least: _operands,
    e.Coalesce: _operands,
    e.IfElse: lambda tree, scope: widest((type_of(tree.then, scope), type_of(tree.otherwise, scope))),
}

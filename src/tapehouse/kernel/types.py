"""What kind of value an expression yields: decides how it is computed exactly and how it is shown to people."""

from __future__ import annotations

from dataclasses import dataclass

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr_types import RATIO_SCALE
from tapehouse.contracts.model import Column, Contract, Kind, ReferenceTable
from tapehouse.contracts.units import Unit

_BOOLEANS = (
    ast.ParseFailed, ast.Not, ast.All, ast.AnyOf, ast.Compare, ast.IsNull, ast.InSet, ast.Matches, ast.HasBits,
    ast.InSession, ast.SeenBefore,
)  # fmt: skip
_SAME_AS_OPERAND = (ast.Abs, ast.Previous, ast.Carried, ast.CarriedBest, ast.RunningMax, ast.Next)
# |v| <= 2**63 for every int64; one more bit would not fit.
_COLUMN_BITS = 63
INT64_BITS = 62
INT128_BITS = 126


@dataclass(frozen=True, slots=True)
class ValueType:
    """Kind and number of decimals of a value. `duration` marks int64 nanoseconds between two instants.

    A DOUBLE with a scale is a statistic of scaled integers, still scaled.
    """

    kind: Kind
    scale: int = 0
    duration: bool = False
    untyped: bool = False

    @property
    def exact(self) -> bool:
        """Held as an integer, so that sums and products can be computed without rounding."""
        return self.kind in (Kind.INTEGER, Kind.DECIMAL, Kind.TIMESTAMP)


_NOTHING = ValueType(Kind.INTEGER, untyped=True)
_BOOLEAN = ValueType(Kind.BOOLEAN)
_DOUBLE = ValueType(Kind.DOUBLE)


def column_type(column: Column) -> ValueType:
    """Type of a contract column."""
    return ValueType(column.kind, column.scale if column.kind == Kind.DECIMAL else 0)


def reference_type(table: ReferenceTable, name: str, columns: dict[str, Column]) -> ValueType:
    """Type of a reference column: of the contract column it names, or `KIND`, or `decimal:SCALE`.

    A key takes the type of the contract column of the same name, else it is a string.
    """
    spec = table.columns.get(name, name if name in columns else Kind.STRING.value)
    if spec in columns:
        return column_type(columns[spec])
    kind, _, scale = spec.partition(":")
    return ValueType(Kind(kind), int(scale or 0))


class Typer:
    """Types of the expressions of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._columns = {column.name: column for column in contract.columns}
        self._references = contract.references

    def of(self, node: ast.Expr) -> ValueType:
        """Type of `node`; KeyError for a column or table the contract does not have."""
        if isinstance(node, ast.Col):
            return column_type(self._columns[node.name])
        if isinstance(node, ast.Lookup):
            return reference_type(self._references[node.table], node.column, self._columns)
        if isinstance(node, _BOOLEANS):
            return _BOOLEAN
        if isinstance(node, _SAME_AS_OPERAND):
            return self.of(node.operand)
        if isinstance(node, ast.Lit):
            return _literal_type(node)
        return self._of_compound(node)

    def _of_compound(self, node: ast.Expr) -> ValueType:
        if isinstance(node, ast.Arith):
            return _arithmetic_type(node.op, self.of(node.left), self.of(node.right))
        if isinstance(node, ast.ToDouble):
            return _DOUBLE
        if isinstance(node, ast.Rolling):
            inner = self.of(node.operand)
            return inner if node.statistic in ("min", "max") else ValueType(Kind.DOUBLE, inner.scale)
        if isinstance(node, ast.IfElse):
            return _first_typed([self.of(node.then), self.of(node.otherwise)])
        if isinstance(node, ast.Coalesce | ast.Greatest | ast.Least):
            return _first_typed([self.of(item) for item in node.operands])
        return _NOTHING

    def bits(self, node: ast.Expr) -> int:
        """Smallest b known from the tree alone such that |value| <= 2**b, for an integer expression."""
        if isinstance(node, ast.Lit):
            return max(0, (abs(int(node.value)) - 1).bit_length()) if node.value else 0
        if isinstance(node, ast.Arith):
            left, right = self.bits(node.left), self.bits(node.right)
            if node.op == "*":
                return left + right
            return right if node.op == "%" else max(left, right) + 1
        if isinstance(node, (ast.Rolling, *_SAME_AS_OPERAND)):
            return self.bits(node.operand)
        if isinstance(node, ast.IfElse):
            return max(self.bits(node.then), self.bits(node.otherwise))
        if isinstance(node, ast.Coalesce | ast.Greatest | ast.Least):
            return max(self.bits(item) for item in node.operands)
        return 0 if isinstance(node, ast.Null) else _COLUMN_BITS


def _literal_type(node: ast.Lit) -> ValueType:
    if isinstance(node.value, bool):
        return _BOOLEAN
    if isinstance(node.value, str):
        return ValueType(Kind.STRING)
    if isinstance(node.value, float):
        return _DOUBLE
    if node.unit == Unit.TIME:
        return ValueType(Kind.TIMESTAMP)
    if node.unit == Unit.RATIO:
        return ValueType(Kind.DECIMAL, RATIO_SCALE)
    return ValueType(Kind.INTEGER, duration=node.unit == Unit.DURATION)


def _first_typed(types: list[ValueType]) -> ValueType:
    doubles = [value for value in types if value.kind == Kind.DOUBLE]
    typed = [value for value in types if not value.untyped]
    return (doubles or typed or types)[0]


def _arithmetic_type(op: str, left: ValueType, right: ValueType) -> ValueType:
    if op == "/" or Kind.DOUBLE in (left.kind, right.kind):
        return _DOUBLE
    if Kind.TIMESTAMP in (left.kind, right.kind):
        if left.kind == right.kind:
            return ValueType(Kind.INTEGER, duration=True)
        return ValueType(Kind.TIMESTAMP)
    scale = left.scale + right.scale if op == "*" else max(left.scale, right.scale)
    kind = Kind.DECIMAL if Kind.DECIMAL in (left.kind, right.kind) else Kind.INTEGER
    return ValueType(kind, scale, duration=left.duration or right.duration)

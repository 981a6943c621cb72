"""Types of a contract's expressions, and how large their integers can get: decides how they are computed exactly."""

from __future__ import annotations

from collections.abc import Mapping

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr_types import Type, type_of
from tapehouse.contracts.model import Contract
from tapehouse.contracts.rules.base import RuleScope

__all__ = ["INT64_BITS", "INT128_BITS", "Type", "Typer", "measured_bits"]

_SAME_AS_OPERAND = (ast.Abs, ast.Previous, ast.Carried, ast.CarriedBest, ast.RunningMax, ast.Next)
# |v| <= 2**63 for every int64; one more bit would not fit.
_COLUMN_BITS = 63
INT64_BITS = 62
INT128_BITS = 126
_MEASURED_BITS = (31, 47, 61, 63)


class Typer:
    """Types of the expressions of one contract."""

    def __init__(self, contract: Contract, measured: Mapping[ast.Expr, int] | None = None) -> None:
        """`measured` are bits of columns and windows as a frame was seen to need them."""
        self._measured = measured if measured is not None else {}
        columns = {column.name: column for column in contract.columns}
        self._scope = RuleScope(columns, contract.calendars, contract.references)

    def of(self, node: ast.Expr) -> Type:
        """Type of `node`; KeyError for a column or table the contract does not have."""
        return type_of(node, self._scope)

    def bits(self, node: ast.Expr) -> int:
        """Smallest b known of the tree such that |value| <= 2**b, for an integer expression."""
        if node in self._measured:
            return self._measured[node]
        if isinstance(node, ast.Lit):
            return max(0, (abs(int(node.value)) - 1).bit_length()) if node.value else 0
        if isinstance(node, ast.Arith):
            left, right = self.bits(node.left), self.bits(node.right)
            if node.op == "*":
                return left + right
            return right if node.op == "%" else max(left, right) + 1
        if isinstance(node, ast.Rolling):
            return self.bits(node.operand) + node.rows.bit_length()
        if isinstance(node, _SAME_AS_OPERAND):
            return self.bits(node.operand)
        if isinstance(node, ast.IfElse):
            return max(self.bits(node.then), self.bits(node.otherwise))
        if isinstance(node, ast.Coalesce | ast.Greatest | ast.Least):
            return max(self.bits(item) for item in node.operands)
        return 0 if isinstance(node, ast.Null) else _COLUMN_BITS


def measured_bits(low: int | None, high: int | None) -> int:
    """b such that |value| <= 2**b between these bounds (None: no value), where it can be one of a few, so that few
    versions of the rules are ever compiled.
    """
    if low is None or high is None:
        return _MEASURED_BITS[0]
    needed = max(-low, high).bit_length()
    return next((width for width in _MEASURED_BITS if needed <= width), needed)

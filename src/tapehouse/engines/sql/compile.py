"""Rule trees to SQL, row by row: the counterpart of `kernel.compile`, node by node.

Windows, lookups and sessions were made columns before (see `relation`). Integers are as wide as the kernel has them:
64 bits, 128, or a double, by the same bounds of the same `Typer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.contracts.model import Kind
from tapehouse.engines.sql.dialect import Dialect
from tapehouse.engines.sql.forms import Form, NotCheckableError, Value, common
from tapehouse.engines.sql.regex import portable
from tapehouse.kernel.types import INT64_BITS, INT128_BITS, Typer

ANNOTATED = (
    ast.Lookup, ast.InSession, ast.Previous, ast.Carried, ast.CarriedBest, ast.RunningMax, ast.Next, ast.Rolling,
    ast.SeenBefore, BarFault,
)  # fmt: skip


class Compiler:
    """Compiles trees over a relation that has `columns` of the contract and `annotations` for windows and the like."""

    def __init__(
        self,
        dialect: Dialect,
        typer: Typer,
        columns: Callable[[str], Value],
        annotations: Mapping[ast.Expr, Value],
    ) -> None:
        """`columns` raises NotCheckableError for a column that the table does not have."""
        self._dialect = dialect
        self._typer = typer
        self._columns = columns
        self._annotations = annotations
        self._handlers: dict[type[ast.Expr], Callable[[Any], Value]] = {
            ast.Col: lambda node: self._columns(node.name),
            ast.Lit: lambda node: literal(node.value, self._dialect),
            ast.Null: lambda _: Value("NULL", Form.NULL),
            # What has landed was read.
            ast.ParseFailed: lambda _: Value("FALSE", Form.BOOLEAN),
            ast.Not: lambda node: _truth(f"(NOT {self._condition(node.operand)})"),
            ast.All: lambda node: self._joined(node.operands, "AND"),
            ast.AnyOf: lambda node: self._joined(node.operands, "OR"),
            ast.Compare: self._compare,
            ast.IsNull: lambda node: _truth(f"({self.value(node.operand).text} IS NULL)"),
            ast.InSet: self._in_set,
            ast.Matches: self._matches,
            ast.HasBits: self._has_bits,
            ast.IfElse: self._if_else,
            ast.Coalesce: lambda node: self._first(node.operands),
            ast.Greatest: lambda node: self._extreme(node.operands, "GREATEST"),
            ast.Least: lambda node: self._extreme(node.operands, "LEAST"),
            ast.Arith: self._arithmetic,
            ast.Abs: self._absolute,
            ast.ToDouble: self._to_double,
        }

    def value(self, node: ast.Expr) -> Value:
        """SQL of `node`. Raises NotCheckableError where no SQL gives the kernel's result."""
        if node in self._annotations:
            return self._annotations[node]
        handler = self._handlers.get(type(node))
        if handler is None:
            raise NotCheckableError(f"{type(node).__name__} has no SQL")
        return handler(node)

    def together(self, *nodes: ast.Expr) -> tuple[list[str], Form]:
        """Values of one form, and which."""
        found = [self.value(node) for node in nodes]
        if any(self._typer.of(node).kind == Kind.DATE for node in nodes):
            found = [self._as_date(node, value) for node, value in zip(nodes, found, strict=True)]
        form = common(value.form for value in found)
        return [self._dialect.cast(value.text, value.form, form) for value in found], form

    def _as_date(self, node: ast.Expr, value: Value) -> Value:
        if not isinstance(node, ast.Lit):
            return value
        return Value(self._dialect.cast(value.text, value.form, Form.DATE), Form.DATE)

    def _condition(self, node: ast.Expr) -> str:
        found = self.value(node)
        if found.form != Form.BOOLEAN:
            raise NotCheckableError(f"it takes {found.form} for a condition")
        return found.text

    def _joined(self, operands: tuple[ast.Expr, ...], word: str) -> Value:
        if not operands:
            return _truth("TRUE" if word == "AND" else "FALSE")
        return _truth("(" + f" {word} ".join(self._condition(item) for item in operands) + ")")

    def _compare(self, node: ast.Compare) -> Value:
        (left, right), _ = self.together(node.left, node.right)
        operator = {"==": "=", "!=": "<>"}.get(node.op, node.op)
        return _truth(f"({left} {operator} {right})")

    def _in_set(self, node: ast.InSet) -> Value:
        operand, *members = self.together(node.operand, *(ast.Lit(value) for value in node.values))[0]
        if not members:
            return _truth(f"(CASE WHEN {operand} IS NOT NULL THEN FALSE END)")
        return _truth(f"({operand} IN ({', '.join(members)}))")

    def _matches(self, node: ast.Matches) -> Value:
        operand = self.value(node.operand)
        if operand.form != Form.TEXT:
            raise NotCheckableError(f"it matches {operand.form} against a pattern")
        return _truth(self._dialect.matches(operand.text, portable(node.pattern)))

    def _has_bits(self, node: ast.HasBits) -> Value:
        operand = self.value(node.operand)
        if operand.form != Form.LONG and not (operand.form == Form.WIDE and self._dialect.wide_has_bits):
            raise NotCheckableError(f"{self._dialect.name} has no bits of a {operand.form} number")
        mask = self._dialect.cast(literal(node.mask, self._dialect).text, Form.NULL, operand.form)
        return _truth(f"(({operand.text} & {mask}) = {mask})")

    def _if_else(self, node: ast.IfElse) -> Value:
        condition = self._condition(node.condition)
        (then, otherwise), form = self.together(node.then, node.otherwise)
        return Value(f"(CASE WHEN {condition} THEN {then} ELSE {otherwise} END)", form)

    def _first(self, operands: tuple[ast.Expr, ...]) -> Value:
        values, form = self.together(*operands)
        return Value(f"COALESCE({', '.join(values)})", form)

    def _extreme(self, operands: tuple[ast.Expr, ...], function: str) -> Value:
        values, form = self.together(*operands)
        if len(values) == 1:
            return Value(values[0], form)
        if form != Form.DOUBLE:
            return Value(f"{function}({', '.join(values)})", form)
        # The kernel passes over NaN where there is a number; to SQL it is the largest.
        numbers = ", ".join(number_or_null(value, self._dialect) for value in values)
        return Value(f"COALESCE({function}({numbers}), {', '.join(values)})", form)

    def _arithmetic(self, node: ast.Arith) -> Value:
        if node.op == "/":
            left, right = (self._double(item) for item in (node.left, node.right))
            zero = literal(0.0, self._dialect).text
            return Value(f"({left} / NULLIF({right}, {zero}))", Form.DOUBLE)
        if node.op == "%":
            return self._remainder(node)
        width = self._width(node, node.left, node.right)
        (left, right), form = self._widened(width, node.left, node.right)
        return Value(f"({left} {node.op} {right})", form)

    def _remainder(self, node: ast.Arith) -> Value:
        _, form = self.together(node.left, node.right)
        if form not in (Form.LONG, Form.WIDE):
            raise NotCheckableError("it takes a remainder of doubles")
        if self._typer.bits(node.right) >= INT128_BITS:
            raise NotCheckableError("it divides by an integer of more than 125 bits")
        # Widened, because the least of 64 bits divided by -1 overflows. SQL's remainder has the dividend's sign.
        (left, right), _ = self._widened(Form.WIDE, node.left, node.right)
        text = f"((({left} % NULLIF({right}, 0)) + {right}) % NULLIF({right}, 0))"
        return Value(self._dialect.cast(text, Form.WIDE, form), form)

    def _absolute(self, node: ast.Abs) -> Value:
        (operand,), form = self._widened(self._width(node, node.operand), node.operand)
        return Value(f"ABS({operand})", form)

    def _widened(self, width: Form | None, *nodes: ast.Expr) -> tuple[list[str], Form]:
        """The operands in the form `width`, which must hold them; where it is None in the widest of their own."""
        values, form = self.together(*nodes)
        if form not in (Form.LONG, Form.WIDE, Form.DOUBLE):
            raise NotCheckableError(f"it computes with {form}")
        if width is None or form == width:
            return values, form
        own = [self.value(node) for node in nodes]
        wanted = common((form, width))
        return [self._dialect.cast(value.text, value.form, wanted) for value in own], wanted

    def _width(self, node: ast.Expr, *operands: ast.Expr) -> Form | None:
        if not all(self._typer.of(item).exact for item in operands):
            return Form.DOUBLE
        bits = max(self._typer.bits(item) for item in (node, *operands))
        if bits <= INT64_BITS:
            return None
        return Form.WIDE if bits <= INT128_BITS else Form.DOUBLE

    def _to_double(self, node: ast.ToDouble) -> Value:
        scale = self._typer.of(node.operand).scale
        value = self._double(node.operand)
        if not scale:
            return Value(value, Form.DOUBLE)
        return Value(f"({value} / {literal(10.0**scale, self._dialect).text})", Form.DOUBLE)

    def _double(self, node: ast.Expr) -> str:
        value = self.value(node)
        if common((value.form, Form.DOUBLE)) != Form.DOUBLE:
            raise NotCheckableError(f"it computes with {value.form}")
        return self._dialect.cast(value.text, value.form, Form.DOUBLE)


def literal(value: ast.Scalar, dialect: Dialect) -> Value:
    """A constant of the rule language."""
    if isinstance(value, bool):
        return _truth("TRUE" if value else "FALSE")
    if isinstance(value, str):
        return Value(dialect.literal(value), Form.TEXT)
    if isinstance(value, float):
        written = repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else f"{value}inity"
        return Value(f"CAST('{written}' AS {dialect.types[Form.DOUBLE]})", Form.DOUBLE)
    form = Form.LONG if -(1 << 63) <= value < 1 << 63 else Form.WIDE
    if abs(value) >= 1 << INT128_BITS:
        raise NotCheckableError(f"{value} is beyond {INT128_BITS} bits")
    return Value(f"CAST('{value}' AS {dialect.types[form]})", form)


def number_or_null(text: str, dialect: Dialect) -> str:
    """A double, but null where it is not a number."""
    return f"NULLIF({text}, {literal(math.nan, dialect).text})"


def _truth(text: str) -> Value:
    return Value(text, Form.BOOLEAN)

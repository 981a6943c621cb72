"""Rule trees to Polars expressions over annotated frames.

Row-by-row nodes become Polars expressions; lookups, sessions and windows were computed before (see `annotate`) and are
read from their `_x..` columns. Integers never wrap: a sum or product that could leave int64 is computed in 128 bits,
and one that could leave even that (a product of three columns) as a double, which is then good to 15 digits.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from typing import Any

import polars as pl

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.contracts.model import Kind
from tapehouse.kernel.types import INT64_BITS, INT128_BITS, Typer

MATERIALISED = (
    ast.Lookup, ast.InSession, ast.Previous, ast.Carried, ast.CarriedBest, ast.RunningMax, ast.Next, ast.Rolling,
    ast.SeenBefore, BarFault,
)  # fmt: skip


def failed_column(name: str) -> str:
    """Name of the Boolean column that is true where the source's value of column `name` could not be read."""
    return f"_failed_{name}"


class Compiler:
    """Compiles trees for frames that have the annotation columns `materialised` and the columns `present`."""

    def __init__(self, typer: Typer, materialised: Mapping[ast.Expr, str], present: Collection[str]) -> None:
        self._typer = typer
        self._materialised = materialised
        self._present = present
        self._handlers: dict[type[ast.Expr], Callable[[Any], pl.Expr]] = {
            ast.Col: lambda node: pl.col(node.name),
            ast.Lit: lambda node: _literal(node.value),
            ast.Null: lambda _: pl.lit(None),
            ast.ParseFailed: lambda node: pl.col(failed_column(node.name)),
            ast.Not: lambda node: self._compile(node.operand).not_(),
            ast.All: self._all,
            ast.AnyOf: self._any,
            ast.Compare: self._compare,
            ast.IsNull: lambda node: self._compile(node.operand).is_null(),
            ast.InSet: self._in_set,
            ast.Matches: lambda node: self._compile(node.operand).str.contains(anchored(node.pattern)),
            ast.HasBits: lambda node: (self._compile(node.operand) & pl.lit(node.mask)) == node.mask,
            ast.IfElse: self._if_else,
            ast.Coalesce: lambda node: pl.coalesce([self._compile(item) for item in node.operands]),
            ast.Greatest: lambda node: pl.max_horizontal([self._compile(item) for item in node.operands]),
            ast.Least: lambda node: pl.min_horizontal([self._compile(item) for item in node.operands]),
            ast.Arith: self._arithmetic,
            ast.Abs: self._absolute,
            ast.ToDouble: self._to_double,
        }

    def compile(self, node: ast.Expr) -> pl.Expr:
        """The Polars expression of `node`; KeyError if a window or lookup below it was not materialised.

        It has one value per row of the frame, also where it is constant.
        """
        # Polars makes a constant, and also a choice that falls on a constant for every row, one row long.
        return pl.when(pl.repeat(value=True, n=pl.len())).then(self._compile(node))

    def _compile(self, node: ast.Expr) -> pl.Expr:
        constant = self.constant(node)
        if constant is not None:
            return pl.lit(constant)
        if node in self._materialised or isinstance(node, MATERIALISED):
            return pl.col(self._materialised[node])
        return self._handlers[type(node)](node)

    def constant(self, node: ast.Expr) -> bool | None:
        """Truth value if it is the same on every row, because nothing failed to parse; None if it may differ."""
        if isinstance(node, ast.ParseFailed):
            return False if failed_column(node.name) not in self._present else None
        if isinstance(node, ast.Not):
            inner = self.constant(node.operand)
            return None if inner is None else not inner
        if isinstance(node, ast.All | ast.AnyOf):
            decisive = isinstance(node, ast.AnyOf)
            truths = [self.constant(item) for item in node.operands]
            if decisive in truths:
                return decisive
            return None if None in truths else not decisive
        return None

    def _varying(self, operands: tuple[ast.Expr, ...]) -> list[pl.Expr]:
        return [self._compile(item) for item in operands if self.constant(item) is None]

    def _all(self, node: ast.All) -> pl.Expr:
        parts = self._varying(node.operands)
        return parts[0] if len(parts) == 1 else pl.all_horizontal(parts)

    def _any(self, node: ast.AnyOf) -> pl.Expr:
        parts = self._varying(node.operands)
        return parts[0] if len(parts) == 1 else pl.any_horizontal(parts)

    def _if_else(self, node: ast.IfElse) -> pl.Expr:
        chosen = pl.when(self._compile(node.condition)).then(self._compile(node.then))
        return chosen.otherwise(self._compile(node.otherwise))

    def _is_date(self, *nodes: ast.Expr) -> bool:
        return any(self._typer.of(node).kind == Kind.DATE for node in nodes)

    def _operand(self, node: ast.Expr, *, as_date: bool) -> pl.Expr:
        if as_date and isinstance(node, ast.Lit):
            return pl.lit(dt.date.fromisoformat(str(node.value)))
        return self._compile(node)

    def _compare(self, node: ast.Compare) -> pl.Expr:
        as_date = self._is_date(node.left, node.right)
        left, right = (self._operand(side, as_date=as_date) for side in (node.left, node.right))
        operators: dict[str, Callable[[], pl.Expr]] = {
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            "==": lambda: left == right,
            "!=": lambda: left != right,
            ">=": lambda: left >= right,
            ">": lambda: left > right,
        }
        return operators[node.op]()

    def _in_set(self, node: ast.InSet) -> pl.Expr:
        operand = self._compile(node.operand)
        kind = self._typer.of(node.operand).kind
        if kind == Kind.STRING:
            # Casting to the set's own Enum is as fast as hashing and leaves codes a later pass can share.
            members = pl.Enum(sorted({str(value) for value in node.values}))
            return pl.when(operand.is_not_null()).then(operand.cast(members, strict=False).is_not_null())
        if kind == Kind.DATE:
            return operand.is_in([dt.date.fromisoformat(str(value)) for value in node.values])
        return operand.is_in(list(node.values))

    def _arithmetic(self, node: ast.Arith) -> pl.Expr:
        left, right = self._compile(node.left), self._compile(node.right)
        if node.op == "/":
            return pl.when(right != 0).then(left.cast(pl.Float64) / right.cast(pl.Float64))
        if node.op == "%":
            return pl.when(right != 0).then(left % right)
        width = self._width(node, node.left, node.right)
        if width is not None:
            left, right = left.cast(width), right.cast(width)
        return left + right if node.op == "+" else left - right if node.op == "-" else left * right

    def _absolute(self, node: ast.Abs) -> pl.Expr:
        operand = self._compile(node.operand)
        width = self._width(node, node.operand)
        return (operand if width is None else operand.cast(width)).abs()

    def _width(self, node: ast.Expr, *operands: ast.Expr) -> type[pl.DataType] | None:
        """Type in which the result of `node` is exact; None where the operands' own type is."""
        if not all(self._typer.of(item).exact for item in operands):
            return pl.Float64
        bits = max(self._typer.bits(item) for item in (node, *operands))
        if bits <= INT64_BITS:
            return None
        return pl.Int128 if bits <= INT128_BITS else pl.Float64

    def _to_double(self, node: ast.ToDouble) -> pl.Expr:
        scale = self._typer.of(node.operand).scale
        value = self._compile(node.operand).cast(pl.Float64)
        return value / 10.0**scale if scale else value


def _literal(value: ast.Scalar) -> pl.Expr:
    if isinstance(value, bool) or not isinstance(value, int):
        return pl.lit(value)
    return pl.lit(value, dtype=pl.Int64 if -(1 << 63) <= value < 1 << 63 else pl.Int128)


def anchored(pattern: str) -> str:
    """`pattern` made to match whole strings only, line breaks included."""
    return rf"\A(?:{pattern})\z"

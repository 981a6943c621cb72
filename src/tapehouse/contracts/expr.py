"""The rule language: a small typed syntax tree over the canonical columns of one contract.

A rule is a tree that is *true where a row breaks it*. Trees are data: the kernel compiles them to Polars; the same
trees compile to Spark columns and SQL where a table is checked in place, so nothing here may depend on an engine.

Values are the canonical ones (see `model.Kind`): decimals are scaled integers, timestamps int64 nanoseconds since the
epoch, so all arithmetic of `+ - *` and every comparison is exact; `/` gives a double and is for ratios only.
Null follows SQL: a comparison with null is null, and a rule that evaluates to null is *not* broken. Say `IsNull` where
absence is the fault.

`scope` of a node is the least that must be seen to evaluate it: one row; the rows before it in arrival order
(`ordered`: previous value, carried value, running best); or all rows of the batch (`batch`: next value, rolling
statistics).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Literal

from tapehouse.contracts.units import Unit

Scalar = int | float | str | bool


class Scope(IntEnum):
    """How much of a batch an expression must see; the maximum over a tree is the tree's scope."""

    ROW = 0
    ORDERED = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class Expr:
    """A node. Subclasses hold only scalars, tuples and other nodes, so trees compare and hash by value."""

    def children(self) -> Iterator[Expr]:
        """Direct sub-expressions, in order of the node's fields."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Expr):
                yield value
            elif isinstance(value, tuple):
                yield from (item for item in value if isinstance(item, Expr))

    def walk(self) -> Iterator[Expr]:
        """This node and all below it, depth first."""
        yield self
        for child in self.children():
            yield from child.walk()

    @property
    def own_scope(self) -> Scope:
        """Scope this node alone demands."""
        return Scope.ROW

    @property
    def scope(self) -> Scope:
        """Scope of the whole tree."""
        return max(node.own_scope for node in self.walk())

    def columns(self) -> tuple[str, ...]:
        """Names of the contract columns the tree reads, sorted, each once."""
        named = {node.name for node in self.walk() if isinstance(node, Col)}
        named |= {name for node in self.walk() for name in getattr(node, "by", ())}
        named |= {node.across for node in self.walk() if isinstance(node, CarriedBest)}
        return tuple(sorted(named))


# ---- leaves ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Col(Expr):
    """A contract column, in canonical form."""

    name: str


@dataclass(frozen=True, slots=True)
class Lit(Expr):
    """A constant in canonical form (a price already scaled to its column; a duration in ns)."""

    value: Scalar
    unit: Unit = Unit.NONE


@dataclass(frozen=True, slots=True)
class Null(Expr):
    """The absent value, of whatever type its neighbour has: what a window should pass over."""


@dataclass(frozen=True, slots=True)
class ParseFailed(Expr):
    """True where the source held a non-null value that the column's grammar refused."""

    name: str


@dataclass(frozen=True, slots=True)
class Lookup(Expr):
    """Value of `column` in reference table `table` for the row's `key` columns, as of the row's event date (I7).

    Null where the key is absent. `by` are contract columns, `keys` the reference table's, position by position.
    """

    table: str
    column: str
    by: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text(Expr):
    """The parts as people write them, one after another: what a reason shows as observed value or bound.

    Never part of a condition.
    """

    parts: tuple[Expr, ...]


# ---- logic and comparison ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Not(Expr):
    """Three-valued negation."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class All(Expr):
    """Conjunction (Kleene)."""

    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class AnyOf(Expr):
    """Disjunction (Kleene)."""

    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """`left op right`; units were checked when the contract was loaded."""

    op: Literal["<", "<=", "==", "!=", ">=", ">"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class IsNull(Expr):
    """True where the operand is null; never null itself."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class InSet(Expr):
    """Membership in a fixed set; null where the operand is null."""

    operand: Expr
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Matches(Expr):
    """The *whole* string matches `pattern` (anchored both ends; `$` never matches before a trailing newline)."""

    operand: Expr
    pattern: str


@dataclass(frozen=True, slots=True)
class HasBits(Expr):
    """All bits of `mask` are set in the integer operand; null where the operand is null."""

    operand: Expr
    mask: int


@dataclass(frozen=True, slots=True)
class IfElse(Expr):
    """`then` where `condition` is true, else `otherwise` (also where the condition is null)."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Coalesce(Expr):
    """First operand that is not null."""

    operands: tuple[Expr, ...]


# ---- arithmetic --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arith(Expr):
    """`+ - *` exact on integers; `/` always a double, null on division by zero; `%` has the divisor's sign."""

    op: Literal["+", "-", "*", "/", "%"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Abs(Expr):
    """Absolute value."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Greatest(Expr):
    """Largest of the operands that are not null; null where all are."""

    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Least(Expr):
    """Smallest of the operands that are not null; null where all are."""

    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class ToDouble(Expr):
    """The number as it would be written (a scaled price divided by its scale): for ratios and statistics."""

    operand: Expr


# ---- time --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InSession(Expr):
    """The instant lies in a trading session of `calendar`: half-open [open, close), early closes and holidays obeyed.

    `calendar` names an entry of the contract's `tapehouse.calendars`.
    """

    operand: Expr
    calendar: str


# ---- windows: rows of the same `by` key in arrival order ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Previous(Expr):
    """Operand on the latest earlier row of the same key where it was not null; null on the first."""

    operand: Expr
    by: tuple[str, ...]

    @property
    def own_scope(self) -> Scope:
        return Scope.ORDERED


@dataclass(frozen=True, slots=True)
class Carried(Expr):
    """Latest non-null operand of the same key up to and including this row: 'not updated' means 'unchanged'."""

    operand: Expr
    by: tuple[str, ...]

    @property
    def own_scope(self) -> Scope:
        return Scope.ORDERED


@dataclass(frozen=True, slots=True)
class CarriedBest(Expr):
    """Best over all `across` values met so far of each one's own carried operand, within the same `by` key.

    The consolidated best of a feed in which every venue quotes its own book: `max` for bids, `min` for asks.
    """

    operand: Expr
    by: tuple[str, ...]
    across: str
    side: Literal["max", "min"]

    @property
    def own_scope(self) -> Scope:
        return Scope.ORDERED


@dataclass(frozen=True, slots=True)
class RunningMax(Expr):
    """Largest non-null operand of the same key up to and including this row."""

    operand: Expr
    by: tuple[str, ...]

    @property
    def own_scope(self) -> Scope:
        return Scope.ORDERED


@dataclass(frozen=True, slots=True)
class Next(Expr):
    """Operand on the next later row of the same key where it is not null; null on the last."""

    operand: Expr
    by: tuple[str, ...]

    @property
    def own_scope(self) -> Scope:
        return Scope.BATCH


@dataclass(frozen=True, slots=True)
class Rolling(Expr):
    """Statistic over `rows` rows of the same key centred on this one, in arrival order; nulls are skipped.

    Of an even number of rows, one more lies before this row than after it. At the ends of a batch the window is cut
    short. `mean` and `median` are doubles, of a decimal still scaled; the others are exact.
    """

    statistic: Literal["median", "mean", "min", "max", "sum"]
    operand: Expr
    rows: int
    by: tuple[str, ...]

    @property
    def own_scope(self) -> Scope:
        return Scope.BATCH


@dataclass(frozen=True, slots=True)
class SeenBefore(Expr):
    """True on every row of the batch whose `by` values were already met on an earlier row; nulls equal each other."""

    by: tuple[str, ...]

    @property
    def own_scope(self) -> Scope:
        return Scope.BATCH

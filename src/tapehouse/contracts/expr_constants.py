"""Operands, and how a constant gets its type from its neighbour.

A constant has no type of its own: it stays a `Decimal` or a text until a neighbour says how many decimals it must have.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from tapehouse.contracts import expr as e
from tapehouse.contracts.expr_lex import DURATION_NS, ExpressionError, Token
from tapehouse.contracts.expr_types import NUMERIC, Type, type_of
from tapehouse.contracts.model import Kind
from tapehouse.contracts.units import Unit

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleScope

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_INT64 = 1 << 63

# What Polars, Spark and SQL engines agree on: no look-around, no back-references.
_BEYOND_REGULAR = re.compile(r"\(\?(?:[=!]|<[=!]|P=)|\\[1-9]")


@dataclass(frozen=True, slots=True)
class Span:
    """Place of an operand in the expression."""

    offset: int
    end: int

    def error(self, message: str, allowed: str = "", guess: str = "") -> ExpressionError:
        """An error that points at this place."""
        return ExpressionError(message, self.offset, max(1, self.end - self.offset), allowed, guess)

    def to(self, other: Span) -> Span:
        """From the start of this to the end of `other`."""
        return Span(self.offset, other.end)


@dataclass(frozen=True, slots=True)
class Term:
    """An operand: a typed tree, or a constant (`number`, `percent` as a fraction, or `text`) still to be typed."""

    span: Span
    tree: e.Expr | None = None
    type: Type = field(default_factory=lambda: Type(Kind.BOOLEAN))
    number: Decimal | None = None
    percent: bool = False
    text: str | None = None

    @property
    def pending(self) -> bool:
        """A constant that no neighbour has typed yet."""
        return self.tree is None

    @property
    def unit(self) -> Unit:
        """Unit so far."""
        if not self.pending:
            return self.type.unit
        return Unit.RATIO if self.percent else Unit.NONE


def typed(tree: e.Expr, scope: RuleScope, span: Span) -> Term:
    """A finished operand."""
    return Term(span, tree, type_of(tree, scope))


def describe(term: Term) -> str:
    """The operand's unit or kind, as an error names it."""
    if term.text is not None:
        return "text"
    if term.number is not None:
        return "a percentage" if term.percent else "a bare number"
    return kind_name(term.type)


def kind_name(type_: Type) -> str:
    """A type in the words of a contract."""
    if type_.unit in (Unit.ANY, Unit.NONE):
        return {Kind.STRING: "text", Kind.BOOLEAN: "a condition"}.get(type_.kind, f"{type_.kind.value} without unit")
    return type_.unit.value


def settle(term: Term, neighbour: Type | None, scope: RuleScope) -> Term:
    """`term` as an operand beside one of type `neighbour` (None: alone). Raises ExpressionError where it cannot be."""
    if not term.pending:
        return term
    value = _text_value(term, neighbour) if term.text is not None else _number_value(term, neighbour)
    unit = Unit.NONE
    if not isinstance(value, str):
        unit = Unit.RATIO if term.percent else Unit.NONE
        if neighbour is not None and neighbour.kind != Kind.STRING:
            unit = neighbour.unit
    return typed(e.Lit(value, unit), scope, term.span)


def _text_value(term: Term, neighbour: Type | None) -> int | str:
    text = cast(str, term.text)
    if neighbour is None or neighbour.kind == Kind.STRING:
        return text
    if neighbour.kind == Kind.TIMESTAMP:
        return instant_ns(text, term.span)
    if neighbour.kind == Kind.DATE:
        return _date(text, term.span)
    quoted_number = re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
    guess = "did you quote a number? remove the quotes" if quoted_number else ""
    if neighbour.kind == Kind.BOOLEAN:
        guess = "write true or false without quotes"
    raise term.span.error(f"text {text!r} beside {kind_name(neighbour)}", f"a value of kind {neighbour.kind}", guess)


def instant_ns(text: str, span: Span) -> int:
    """Nanoseconds since the epoch of an ISO 8601 instant with offset; ExpressionError if it is none."""
    match = _INSTANT.fullmatch(text)
    error = span.error(f"{text!r} is not an instant", "ISO 8601 with offset, e.g. '2024-03-08T14:30:00Z'")
    if match is None:
        raise error
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError:
        raise error from None
    seconds = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(seconds=1)
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def _date(text: str, span: Span) -> str:
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise span.error(f"{text!r} is not a date", "ISO 8601, e.g. '2024-03-08'") from None


def _number_value(term: Term, neighbour: Type | None) -> int | float:
    number = cast(Decimal, term.number)
    whole = number == number.to_integral_value()
    if neighbour is None:
        return int(number) if whole and not term.percent else float(number)
    if neighbour.kind not in NUMERIC:
        guess = "quote it" if neighbour.kind == Kind.STRING else ""
        allowed = f"a value of kind {neighbour.kind}"
        raise term.span.error(f"number {number} beside {kind_name(neighbour)}", allowed, guess)
    if neighbour.kind == Kind.TIMESTAMP:
        raise term.span.error("a bare number beside a time", "an instant in quotes: '2024-03-08T14:30:00Z'")
    if neighbour.unit == Unit.DURATION and number != 0:
        allowed = "a duration: 250ms, 30s, 5m, 1h, 1d"
        raise term.span.error("a bare number beside a duration", allowed, f"did you mean {number}s?")
    if neighbour.kind == Kind.DOUBLE:
        return float(number)
    return scaled(number, neighbour.scale, term.span)


def scaled(number: Decimal, scale: int, span: Span) -> int:
    """`number` x 10^`scale`, exactly; ExpressionError where it has more decimals than that."""
    value = number.scaleb(scale)
    if value != value.to_integral_value():
        allowed = f"at most {scale} decimals" if scale else "a whole number"
        raise span.error(f"{number:f} has more decimals than the column it is compared with", allowed)
    if not -_INT64 <= int(value) < _INT64:
        raise span.error(f"{number:f} is too large", f"64 bits with {scale} decimals")
    return int(value)


def duration_ns(token: Token) -> int:
    """Nanoseconds of a duration token such as `250ms`."""
    match = cast(re.Match[str], re.fullmatch(r"([\d.]+)([A-Za-z]+)", token.value))
    value = Decimal(match[1]) * DURATION_NS[match[2]]
    if value != value.to_integral_value() or value >= 1 << 63:
        raise ExpressionError(f"{token.value!r} is not a whole number of nanoseconds", token.offset, token.length)
    return int(value)


def check_pattern(pattern: str, span: Span) -> None:
    """Raises ExpressionError where `pattern` is not a regular expression that all engines read alike."""
    try:
        re.compile(pattern)
    except re.error as error:
        at = Span(span.offset + 1 + (error.pos or 0), span.offset + 2 + (error.pos or 0))
        raise at.error(f"not a regular expression: {error.msg}") from None
    if _BEYOND_REGULAR.search(pattern):
        raise span.error("look-around and back-references are not available", "a plain regular expression")

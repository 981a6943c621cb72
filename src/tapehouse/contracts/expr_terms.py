"""Meaning of operators: brings operands to one unit and one number of decimals, exactly, or says why it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, cast

from tapehouse.contracts import expr as e
from tapehouse.contracts.expr_constants import Span, Term, describe, kind_name, scaled, settle, typed
from tapehouse.contracts.expr_types import MAX_SCALE, NUMERIC, RATIO_SCALE, Type, type_of
from tapehouse.contracts.model import Kind
from tapehouse.contracts.units import Unit, comparable, product, quotient, total

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleScope

# ---- several operands of one type --------------------------------------------------------------------------------


def unify(terms: Sequence[Term], scope: RuleScope, what: str) -> list[e.Expr]:
    """Trees of `terms` brought to one kind, unit and scale, for `what` (named in errors: "compared")."""
    solid = [term for term in terms if not term.pending]
    for left in solid:
        for right in solid:
            _require_alike(left, right, what)
    for term in terms:
        for other in solid:
            if term.pending and term.number is not None and not comparable(term.unit, other.unit):
                guess = "20% of what? write e.g. 20% * reference_price" if term.percent else ""
                raise term.span.error(f"{describe(term)} {what} with {describe(other)}", guess=guess)
    scale = max((term.type.scale for term in solid), default=0)
    first = next((term.type for term in solid if not term.type.literal), solid[0].type if solid else None)
    target = None if first is None else Type(_joint_kind(solid, scale), first.unit, scale)
    return [rescaled(settle(term, target, scope), scale) for term in terms]


def _joint_kind(solid: Sequence[Term], scale: int) -> Kind:
    kinds = {term.type.kind for term in solid}
    if Kind.DOUBLE in kinds:
        return Kind.DOUBLE
    return Kind.DECIMAL if scale else solid[0].type.kind


def _require_alike(left: Term, right: Term, what: str) -> None:
    one, other = left.type, right.type
    numeric = one.kind in NUMERIC and other.kind in NUMERIC
    if not numeric and one.kind != other.kind:
        raise left.span.to(right.span).error(f"{kind_name(one)} {what} with {kind_name(other)}", "operands of one kind")
    if not comparable(one.unit, other.unit):
        guess = ""
        if Unit.ANY in (one.unit, other.unit):
            guess = "say what the column measures with tapehouse.unit"
        raise left.span.to(right.span).error(
            f"a {kind_name(one)} {what} with a {kind_name(other)}", "operands of one unit", guess
        )
    _refuse_mixture(left, right)


def _refuse_mixture(left: Term, right: Term) -> None:
    """Exact decimals never silently become doubles."""
    for one, other in ((left, right), (right, left)):
        if one.type.kind == Kind.DOUBLE and other.type.exact and other.type.scale:
            raise other.span.error("an exact decimal beside a double", guess="write to_double(...) around the decimal")


def rescaled(term: Term, scale: int) -> e.Expr:
    """The operand's tree with `scale` decimals: multiplied by a power of ten where it has fewer."""
    tree = cast(e.Expr, term.tree)
    missing = scale - term.type.scale
    if term.type.literal or missing <= 0 or not term.type.exact:
        return tree
    return e.Arith("*", tree, e.Lit(10**missing))


# ---- arithmetic --------------------------------------------------------------------------------------------------

Operator = Literal["+", "-", "*", "/", "%"]


def arithmetic(op: Operator, left: Term, right: Term, scope: RuleScope) -> Term:
    """`left op right`. Raises ExpressionError where the units or decimals do not go together."""
    span = left.span.to(right.span)
    if left.number is not None and right.number is not None:
        folded = _fold(op, left, right, span)
        if folded is not None:
            return folded
    for term in (left, right):
        if not (term.pending or term.type.kind in NUMERIC):
            raise term.span.error(f"{kind_name(term.type)} in arithmetic", "numbers, times and durations")
    if op in ("*", "/"):
        return _multiplicative(op, left, right, scope, span)
    trees = _additive(op, left, right, scope, span)
    return typed(e.Arith(op, trees[0], trees[1]), scope, span)


def _fold(op: Operator, left: Term, right: Term, span: Span) -> Term | None:
    """Arithmetic of two constants, done now; None where it must be left to the engine."""
    one, other = cast(Decimal, left.number), cast(Decimal, right.number)
    if op == "*":
        return Term(span, number=one * other, percent=left.percent or right.percent)
    if op in ("+", "-") and left.percent == right.percent:
        return Term(span, number=one + other if op == "+" else one - other, percent=left.percent)
    raise span.error(f"a constant {op!r} expression", guess="write its result")


def _additive(op: Operator, left: Term, right: Term, scope: RuleScope, span: Span) -> list[e.Expr]:
    if not (left.pending or right.pending):
        moved = op == "%" and (left.unit, right.unit) == (Unit.TIME, Unit.DURATION)
        meaning = left.unit if op == "%" and comparable(left.unit, right.unit) else total(left.unit, right.unit, op)
        if meaning is None and not moved:
            raise span.error(f"{describe(left)} {op} {describe(right)} means nothing", "operands of one unit")
        _refuse_mixture(left, right)
        scale = max(left.type.scale, right.type.scale)
        return [rescaled(left, scale), rescaled(right, scale)]
    solid = right if left.pending else left
    if op == "+" and solid.type.kind == Kind.TIMESTAMP:
        raise span.error("a time plus a constant", "a time plus a duration: ts + 1h")
    return unify((left, right), scope, f"{op} ")


def _multiplicative(op: Literal["*", "/"], left: Term, right: Term, scope: RuleScope, span: Span) -> Term:
    for term in (left, right):
        if term.text is not None:
            raise term.span.error("text in arithmetic", "numbers, times and durations")
    unit = product(left.unit, right.unit) if op == "*" else quotient(left.unit, right.unit)
    if unit is None:
        guess = "say what the columns measure with tapehouse.unit" if Unit.ANY in (left.unit, right.unit) else ""
        raise span.error(f"{describe(left)} {op} {describe(right)} means nothing", guess=guess)
    if op == "/":
        return typed(e.Arith("/", *_divided(left, right, scope)), scope, span)
    one, other = _factor(left, right, scope), _factor(right, left, scope)
    _refuse_mixture(one, other)
    tree = e.Arith("*", cast(e.Expr, one.tree), cast(e.Expr, other.tree))
    if type_of(tree, scope).scale > MAX_SCALE:
        raise span.error("a product with more than 18 decimals", guess="write to_double(...) around both factors")
    return typed(tree, scope, span)


def _factor(term: Term, other: Term, scope: RuleScope) -> Term:
    if not term.pending:
        return term
    number = cast(Decimal, term.number)
    if number == number.to_integral_value() and not term.percent:
        return typed(e.Lit(int(number)), scope, term.span)
    unit = Unit.RATIO if term.percent else Unit.NONE
    if other.type.kind == Kind.DOUBLE:
        return typed(e.Lit(float(number), unit), scope, term.span)
    if not term.percent:
        raise term.span.error(
            f"exact number times {number:f}", "a whole number or a percentage", f"did you mean {number * 100:f}%?"
        )
    return typed(e.Lit(scaled(number, RATIO_SCALE, term.span), unit), scope, term.span)


def _divided(left: Term, right: Term, scope: RuleScope) -> tuple[e.Expr, e.Expr]:
    same = not (left.pending or right.pending) and left.type.scale == right.type.scale
    trees: list[e.Expr] = []
    for term in (left, right):
        tree = cast(e.Expr, settle(term, None, scope).tree)
        if not same and not term.pending and term.type.scale and not term.type.literal:
            tree = e.ToDouble(tree)
        trees.append(tree)
    return trees[0], trees[1]

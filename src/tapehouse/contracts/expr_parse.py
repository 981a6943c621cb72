"""Text of the rule language -> `Expr`: what `rule: expression` and `tapehouse.filter` hold.

    or   := and ('or' and)*            and := not ('and' not)*           not := 'not' not | test
    test := sum [comparison sum | ['not'] 'in' (...) | 'is' ['not'] 'null' | 'matches' text]
    sum  := operands joined by + - * / % with the usual precedence

Types and units are checked while reading, so that an error can point at the operand. Operators that bind alike are read
by one loop with binding powers (a Pratt parser); the tree keeps the author's brackets.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, cast

from tapehouse.contracts import expr as e
from tapehouse.contracts.expr_constants import (
    Span,
    Term,
    check_pattern,
    describe,
    duration_ns,
    kind_name,
    settle,
    typed,
)
from tapehouse.contracts.expr_cursor import Cursor
from tapehouse.contracts.expr_functions import FUNCTIONS, call
from tapehouse.contracts.expr_lex import ExpressionError, Token, tokens
from tapehouse.contracts.expr_terms import Operator, arithmetic, unify
from tapehouse.contracts.model import Kind
from tapehouse.contracts.suggest import did_you_mean
from tapehouse.contracts.units import Unit

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleScope

__all__ = ["ExpressionError", "parse_expression"]

_COMPARISONS = ("<", "<=", "==", "!=", ">=", ">")
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}
_MAX_DEPTH = 60
_MAX_OPERATORS = 300


def parse_expression(text: str, scope: RuleScope, *, condition: bool = True) -> e.Expr:
    """Tree of `text`: a condition, true where a row breaks the rule (or, in a filter, is kept); else any value.

    Raises ExpressionError with the place of the mistake in `text`.
    """
    try:
        parser = Parser(tokens(text), scope)
        tree = parser.condition() if condition else parser.value()
        parser.finish()
    except ExpressionError as error:
        error.text = text
        raise
    return tree


class Parser(Cursor):
    """Reads operands and conditions, typing each as it is read."""

    def __init__(self, words: list[Token], scope: RuleScope) -> None:
        super().__init__(words, scope)
        self._depth = 0

    # ---- logic ---------------------------------------------------------------------------------------------------

    def condition(self) -> e.Expr:
        """Tree of a whole condition."""
        return self._truth(self._or())

    def value(self) -> e.Expr:
        """Tree of a whole expression of any kind."""
        return cast(e.Expr, settle(self._or(), None, self.scope).tree)

    def _truth(self, term: Term) -> e.Expr:
        if term.pending or term.type.kind != Kind.BOOLEAN:
            raise term.span.error(f"{describe(term)} where a condition is needed", guess="compare it with something")
        return cast(e.Expr, term.tree)

    def _or(self) -> Term:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self.unexpected(f"at most {_MAX_DEPTH} levels of brackets")
        term = self._joined("or")
        self._depth -= 1
        return term

    def _joined(self, word: Literal["and", "or"]) -> Term:
        below = self._not if word == "and" else lambda: self._joined("and")
        first = last = below()
        if not self.at(word):
            return first
        operands = [self._truth(first)]
        while self.skip(word):
            last = below()
            operands.append(self._truth(last))
        node = e.All if word == "and" else e.AnyOf
        return typed(node(tuple(operands)), self.scope, first.span.to(last.span))

    def _not(self) -> Term:
        negations = 0
        start = self.span(self.next)
        while self.skip("not"):
            negations += 1
        if negations > _MAX_DEPTH:
            raise start.error("negated too often")
        term = self._test()
        for _ in range(negations):
            term = typed(e.Not(self._truth(term)), self.scope, start.to(term.span))
        return term

    # ---- tests ---------------------------------------------------------------------------------------------------

    def _test(self) -> Term:
        left = self._sum(0)
        if self.at(*_COMPARISONS):
            return self._comparison(left)
        if self.skip("is"):
            return self._null_test(left)
        if self.skip("matches"):
            return self._matches(left)
        negated = self.skip("not")
        if self.skip("in"):
            term = self._membership(left)
            return typed(e.Not(self._truth(term)), self.scope, term.span) if negated else term
        if negated:
            raise self.unexpected("`in` after `not`")
        return left

    def _comparison(self, left: Term) -> Term:
        op = cast(Literal["<", "<=", "==", "!=", ">=", ">"], self.take().value)
        if self.at("null"):
            raise self.unexpected("a value", "write `is null` or `is not null`")
        right = self._sum(0)
        span = left.span.to(right.span)
        if self.at(*_COMPARISONS):
            raise self.unexpected("one comparison at a time", "write `a < b and b < c`")
        if left.pending and right.pending:
            raise span.error("two constants compared", "at least one column")
        trees = unify((left, right), self.scope, "compared")
        solid = right if left.pending else left
        if solid.type.kind == Kind.BOOLEAN and op not in ("==", "!="):
            raise span.error("conditions have no order", "== or !=")
        return typed(e.Compare(op, trees[0], trees[1]), self.scope, span)

    def _null_test(self, left: Term) -> Term:
        negated = self.skip("not")
        span = left.span.to(self.span(self.expect("null")))
        if left.pending:
            raise left.span.error("a constant is never null")
        tree: e.Expr = e.IsNull(cast(e.Expr, left.tree))
        return typed(e.Not(tree) if negated else tree, self.scope, span)

    def _matches(self, left: Term) -> Term:
        if left.pending or left.type.kind != Kind.STRING:
            raise left.span.error(f"{describe(left)} matched with a pattern", "a text column")
        token = self.take()
        if token.kind != "text":
            raise self.span(token).error("no pattern after `matches`", "a regular expression in quotes")
        check_pattern(token.value, self.span(token))
        return typed(e.Matches(cast(e.Expr, left.tree), token.value), self.scope, left.span.to(self.span(token)))

    def _membership(self, left: Term) -> Term:
        if left.pending:
            raise left.span.error("a constant tested for membership", "a column")
        self.expect("(")
        values: list[e.Scalar] = []
        while True:
            if self.at(")"):
                raise self.unexpected("a value", "a trailing comma?" if values else "an empty set matches nothing")
            values.append(self._member(left, values))
            if not self.skip(","):
                break
        end = self.span(self.expect(")"))
        return typed(e.InSet(cast(e.Expr, left.tree), tuple(values)), self.scope, left.span.to(end))

    def _member(self, left: Term, seen: list[e.Scalar]) -> e.Scalar:
        term = self._sum(0)
        if not comparable_member(term, left):
            raise term.span.error(f"{describe(term)} in a set of {describe(left)}")
        tree = unify((left, term), self.scope, "compared")[1]
        if not isinstance(tree, e.Lit):
            raise term.span.error("a set holds constants only", guess="write `a == b or a == c`")
        if tree.value in seen:
            raise term.span.error("twice in the set")
        return tree.value

    # ---- arithmetic ----------------------------------------------------------------------------------------------

    def _sum(self, binding: int) -> Term:
        left = self._operand()
        operators = 0
        while self.next.kind == "operator" and _BINDING.get(self.next.value, 0) > binding:
            operators += 1
            if operators > _MAX_OPERATORS:
                raise self.unexpected(f"at most {_MAX_OPERATORS} operators")
            op = cast(Operator, self.take().value)
            left = arithmetic(op, left, self._sum(_BINDING[op]), self.scope)
        return left

    def _operand(self) -> Term:
        token = self.next
        span = self.span(token)
        if self.skip("("):
            inner = self._or()
            end = self.span(self.expect(")"))
            return replace(inner, span=span.to(end))
        if self.skip("-"):
            return self._negative(span)
        if token.kind == "word":
            return self._word(token, span)
        if token.kind in ("number", "percent", "duration", "text"):
            return self._constant(self.take(), span)
        if self.at("true", "false"):
            return typed(e.Lit(self.take().value == "true"), self.scope, span)
        guess = "write `is null`" if self.at("null") else ""
        raise self.unexpected("a column, a constant, a function or a bracket", guess)

    def _negative(self, span: Span) -> Term:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise span.error("negated too often")
        operand = self._operand()
        self._depth -= 1
        span = span.to(operand.span)
        if operand.number is not None:
            return replace(operand, span=span, number=-operand.number)
        tree = operand.tree
        if isinstance(tree, e.Lit) and isinstance(tree.value, int) and not isinstance(tree.value, bool):
            return typed(e.Lit(-tree.value, tree.unit), self.scope, span)
        return arithmetic("-", Term(span, number=Decimal(0)), operand, self.scope)

    def _constant(self, token: Token, span: Span) -> Term:
        if token.kind == "text":
            return Term(span, text=token.value)
        if token.kind == "duration":
            return typed(e.Lit(duration_ns(token), Unit.DURATION), self.scope, span)
        if token.kind == "percent":
            return Term(span, number=Decimal(token.value).scaleb(-2), percent=True)
        return Term(span, number=Decimal(token.value))

    def _word(self, token: Token, span: Span) -> Term:
        self.take()
        if self.at("("):
            if token.value not in FUNCTIONS:
                known = ", ".join(sorted(FUNCTIONS))
                raise span.error(f"no function {token.value!r}", known, did_you_mean(token.value, FUNCTIONS))
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise span.error(f"more than {_MAX_DEPTH} levels of brackets")
            term = call(token.value, self, span)
            self._depth -= 1
            return term
        if token.value not in self.scope.columns:
            columns = self.scope.columns
            raise span.error(f"no column {token.value!r}", ", ".join(columns), did_you_mean(token.value, columns))
        return typed(e.Col(token.value), self.scope, span)

    # ---- arguments of functions ----------------------------------------------------------------------------------

    def argument(self) -> Term:
        """One argument; a constant stays untyped."""
        return self._or()

    def argument_or_null(self) -> Term:
        """One argument, or the word `null`."""
        if not self.at("null"):
            return self._or()
        return typed(e.Null(), self.scope, self.span(self.take()))

    def arguments(self) -> list[Term]:
        """One or more arguments."""
        found = [self._or()]
        while self.skip(","):
            found.append(self._or())
        return found

    def settled(self, term: Term) -> Term:
        """`term`, which must not be a constant."""
        if term.pending:
            raise term.span.error("a constant where a column is needed")
        return settle(term, None, self.scope)


def comparable_member(term: Term, left: Term) -> bool:
    """Whether `term` can be an element of a set tested against `left`; finer checks follow when it is typed."""
    return (
        term.pending
        or (term.type.literal and kind_name(term.type) == kind_name(left.type))
        or (term.type.literal and term.type.kind == Kind.BOOLEAN == left.type.kind)
    )

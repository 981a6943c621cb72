"""Position in the words of an expression, and the reading of everything that is not an operand."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tapehouse.contracts.expr_constants import Span
from tapehouse.contracts.expr_lex import ExpressionError, Token
from tapehouse.contracts.suggest import did_you_mean

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleScope


class Cursor:
    """Reads words one by one. Every method leaves the position after what it has read."""

    def __init__(self, words: list[Token], scope: RuleScope) -> None:
        self.scope = scope
        self._words = words
        self._at = 0

    @property
    def next(self) -> Token:
        return self._words[self._at]

    def take(self) -> Token:
        token = self._words[self._at]
        self._at = min(self._at + 1, len(self._words) - 1)
        return token

    def at(self, *values: str) -> bool:
        return self.next.kind in ("operator", "keyword") and self.next.value in values

    def skip(self, value: str) -> bool:
        if self.at(value):
            self.take()
            return True
        return False

    @staticmethod
    def span(token: Token) -> Span:
        return Span(token.offset, token.end)

    def unexpected(self, allowed: str, guess: str = "") -> ExpressionError:
        token = self.next
        shown = token.value if token.kind == "end" else repr(token.value)
        return ExpressionError(f"unexpected {shown}", token.offset, token.length, allowed, guess)

    def expect(self, value: str) -> Token:
        """Reads `value`; ExpressionError if something else comes."""
        if not self.at(value):
            raise self.unexpected(repr(value))
        return self.take()

    def comma(self) -> None:
        """Reads the comma between two arguments."""
        self.expect(",")

    def close(self) -> Span:
        """Reads the bracket that ends a call."""
        if self.at(","):
            raise self.unexpected("')'", "too many arguments, or a trailing comma?")
        return self.span(self.expect(")"))

    def finish(self) -> None:
        """Checks that nothing is left."""
        if self.next.kind != "end":
            guess = "a bracket too many?" if self.at(")") else ""
            raise self.unexpected("an operator, `and`, `or`, or the end", guess)

    def name(self, what: str, choices: Collection[str]) -> str:
        """One of the names `choices`, called `what` in errors."""
        token = self.take()
        if token.kind != "word" or token.value not in choices:
            raise self.span(token).error(
                f"no {what} {token.value!r}", ", ".join(choices) or "none declared", did_you_mean(token.value, choices)
            )
        return token.value

    def columns(self) -> tuple[str, ...]:
        """One or more column names."""
        found = [self.name("column", self.scope.columns)]
        while self.skip(","):
            found.append(self.name("column", self.scope.columns))
        return tuple(found)

    def by_columns(self) -> tuple[str, ...]:
        """`by a, b`, the colon being optional."""
        self.expect("by")
        self.skip(":")
        return self.columns()

    def by(self) -> tuple[str, ...]:
        """`, by: a, b`, or nothing: all rows are one group."""
        return self.by_columns() if self.skip(",") else ()

    def whole_number(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        token = self.take()
        if token.kind != "number" or not token.value.isdigit() or not low <= int(token.value) <= high:
            raise self.span(token).error(
                f"{token.value!r} where a count is needed", f"a whole number from {low} to {high}"
            )
        return int(token.value)

"""Words of the rule language: text -> tokens, each with its place in the text so that an error can point at it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_EXPRESSION_LENGTH = 10_000

DURATION_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}

KEYWORDS = frozenset({"and", "or", "not", "in", "is", "null", "matches", "by", "true", "false"})

# `%` straight after a number is a percentage (`20% * x`) unless an operand follows: `7%3` is a remainder.
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>\d+(?:\.\d+)?(?P<suffix>%(?!\s*(?!(?:and|or|is|in|not|matches)\b)[\w('])|[A-Za-z]+)?)
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<operator><=|>=|==|!=|[<>(),:+\-*/%.])
    """,
    re.VERBOSE,
)

_NEAR_MISSES = {
    "=": "write == for equality",
    "<>": "write != for inequality",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "^": "there is no power operator",
    "[": "a set is written with round brackets: in ('A', 'B')",
}


class ExpressionError(ValueError):
    """An expression that cannot be read or means nothing.

    `offset` and `length` mark the words at fault in `text` (0-based characters); `allowed` and `guess` help the author.
    """

    def __init__(self, message: str, offset: int = 0, length: int = 1, allowed: str = "", guess: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length
        self.allowed = allowed
        self.guess = guess
        self.text = ""


@dataclass(frozen=True, slots=True)
class Token:
    """One word. `kind`: number, percent, duration, text, word, keyword, operator or end; `value` has no quotes."""

    kind: str
    value: str
    offset: int
    end: int

    @property
    def length(self) -> int:
        """Characters it takes in the expression, at least 1 so that a caret can be drawn."""
        return max(1, self.end - self.offset)


def tokens(text: str) -> list[Token]:
    """All words of `text`, then one token of kind `end`. Raises ExpressionError at the first unreadable character."""
    if len(text) > MAX_EXPRESSION_LENGTH:
        allowed = f"at most {MAX_EXPRESSION_LENGTH}"
        raise ExpressionError(f"expression of {len(text)} characters", 0, 1, allowed, "split it into several rules")
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        token = _token(match)
        if token is not None:
            found.append(token)
        at = match.end()
    found.append(Token("end", "end of the expression", len(text), len(text)))
    return found


def _token(match: re.Match[str]) -> Token | None:
    start, end = match.span()
    kind = match.lastgroup
    raw = match.group()
    if kind == "space":
        return None
    if match.group("number") is not None:
        return _number(match, start, end)
    if kind == "text":
        return Token("text", raw[1:-1].replace("''", "'"), start, end)
    if kind == "quoted":
        return Token("text", raw[1:-1].replace('""', '"'), start, end)
    if kind == "word":
        return Token("keyword" if raw in KEYWORDS else "word", raw, start, end)
    return Token("operator", raw, start, end)


def _number(match: re.Match[str], start: int, end: int) -> Token:
    suffix = match.group("suffix")
    digits = match.group("number")
    if suffix is None:
        return Token("number", digits, start, end)
    if suffix == "%":
        return Token("percent", digits[:-1], start, end)
    if suffix not in DURATION_NS:
        guess = "numbers have no exponent: write all digits" if suffix.lower().startswith("e") else ""
        raise ExpressionError(
            f"{digits!r} is neither a number nor a duration",
            start,
            end - start,
            "a duration ends in " + ", ".join(DURATION_NS),
            guess,
        )
    return Token("duration", digits, start, end)


def _unreadable(text: str, at: int) -> ExpressionError:
    if text[at] in "'\"":
        return ExpressionError("text without closing quote", at, len(text) - at, guess=f"add a {text[at]} at its end")
    near = next((hint for sign, hint in _NEAR_MISSES.items() if text.startswith(sign, at)), "")
    return ExpressionError(f"{text[at]!r} has no meaning here", at, 1, guess=near)

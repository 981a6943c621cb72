"""Wildcards and policy variables.

A pattern is compiled after its variables were replaced, so that a `*` inside a variable's value stays a letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

Lookup = Callable[[str], Sequence[str] | None]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}


class UnknownVariable(Exception):  # noqa: N818 - control flow within the package: the value then matches nothing
    """A variable the request has no value for, and the policy no default."""


@lru_cache(maxsize=8192)
def _wild(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    text = "".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def like(value: str, pattern: str, *, ignore_case: bool = False) -> bool:
    """Whether the whole `value` fits: `*` is any run of characters (none too), `?` is any one."""
    return _wild(pattern, ignore_case).fullmatch(value) is not None


def expand(pattern: str, lookup: Lookup | None) -> list[tuple[str, bool]]:
    """Pieces of a pattern as (text, literal). Without `lookup` (policy version 2008-10-17) variables are plain text.

    Raises UnknownVariable where the request has no value and the pattern no default.
    """
    if lookup is None or "${" not in pattern:
        return [(pattern, False)]
    pieces: list[tuple[str, bool]] = []
    end = 0
    for found in _VARIABLE.finditer(pattern):
        pieces.append((pattern[end : found.start()], False))
        pieces.append((_value(found.group(1), lookup), True))
        end = found.end()
    pieces.append((pattern[end:], False))
    return pieces


def _value(body: str, lookup: Lookup) -> str:
    if body in _LITERALS:
        return _LITERALS[body]
    name, _, default = (part.strip() for part in body.partition(","))
    values = lookup(name)
    if values is not None and len(values) == 1:
        return values[0]
    if default.startswith("'") and default.endswith("'") and len(default) >= 2:
        return default[1:-1]
    raise UnknownVariable(name)


def plain(pattern: str, lookup: Lookup | None) -> str:
    """The pattern with variables replaced and no wildcard meaning: what StringEquals compares with."""
    return "".join(text for text, _ in expand(pattern, lookup))


def fits(value: str, pattern: str, lookup: Lookup | None) -> bool:
    """`like` after variables; an unknown variable fits nothing."""
    try:
        pieces = expand(pattern, lookup)
    except UnknownVariable:
        return False
    if len(pieces) == 1:
        return like(value, pattern)
    body = "".join(re.escape(text) if literal else _wild(text, False).pattern for text, literal in pieces)
    return re.fullmatch(body, value, re.DOTALL) is not None


def arn_fits(value: str, pattern: str, lookup: Lookup | None) -> bool:
    """ArnLike: each of the six parts between colons fits its own pattern, so `*` never reaches over a colon."""
    parts, patterns = value.split(":", 5), _split_arn(pattern)
    return (
        len(parts) == len(patterns) == 6
        and parts[0] == patterns[0] == "arn"
        and all(fits(part, one, lookup) for part, one in zip(parts, patterns, strict=True))
    )


def _split_arn(pattern: str) -> list[str]:
    """Like `split(":", 5)`, but a colon within a variable (`${aws:PrincipalAccount}`) separates nothing."""
    hidden = _VARIABLE.sub(lambda found: found.group(0).replace(":", "\0"), pattern)
    return [part.replace("\0", ":") for part in hidden.split(":", 5)]

"""Regular expressions that mean the same to Rust's regex, RE2 and Java, by leaving nothing to them to interpret.

The three differ in what `\\d`, `\\w`, `.`, `(?i)` and classes stand for, and in their versions of Unicode. So each part
of a pattern that matches one character is replaced by the code points it stands for, as the kernel's own engine tells;
what remains is choice, sequence and repetition, which are the same everywhere when the whole text must match.
"""

from __future__ import annotations

import re
from functools import lru_cache

import polars as pl

from tapehouse.engines.sql.forms import NotCheckableError

_ESCAPE = re.compile(
    r"\\(?:[pP](?:\{[^}]*\}|.)|x(?:\{[^}]*\}|..)|u(?:\{[^}]*\}|.{4})|U(?:\{[^}]*\}|.{8})|[dDwWsSntrfva]|[^0-9A-Za-z<>])",
    re.DOTALL,
)
_GROUP = re.compile(r"\((?:\?(?:P?<[^>]*>|(?P<flags>[a-zA-Z-]*)(?P<end>[:)])))?")
_REPEAT = re.compile(r"(?P<count>[*+?]|\{\d+(?:,\d*)?\})\??")
# What RE2 allows.
_REPEAT_MAX = 1000


def portable(pattern: str) -> str:
    """A pattern that matches, as a whole, the texts that `pattern` matches as a whole in the kernel.

    Raises NotCheckableError for what depends on more than one character: word boundaries, lines, look-around.
    """
    return _Reader(pattern).whole()


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def whole(self) -> str:
        text = self._choice("")
        if self._at < len(self._pattern):
            raise self._refused(self._pattern[self._at])
        return text

    def _choice(self, flags: str) -> str:
        """Up to the end of the group; `flags` hold until a `(?i)` within it says otherwise."""
        out: list[str] = []
        while self._at < len(self._pattern) and self._pattern[self._at] != ")":
            if self._pattern[self._at] == "|":
                self._at += 1
                out.append("|")
                continue
            atom, flags = self._atom(flags)
            out.append(self._repeated(atom))
        return "".join(out)

    def _repeated(self, atom: str) -> str:
        while found := _REPEAT.match(self._pattern, self._at):
            count = found["count"]
            if any(int(number) > _REPEAT_MAX for number in re.findall(r"\d+", count)):
                raise self._refused(count)
            # Bracketed each time: `a*+` is possessive to Java. Lazy or greedy is the same for whole texts.
            atom, self._at = f"(?:{atom}){count}", found.end()
        return atom

    def _atom(self, flags: str) -> tuple[str, str]:
        first = self._pattern[self._at]
        if first == "(":
            return self._group(flags)
        if first == "[":
            return _one_of(self._class(), flags), flags
        if first == "\\":
            return self._escape(flags), flags
        if first in "^$":
            # Without the flag `m`, which is refused, these are the ends of the text.
            self._at += 1
            return ("\\A" if first == "^" else "\\z"), flags
        if first in "*+?{}]":
            raise self._refused(first)
        self._at += 1
        return (_one_of(first, flags) if first == "." or flags else _point(ord(first))), flags

    def _group(self, flags: str) -> tuple[str, str]:
        found = _GROUP.match(self._pattern, self._at)
        opening = found[0] if found else self._pattern[self._at : self._at + 3]
        if found is None or (opening == "(" and self._pattern.startswith("(?", self._at)):
            raise self._refused(self._pattern[self._at : self._at + 3])
        inner = flags if found["flags"] is None else self._flags(flags, found["flags"], opening)
        self._at = found.end()
        if found["end"] == ")":
            return "", inner
        text = self._choice(inner)
        self._at += 1
        return f"(?:{text})", flags

    def _flags(self, flags: str, change: str, opening: str) -> str:
        added, _, removed = change.partition("-")
        if set(added) - set("isu") or set(removed) - set("is"):
            raise self._refused(opening)
        return "".join(sorted((set(flags) | set(added)) - set(removed) - {"u"}))

    def _escape(self, flags: str) -> str:
        for end in ("\\A", "\\z"):
            if self._pattern.startswith(end, self._at):
                self._at += 2
                return end
        found = _ESCAPE.match(self._pattern, self._at)
        if found is None:
            raise self._refused(self._pattern[self._at : self._at + 2])
        self._at = found.end()
        return _one_of(found[0], flags)

    def _class(self) -> str:
        """The bracketed class that begins here, with those nested in it."""
        start, depth = self._at, 0
        while self._at < len(self._pattern):
            one = self._pattern[self._at]
            self._at += 1
            if one == "\\":
                self._at += 1
            elif one == "[":
                depth += 1
                self._at += self._pattern.startswith("^", self._at)
                # A bracket closed at once stands for itself.
                self._at += self._pattern.startswith("]", self._at)
            elif one == "]":
                depth -= 1
                if not depth:
                    break
        return self._pattern[start : self._at]

    def _refused(self, part: str) -> NotCheckableError:
        return NotCheckableError(f"{part!r} in the pattern {self._pattern!r} has no exact counterpart")


@lru_cache(maxsize=1)
def _every_character() -> pl.Series:
    return pl.Series([chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000])


@lru_cache(maxsize=256)
def _one_of(atom: str, flags: str) -> str:
    """The code points that `atom` matches in the kernel, as a class."""
    try:
        matching = _every_character().str.contains(rf"\A(?{flags}:{atom})\z").arg_true().to_list()
    except pl.exceptions.PolarsError:
        raise NotCheckableError(f"{atom!r} in a pattern has no exact counterpart") from None
    points = [index if index < 0xD800 else index + 0x800 for index in matching]
    if len(points) == 1:
        return _point(points[0])
    if not points:
        return "[^\\x{0}-\\x{10FFFF}]"
    runs: list[list[int]] = []
    for point in points:
        if runs and runs[-1][1] == point - 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return "[" + "".join(_point(low) + (f"-{_point(high)}" if high > low else "") for low, high in runs) + "]"


def _point(point: int) -> str:
    one = chr(point)
    return one if one.isascii() and one.isalnum() else f"\\x{{{point:X}}}"

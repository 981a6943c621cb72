"""YAML text -> plain data that still knows where each value stood.

Reads YAML 1.2 scalars, not 1.1: `NO` is a text, `14:30` is a text and not 870 minutes, a date stays the text it is.
Duplicate keys are problems, because the second silently wins in every YAML library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from tapehouse.errors import Problem

Path = tuple[str | int, ...]

MAX_NODES = 200_000
"""Values a contract may hold once its aliases are written out: bounds what a few lines of YAML can unfold to."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

_SYNTAX_GUESSES = (
    ("tab character", "indent with spaces, not with tabs"),
    ("cannot start any token", "a tab? indent with spaces. A value that starts with @, ` or %? quote it"),
    ("mapping values are not allowed", "a value that holds ': ' has to be quoted; or is the indentation off?"),
    ("expected ',' or '}'", "a comma or closing brace is missing"),
    ("expected ',' or ']'", "a comma or closing bracket is missing"),
    ("expected <block end>", "is the indentation off, or does a list item lack its dash?"),
    ("could not find expected ':'", "a colon is missing after a key, or a text with a line break lacks its quotes"),
    ("unexpected end of stream", "a quote or bracket is not closed"),
    ("undefined alias", "an unquoted * means an alias: quote the text"),
)


@dataclass(slots=True)
class Positions:
    """Where things stand: for each path the value's and its key's (line, column), 1-based, and each text's source."""

    text: str
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    scalars: dict[Path, tuple[int, int, str]] = field(default_factory=dict)

    def at(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column of the value (or its key) at `path`, or of the nearest thing around it."""
        while path and path not in self.values:
            path = path[:-1]
        if key and path in self.keys:
            return self.keys[path]
        return self.values.get(path, (1, 1))

    def inside(self, path: Path, value: str, offset: int) -> tuple[int, int]:
        """Line and column of character `offset` of the text `value` at `path`, through quotes and folded lines."""
        if path not in self.scalars:
            return self.at(path)
        start, end, style = self.scalars[path]
        if style in ("|", ">"):
            start = self.text.find("\n", start, end) + 1
        elif style:
            start += 1
        at = start
        for position, wanted in enumerate(value[: offset + 1]):
            if wanted.isspace():
                continue
            found = self.text.find(wanted, at, end)
            if found < 0:
                break
            at = found if position == offset else found + 1
        line_start = self.text.rfind("\n", 0, at) + 1
        return self.text.count("\n", 0, at) + 1, at - line_start + 1


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML file: plain data (None where nothing could be read), positions, and what was wrong with it."""

    data: Any
    positions: Positions
    problems: tuple[Problem, ...]


def parse_yaml(text: str, file: str) -> Document:
    """Reads `text`; never raises. `file` is named in problems."""
    positions = Positions(text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        return Document(None, positions, (_syntax_problem(error, file, text),))
    builder = _Builder(positions, file)
    data = builder.build(node, ()) if node is not None else None
    return Document(data, positions, tuple(builder.problems))


def _syntax_problem(error: yaml.YAMLError, file: str, text: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error)
    guess = next((hint for sign, hint in _SYNTAX_GUESSES if sign in what), "")
    if isinstance(error, yaml.reader.ReaderError):
        what, guess = f"unreadable character at position {error.position}", "save the file as UTF-8 text"
        line = text.count("\n", 0, error.position) + 1
        return Problem(f"not YAML: {what}", "", file, line, 1, guess=guess)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return Problem(f"not YAML: {what}", "", file, line, column, guess=guess)


class _Builder:
    """Turns nodes into data, noting positions. Texts stay texts unless they are plain YAML 1.2 scalars."""

    def __init__(self, positions: Positions, file: str) -> None:
        self._positions = positions
        self._file = file
        self._open: set[int] = set()
        self._count = 0
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        mark = node.start_mark
        self._positions.values[path] = (mark.line + 1, mark.column + 1)
        if self._count > MAX_NODES or id(node) in self._open:
            if self._count <= MAX_NODES + 1:
                self._problem("aliases that unfold without end", path, node, allowed=f"at most {MAX_NODES} values")
            self._count += 1
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem("a key that is itself a list or mapping", path, key_node, allowed="a text")
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key == "<<" and not key_node.style:
                merged |= self._merge(value_node, path)
                continue
            if key in data:
                line = self._positions.keys[here][0]
                self._problem(
                    f"key {key!r} given twice", here, key_node, guess=f"the first is on line {line}: remove one of them"
                )
                continue
            self._positions.keys[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            data[key] = self.build(value_node, here)
        return merged | data

    def _merge(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in reversed(sources):
            built = self.build(source, path)
            if isinstance(built, dict):
                merged |= built
            else:
                self._problem("<< merges something that is no mapping", path, source, allowed="an alias of a mapping")
        return merged

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text: str = node.value
        style = node.style or ""
        if style or node.tag == "tag:yaml.org,2002:str":
            self._positions.scalars[path] = (node.start_mark.index, node.end_mark.index, style)
            if style or not _FLOAT.fullmatch(text):
                return text
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text) and len(text) < 40:
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        self._positions.scalars[path] = (node.start_mark.index, node.end_mark.index, style)
        return text

    def _problem(self, message: str, path: Path, node: yaml.Node, *, allowed: str = "", guess: str = "") -> None:
        mark = node.start_mark
        where = dotted(path)
        self.problems.append(
            Problem(message, where, self._file, mark.line + 1, mark.column + 1, allowed=allowed, guess=guess)
        )


def dotted(path: Path) -> str:
    """A path as people write it: `schema[0].properties[4].name`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text

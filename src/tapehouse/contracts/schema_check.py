"""JSON Schema errors in the words of an author: what is wrong, what is allowed, and the likely slip.

The validator is `jsonschema_rs` (Rust): it compiles and applies the official ODCS schema, with its unevaluated
properties, in a few milliseconds, and tells each error's facts as data.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from tapehouse.contracts.positions import Path
from tapehouse.contracts.suggest import did_you_mean

_TYPE_NAMES = {"object": "a mapping", "array": "a list", "string": "a text", "null": "nothing"}
_NUMERIC_TEXT = re.compile(r"-?\d+(\.\d+)?%?")


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation: `path` is relative to the checked instance; `key` tells that the key, not its value, is at fault."""

    path: Path
    message: str
    allowed: str = ""
    guess: str = ""
    value: object = None
    key: bool = False


class SchemaCheck:
    """A compiled JSON Schema (draft 2019-09)."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._validator = jsonschema_rs.Draft201909Validator(dict(schema))

    def findings(self, instance: Any) -> list[Finding]:
        """All violations, each once, in the order of the document."""
        found: dict[tuple[Path, str], Finding] = {}
        for error in self._validator.iter_errors(instance):
            for finding in self._explain(error):
                found.setdefault((finding.path, finding.message), finding)
        return list(found.values())

    def _explain(self, error: Any) -> Iterator[Finding]:
        path: Path = tuple(error.instance_path)
        facts = error.kind.as_dict()
        name = error.kind.name
        if name in ("unevaluatedProperties", "additionalProperties"):
            yield from self._unexpected(error, path, facts["unexpected"])
        elif name in ("oneOf", "anyOf") and facts.get("context"):
            yield from self._best_branch(error, path, facts["context"])
        else:
            yield _plain(name, facts, path, error, self._resolve(error.schema_path[:-1]))

    def _unexpected(self, error: Any, path: Path, names: list[str]) -> Iterator[Finding]:
        known = sorted(set(self._known(self._resolve(error.schema_path[:-1]), set())))
        for name in names:
            if error.kind.name == "unevaluatedProperties" and name in known:
                continue  # another error made the standard's schema forget that it knows this one
            guess = did_you_mean(name, known)
            yield Finding((*path, name), f"unknown field {name!r}", ", ".join(known), guess, key=True)

    def _best_branch(self, error: Any, path: Path, branches: list[list[Any]]) -> Iterator[Finding]:
        """Errors of the alternative the author most likely meant: right type first, then the deepest agreement."""

        def badness(branch: list[Any]) -> tuple[int, int]:
            wrong_type = any(e.kind.name in ("type", "const") and tuple(e.instance_path) == path for e in branch)
            wrong_tag = any(e.kind.name == "const" for e in branch)
            return (2 * wrong_type + wrong_tag, len(branch))

        best = min((branch for branch in branches if branch), key=badness, default=[])
        if not best or badness(best)[0] >= 2:
            kinds = [str(kind) for branch in branches for e in branch for kind in _wanted(e, path)]
            yield Finding(
                path,
                f"{_shown(error.instance)} fits none of the alternatives",
                " or ".join(dict.fromkeys(kinds)),
                slip(error.instance, kinds),
                error.instance,
            )
            return
        for inner in best:
            yield from self._explain(inner)

    def _resolve(self, schema_path: list[Any]) -> Any:
        node: Any = self._schema
        for step in schema_path:
            node = node[int(step)] if isinstance(node, list) else node.get(step, {})
        return node

    def _known(self, node: Any, seen: set[int]) -> Iterator[str]:
        """Names of all properties a schema node mentions, through references and alternatives."""
        if not isinstance(node, Mapping) or id(node) in seen:
            return
        seen.add(id(node))
        yield from node.get("properties", {})
        if str(node.get("$ref", "")).startswith("#/"):
            yield from self._known(self._resolve(node["$ref"][2:].split("/")), seen)
        for word in ("allOf", "anyOf", "oneOf"):
            for branch in node.get(word, ()):
                yield from self._known(branch, seen)
        for word in ("then", "else"):
            yield from self._known(node.get(word), seen)


_DURATION_PATTERN = "ns|us|ms"
_DURATION = "a duration such as 250ms, 30s, 5m, 1h, 2d"


def _plain(name: str, facts: Mapping[str, Any], path: Path, error: Any, schema: Any) -> Finding:
    value = error.instance
    pattern = str(schema.get("pattern", "")) if isinstance(schema, Mapping) else ""
    if _DURATION_PATTERN in pattern and name in ("type", "pattern"):
        return Finding(path, f"{_shown(value)} is not a duration", _DURATION, _duration_slip(value), value)
    if name == "required":
        return Finding(path, f"{facts['property']!r} is missing", key=bool(path))
    if name == "type":
        types = [str(kind) for kind in facts["types"]]
        wanted = " or ".join(_TYPE_NAMES.get(kind, f"a {kind}") for kind in types).replace(
            "a integer", "a whole number"
        )
        return Finding(path, f"{_shown(value)} is not {wanted}", wanted, slip(value, types), value)
    if name in ("enum", "const"):
        options = facts["options"] if name == "enum" else [facts["expected_value"]]
        guess = did_you_mean(str(value), [str(option) for option in options])
        return Finding(path, f"{_shown(value)} is not allowed here", ", ".join(map(str, options)), guess, value)
    if name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        bound = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
        guess = "a share is written 0.05 for 5 %" if name == "maximum" and facts["limit"] == 1 else ""
        return Finding(path, f"{_shown(value)} is out of range", f"{bound[name]} {facts['limit']}", guess, value)
    if name == "pattern":
        form = schema.get("description") or f"text of the form {facts['pattern']}"
        return Finding(path, f"{_shown(value)} has the wrong form", form, slip(value, ()), value)
    return Finding(path, error.message, "", slip(value, ()), value)


def _duration_slip(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"did you mean {value}s?"
    return "a trailing comma?" if isinstance(value, str) and value.endswith(",") else ""


def _wanted(error: Any, path: Path) -> list[str]:
    """What one alternative would have accepted at `path`."""
    if tuple(error.instance_path) != path:
        return []
    facts = error.kind.as_dict()
    if error.kind.name == "type":
        return [_TYPE_NAMES.get(str(kind), str(kind)) for kind in facts["types"]]
    return [repr(facts["expected_value"])] if error.kind.name == "const" else []


def slip(value: object, wanted: Collection[str]) -> str:
    """The likely slip behind a value of the wrong type, or nothing."""
    if value is None:
        return "the value is missing: is what follows indented less than it should be?"
    if isinstance(value, str):
        return _text_slip(value, wanted)
    if "string" in wanted and isinstance(value, int | float) and not isinstance(value, bool):
        return f'quote it: "{value}"'
    if "array" in wanted or "a list" in wanted:
        return "write it as a list: [...], or lines that start with a dash"
    if "boolean" in wanted:
        return "write true or false"
    return ""


def _text_slip(value: str, wanted: Collection[str]) -> str:
    stripped = value.strip()
    if stripped.endswith(",") and (_NUMERIC_TEXT.fullmatch(stripped[:-1]) or "string" not in wanted):
        return "a trailing comma?"
    if {"number", "integer"} & set(wanted) and _NUMERIC_TEXT.fullmatch(stripped):
        if stripped.endswith("%"):
            return f"write the share: {float(stripped[:-1]) / 100:g}"
        return "did you quote a number? remove the quotes"
    if "boolean" in wanted and stripped.lower() in ("true", "false", "yes", "no", "on", "off", "y", "n"):
        return f"write {str(stripped.lower() in ('true', 'yes', 'on', 'y')).lower()} without quotes"
    if "array" in wanted or "a list" in wanted:
        return f"write it as a list: [{stripped}]"
    return ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

"""Two templates side by side: which resources came, went or changed, and at which paths."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Template = Mapping[str, Any]
# Not part of what a resource is.
_IGNORED = ("Metadata", "DependsOn", "Condition")


@dataclass(frozen=True, slots=True)
class Edit:
    """A value that differs, at the path of keys below a resource (`Properties.Tags.0.Value`). None is absence."""

    path: tuple[str, ...]
    before: Any
    after: Any

    @property
    def within(self) -> tuple[str, ...]:
        """The path within the properties; empty for an attribute of the resource such as DeletionPolicy."""
        return self.path[1:] if self.path[0] == "Properties" else ()

    @property
    def text(self) -> str:
        return ".".join(self.within or self.path)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource before and after; an empty body where it is not there. `edits` are empty when it came or went."""

    id: str
    type: str
    before: Template
    after: Template
    edits: tuple[Edit, ...] = ()
    type_before: str = ""

    @property
    def action(self) -> str:
        if not self.before:
            return "add"
        return "modify" if self.after else "remove"

    def old(self, *path: str) -> Any:
        """A property as it was; None where it was not."""
        return at(self.before.get("Properties") or {}, path)

    def new(self, *path: str) -> Any:
        """A property as it will be; None where it will not be."""
        return at(self.after.get("Properties") or {}, path)


def at(value: Any, path: tuple[str, ...]) -> Any:
    """What lies at a path of keys; None where there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def resources(before: Template, after: Template) -> list[Resource]:
    """Those that differ, by logical id. References to parameters count as the parameters' defaults."""
    old, new = _resolved(before), _resolved(after)
    found = []
    for name in sorted(old.keys() | new.keys()):
        was, will = old.get(name, {}), new.get(name, {})
        edits = tuple(_edits(was, will)) if was and will else ()
        if edits or not was or not will:
            kind = str((will or was).get("Type", ""))
            found.append(Resource(name, kind, was, will, edits, str(was.get("Type", kind))))
    return found


def _resolved(template: Template) -> dict[str, Template]:
    parameters = template.get("Parameters") or {}
    defaults = {name: one["Default"] for name, one in parameters.items() if "Default" in one}
    bodies = {name: _fill(body, defaults) for name, body in (template.get("Resources") or {}).items()}
    return {name: body for name, body in bodies.items() if body.get("Type") != "AWS::CDK::Metadata"}


def _fill(value: Any, defaults: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {"Ref"} and value["Ref"] in defaults:
            return defaults[value["Ref"]]
        return {key: _fill(item, defaults) for key, item in value.items()}
    return [_fill(item, defaults) for item in value] if isinstance(value, list) else value


def _edits(before: Template, after: Template) -> Iterator[Edit]:
    for key in sorted(before.keys() | after.keys()):
        if key not in _IGNORED:
            yield from _differences((key,), before.get(key), after.get(key))


def _differences(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Edit]:
    """The deepest objects that differ; lists as wholes, for their items have no names."""
    if _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not _function(before) and not _function(after):
        for key in sorted(before.keys() | after.keys()):
            yield from _differences((*path, key), before.get(key), after.get(key))
    else:
        yield Edit(path, before, after)


def _function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))


def _same(before: Any, after: Any) -> bool:
    """Whether CloudFormation takes them for the same: it does not tell 5 from "5", nor true from "true"."""
    return canonical(before) == canonical(after)


def canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def number(value: Any) -> float | None:
    """A number, also where a template writes it as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None

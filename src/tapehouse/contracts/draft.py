"""A contract on its way from YAML to `Contract`: the data, where each value stands, and every problem found so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tapehouse.contracts.expr_lex import ExpressionError
from tapehouse.contracts.positions import Document, Path, dotted
from tapehouse.contracts.schema_check import Finding
from tapehouse.contracts.suggest import did_you_mean
from tapehouse.contracts.vocabulary import PREFIX, odcs_check, property_check, property_names
from tapehouse.errors import Problem

MAX_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Custom:
    """Value of one custom property that its schema accepts, and its place."""

    value: Any
    path: Path


@dataclass(slots=True)
class Draft:
    """Collects problems instead of raising.

    `broken_names` are declared columns, calendars and reference tables that could not be typed: what refers to them is
    not blamed. `roles_uncertain`: a role could not be read, so that none can be said to be missing.
    """

    file: str
    document: Document
    problems: list[Problem] = field(default_factory=list)
    broken_names: set[str] = field(default_factory=set)
    roles_uncertain: bool = False
    _faulty: set[Path] = field(default_factory=set)

    def problem(
        self, path: Path, message: str, *, value: object = None, allowed: str = "", guess: str = "", key: bool = False
    ) -> None:
        """Notes a problem at `path` (`key`: at its key instead of its value)."""
        line, column = self.document.positions.at(path, key=key)
        self._add(Problem(message, dotted(path), self.file, line, column, value, allowed, guess), path)

    def expression_problem(self, path: Path, text: str, error: ExpressionError) -> None:
        """Notes an error inside the expression `text` at `path`, pointing at the words at fault."""
        line, column = self.document.positions.inside(path, text, error.offset)
        shown = text[error.offset : error.offset + error.length] or text
        self._add(
            Problem(error.message, dotted(path), self.file, line, column, shown, error.allowed, error.guess), path
        )

    def findings(self, path: Path, found: Iterable[Finding]) -> None:
        """Notes schema violations of the value at `path`."""
        for finding in found:
            self.problem(
                (*path, *finding.path),
                finding.message,
                value=finding.value,
                allowed=finding.allowed,
                guess=finding.guess,
                key=finding.key,
            )

    def _add(self, problem: Problem, path: Path) -> None:
        self._faulty.add(path)
        if len(self.problems) < MAX_PROBLEMS and problem not in self.problems:
            self.problems.append(problem)

    def sound(self, path: Path) -> bool:
        """Whether no problem was found at or below `path`."""
        return not any(faulty[: len(path)] == path for faulty in self._faulty)

    # ---- reading the data, whatever shape it has -----------------------------------------------------------------

    def check_standard(self) -> None:
        """Checks the data against the official ODCS schema."""
        self.findings((), odcs_check().findings(self.document.data))

    def custom(self, owner: Any, path: Path, level: str) -> dict[str, Custom]:
        """Custom properties of `owner` (the mapping at `path`) by name; wrong ones are noted and left out."""
        found: dict[str, Custom] = {}
        for index, entry in enumerate(items(owner, "customProperties")):
            here = (*path, "customProperties", index)
            name = text(entry, "property")
            if name is None or "value" not in entry:
                continue  # the standard's schema has complained
            if not self._known(name, (*here, "property"), level):
                continue
            if name in found:
                self.problem((*here, "property"), f"{name} given twice", value=name, guess="remove one of them")
                continue
            place = (*here, "value")
            self.findings(place, property_check(name).findings(entry["value"]))
            if self.sound(place):
                found[name] = Custom(entry["value"], place)
            elif isinstance(entry["value"], dict):
                self.broken_names.update(entry["value"])
        return found

    def _known(self, name: str, path: Path, level: str) -> bool:
        if name in property_names(level):
            return True
        prefix, dot, _ = name.partition(".")
        if not name.startswith(PREFIX) and not (dot and did_you_mean(prefix, [PREFIX[:-1]])):
            return False  # somebody else's property
        if name in property_names():
            owner = next(level for level in ("contract", "table", "property") if name in property_names(level))
            where = {"contract": "the contract itself", "table": "the schema's table", "property": "a property"}[owner]
            self.problem(path, f"{name} does not belong here", value=name, allowed=f"on {where}")
        else:
            guess = did_you_mean(name, property_names())
            self.problem(
                path, f"unknown property {name!r}", value=name, allowed=", ".join(property_names(level)), guess=guess
            )
        return False

    def excused(self, message: str) -> bool:
        """Whether `message` blames a name or role that only an earlier problem took away."""
        if "the role" in message and (self.roles_uncertain or self.broken_names):
            return True
        return any(f"{name!r}" in message for name in self.broken_names)

    def check_columns(self, names: Iterable[str], path: Path, known: Iterable[str]) -> None:
        """Notes each of `names` (the list at `path`) that is not one of the columns `known`."""
        choices = [*known]
        for index, name in enumerate(names):
            if name not in choices and name not in self.broken_names:
                guess = did_you_mean(name, choices)
                self.problem((*path, index), f"no column {name!r}", value=name, allowed=", ".join(choices), guess=guess)


def items(owner: Any, key: str) -> list[dict[str, Any]]:
    """The list of mappings under `key`; what is no mapping becomes an empty one, so that indices stay right."""
    value = owner.get(key) if isinstance(owner, dict) else None
    return [item if isinstance(item, dict) else {} for item in value] if isinstance(value, list) else []


def text(owner: Any, key: str) -> str | None:
    """The text under `key`, or None where there is none."""
    value = owner.get(key) if isinstance(owner, dict) else None
    return value if isinstance(value, str) else None

"""What a kind of rule is: typed parameters, and a function that turns them into a tree of the rule language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse.contracts.expr import Expr
from tapehouse.contracts.model import Calendar, Column, ReferenceTable, Role


@dataclass(frozen=True, slots=True)
class RuleScope:
    """What a rule may refer to: the contract's columns, calendars and reference tables, known before its rules are."""

    columns: Mapping[str, Column]
    calendars: Mapping[str, Calendar]
    references: Mapping[str, ReferenceTable]

    def role(self, role: Role) -> Column | None:
        """The column that plays `role`, if any."""
        return next((column for column in self.columns.values() if column.role == role), None)


@dataclass(frozen=True, slots=True)
class Built:
    """A rule's meaning. `broken` None marks a batch rule (its params are judged against totals and history)."""

    broken: Expr | None
    observed: Expr | None = None
    bound: Expr | str = ""


class RuleParameterError(ValueError):
    """A parameter has the right JSON type but makes no sense here (unknown column, wrong unit, empty range).

    `parameter` is the key at fault; `allowed` and `guess` help the author.
    """

    def __init__(self, parameter: str, message: str, *, allowed: str = "", guess: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter
        self.allowed = allowed
        self.guess = guess


@dataclass(frozen=True, slots=True)
class RuleKind:
    """A kind of rule, found by `name` in a contract's `implementation.rule`.

    `schema` is the JSON Schema (object) of the other keys of `implementation`; it drives validation, error messages
    and the generated contract reference. `column` is the property the rule is declared on, or None at table level.
    Plug-ins register a RuleKind under the `tapehouse.rules` entry-point group.
    """

    name: str
    title: str
    schema: Mapping[str, Any]
    build: Callable[[RuleScope, Column | None, Mapping[str, Any]], Built]
    example: str = ""

"""Rules of a contract: those it declares, those ODCS marks imply (`required`, library metrics), each as a typed rule.

Implied rules have codes of their own (`price_missing`, `price_invalid`); a declared rule that says the same replaces
them, whatever its code, so that a fault is never reported twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse.contracts.draft import Draft, items, text
from tapehouse.contracts.expr import All, AnyOf, Col, Expr, IsNull, Not, ParseFailed
from tapehouse.contracts.expr_lex import ExpressionError
from tapehouse.contracts.expr_types import type_of
from tapehouse.contracts.library_rules import Implied, library_rule
from tapehouse.contracts.model import BatchRule, Column, Grammar, Kind, RowRule, Severity
from tapehouse.contracts.positions import Path
from tapehouse.contracts.rules.base import RuleKind, RuleParameterError, RuleScope
from tapehouse.contracts.schema_check import SchemaCheck
from tapehouse.contracts.suggest import did_you_mean
from tapehouse.contracts.vocabulary import implementation_schema

MAX_ROW_RULES = 62
"""Row rules of one contract: each is one bit of a 64-bit verdict, of which two are kept for the kernel."""

ENGINE = "tapehouse"
_CODE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED = "malformed_"
_SEVERITIES = {"error": Severity.REJECT, "warning": Severity.WARN}
_SEVERITY_SLIPS = {"warn": "warning", "info": "warning", "reject": "error", "critical": "error", "fatal": "error"}

# Grammars that accept whatever the file holds.
_INFALLIBLE = (Grammar.TEXT,)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a contract checks: rows one by one, and whole batches."""

    rows: tuple[RowRule, ...] = ()
    batches: tuple[BatchRule, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One rule to build: where it stands, on which column, and its implementation."""

    code: str
    path: Path
    column: Column | None
    kind: str
    params: Mapping[str, Any]
    severity: Severity = Severity.REJECT
    budget: float | None = None
    description: str = ""


class RuleBuilder:
    """Builds the rules of one contract. `kinds` are the known kinds of rule by name."""

    def __init__(self, draft: Draft, scope: RuleScope, kinds: Mapping[str, RuleKind], feed_format: str) -> None:
        self._draft = draft
        self._scope = scope
        self._kinds = kinds
        self._binary = feed_format == "dbn"  # fields are machine numbers: nothing to misread
        self._checks: dict[str, SchemaCheck] = {}
        self._codes: dict[str, int] = {}
        self._failed: set[str] = set()

    def build(self, table: Any, path: Path) -> Rules:
        """All rules, in the order of columns; per column implied ones first; rules of the table last."""
        declared: dict[str | None, list[RowRule | BatchRule]] = {}
        for index, raw in enumerate(items(table, "properties")):
            name = text(raw, "name") or ""
            column = self._scope.columns.get(name)
            found = declared.setdefault(name, [])
            for entry in self._entries(raw, (*path, "properties", index), column):
                if column is not None or name not in self._draft.broken_names:
                    found += self._built(entry)
        declared[None] = [rule for entry in self._entries(table, path, None) for rule in self._built(entry)]
        covered = {fault for rules in declared.values() for rule in rules for fault in _covers(rule)}
        ordered: list[RowRule | BatchRule] = []
        for index, raw in enumerate(items(table, "properties")):
            name = text(raw, "name") or ""
            column = self._scope.columns.get(name)
            if column is not None:
                ordered += self._implied(column, raw, covered, (*path, "properties", index))
            ordered += declared.pop(name, [])
        ordered += declared[None]
        return self._counted(ordered, path)

    def _counted(self, rules: list[RowRule | BatchRule], path: Path) -> Rules:
        rows = tuple(rule for rule in rules if isinstance(rule, RowRule))
        if len(rows) > MAX_ROW_RULES:
            implied = sum(rule.code.endswith(("_missing", "_invalid")) for rule in rows)
            guess = f"{implied} of them come from `required` and parsing: drop `required` where absence does no harm"
            self._draft.problem(path, f"{len(rows)} row rules", allowed=f"at most {MAX_ROW_RULES}", guess=guess)
        return Rules(rows, tuple(rule for rule in rules if isinstance(rule, BatchRule)))

    # ---- what the contract says ----------------------------------------------------------------------------------

    def _entries(self, owner: Any, path: Path, column: Column | None) -> Iterator[_Entry]:
        for index, raw in enumerate(items(owner, "quality")):
            here = (*path, "quality", index)
            implied = library_rule(raw, column)
            if implied is not None:
                entry = self._library_entry(raw, here, column, implied)
            elif raw.get("type") == "custom" and raw.get("engine") == ENGINE:
                entry = self._custom_entry(raw, here, column)
            else:
                continue  # text, SQL or another engine's: not ours to enforce, `lint` says so
            if entry is not None and self._claim(entry.code, (*here, "name")):
                yield entry

    def _library_entry(self, raw: Any, path: Path, column: Column | None, implied: Implied) -> _Entry | None:
        severity = self._severity(raw, path)
        code = text(raw, "name") or implied.code
        if not self._good_code(code, (*path, "name")):
            return None
        return _Entry(code, path, column, implied.kind, implied.params, severity, None, _sentence(raw))

    def _custom_entry(self, raw: Any, path: Path, column: Column | None) -> _Entry | None:
        code = text(raw, "name")
        if code is None:
            self._draft.problem(path, "a rule without name", allowed="name: a code such as price_not_positive")
            return None
        severity = self._severity(raw, path)
        implementation = raw.get("implementation")
        self._failed.add(code)
        if not self._good_code(code, (*path, "name")) or not isinstance(implementation, dict):
            if isinstance(implementation, str):
                allowed = "a mapping: {rule: ..., ...}"
                self._draft.problem((*path, "implementation"), "a text", value=implementation, allowed=allowed)
            return None
        kind = self._kind(implementation, (*path, "implementation"))
        if kind is None:
            return None
        self._failed.discard(code)
        params = {key: value for key, value in implementation.items() if key not in ("rule", "budget")}
        return _Entry(code, path, column, kind, params, severity, implementation.get("budget"), _sentence(raw))

    def _kind(self, implementation: Mapping[str, Any], path: Path) -> str | None:
        """Name of the rule's kind, if its parameters have the right shape."""
        name = implementation.get("rule")
        names = ", ".join(sorted(self._kinds))
        if name is None:
            near = next((key for key in implementation if did_you_mean(key, ["rule", "kind", "type"])), "")
            guess = f"did you mean `rule` instead of {near!r}?" if near else ""
            self._draft.problem(path, "'rule' is missing", allowed=names, guess=guess)
            return None
        if name not in self._kinds:
            guess = did_you_mean(str(name), self._kinds)
            self._draft.problem((*path, "rule"), f"no kind of rule {name!r}", value=name, allowed=names, guess=guess)
            return None
        if name not in self._checks:
            self._checks[name] = SchemaCheck(implementation_schema(self._kinds[name]))
        self._draft.findings(path, self._checks[name].findings(dict(implementation)))
        return str(name) if self._draft.sound(path) else None

    def _severity(self, raw: Mapping[str, Any], path: Path) -> Severity:
        stated = raw.get("severity", "error")
        if stated not in _SEVERITIES:
            near = _SEVERITY_SLIPS.get(str(stated).lower(), "")
            guess = f"did you mean {near!r}?" if near else did_you_mean(str(stated), _SEVERITIES)
            allowed = "error (the row is quarantined), warning (it is kept and flagged)"
            self._draft.problem((*path, "severity"), f"severity {stated!r}", value=stated, allowed=allowed, guess=guess)
        return _SEVERITIES.get(str(stated), Severity.REJECT)

    def _good_code(self, code: str, path: Path) -> bool:
        if not _CODE.fullmatch(code):
            guess = re.sub(r"[^a-z0-9]+", "_", code.lower()).strip("_")
            allowed = "lower-case letters, digits and _, first a letter, at most 63"
            self._draft.problem(path, f"rule code {code!r}", value=code, allowed=allowed, guess=f"write {guess}")
            return False
        if code.startswith(_RESERVED):
            self._draft.problem(path, f"{_RESERVED}* codes are the feeds' own", value=code, allowed="another name")
            return False
        return True

    def _claim(self, code: str, path: Path) -> bool:
        line = self._draft.document.positions.at(path)[0]
        if code in self._codes:
            guess = f"the first is on line {self._codes[code]}"
            self._draft.problem(path, f"two rules with the code {code!r}", value=code, guess=guess)
            return False
        self._codes[code] = line
        return True

    # ---- what the marks imply ------------------------------------------------------------------------------------

    def _implied(
        self, column: Column, raw: Any, covered: set[tuple[str, str]], path: Path
    ) -> Iterator[RowRule | BatchRule]:
        wanted: list[tuple[str, str]] = []
        if column.required and ("missing", column.name) not in covered:
            wanted.append(("missing", "required"))
        fallible = column.grammar not in _INFALLIBLE and not self._binary
        if fallible and ("invalid", column.name) not in covered:
            wanted.append(("invalid", "valid"))
        if raw.get("unique") is True:
            wanted.append(("not_unique", "unique"))
        for suffix, kind in wanted:
            code = f"{column.name.lower()}_{suffix}"
            if code in self._failed or kind not in self._kinds:
                continue
            if self._claim(code, path):
                yield from self._built(_Entry(code, path, column, kind, {}))

    # ---- building ------------------------------------------------------------------------------------------------

    def _built(self, entry: _Entry) -> list[RowRule | BatchRule]:
        """The rule, or nothing where its parameters make no sense."""
        try:
            built = self._kinds[entry.kind].build(self._scope, entry.column, entry.params)
        except (RuleParameterError, ExpressionError) as error:
            self._refused(entry, error)
            return []
        line = self._draft.document.positions.at(entry.path)[0]
        if built.broken is None:
            return [BatchRule(entry.code, entry.kind, dict(entry.params), entry.severity, entry.description, line)]
        if type_of(built.broken, self._scope).kind != Kind.BOOLEAN:
            self._draft.problem(entry.path, "the rule's expression is no condition", guess="compare it with something")
            return []
        return [
            RowRule(
                code=entry.code,
                kind=entry.kind,
                broken=built.broken,
                severity=entry.severity,
                observed=built.observed,
                bound=built.bound,
                columns=built.broken.columns(),
                budget=entry.budget,
                description=entry.description,
                line=line,
            )
        ]

    def _refused(self, entry: _Entry, error: RuleParameterError | ExpressionError) -> None:
        self._failed.add(entry.code)
        place = (*entry.path, "implementation")
        cause = error if isinstance(error, ExpressionError) else error.__cause__
        if isinstance(cause, ExpressionError):
            key = next((key for key, value in entry.params.items() if value == cause.text), "")
            if not self._draft.excused(cause.message):
                self._draft.expression_problem((*place, key) if key else place, cause.text, cause)
            return
        assert isinstance(error, RuleParameterError)  # noqa: S101 - the other class was handled above
        if self._draft.excused(str(error)):
            return
        steps = tuple(step for step in error.parameter.split(".") if step)
        value: Any = entry.params
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        self._draft.problem((*place, *steps), str(error), value=value, allowed=error.allowed, guess=error.guess)


def _sentence(raw: Mapping[str, Any]) -> str:
    return " ".join((text(raw, "description") or "").split())


def _covers(rule: RowRule | BatchRule) -> Iterator[tuple[str, str]]:
    """Faults (missing or invalid, column) that a declared rejecting rule reports, so that none need be implied."""
    if not isinstance(rule, RowRule) or rule.severity != Severity.REJECT:
        return
    parts = rule.broken.operands if isinstance(rule.broken, AnyOf) else (rule.broken,)
    for part in parts:
        if isinstance(part, ParseFailed):
            yield "invalid", part.name
        name = _absent(part)
        if name:
            yield "missing", name


def _absent(part: Expr) -> str:
    """Name of the column whose absence `part` tests, with or without leaving unreadable values to another rule."""
    if isinstance(part, All) and len(part.operands) == 2:
        first, second = part.operands
        if isinstance(second, Not) and isinstance(second.operand, ParseFailed):
            part = first
    if isinstance(part, IsNull) and isinstance(part.operand, Col):
        return part.operand.name
    return ""

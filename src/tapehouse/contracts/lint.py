"""Risks and omissions of a contract that loads: nothing here is an error, each has a stable code and a way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapehouse.contracts.build_rules import ENGINE
from tapehouse.contracts.draft import Draft, items, text
from tapehouse.contracts.library_rules import library_rule
from tapehouse.contracts.load import draft_of, loads
from tapehouse.contracts.model import Contract, Kind, Role, Severity
from tapehouse.contracts.positions import Path as Place
from tapehouse.contracts.positions import dotted
from tapehouse.contracts.units import Unit

CODES = {
    "no_owner": "nobody is named who answers when a budget breaks",
    "no_description": "the contract does not say what the data is for",
    "undescribed_columns": "columns without description",
    "no_key_statement": "neither a key nor the statement that none is wanted",
    "key_order_open": "which of several equal rows is kept depends on the order of arrival",
    "no_budget": "no share of rejected rows stops a run",
    "no_rules": "nothing is checked beyond parsing",
    "warn_only": "no declared rule rejects a row",
    "no_retention": "nothing says how long rows are kept",
    "no_lateness_rule": "event and receive time are there, but no rule bounds the time between them",
    "no_measure": "no column's sum is part of the conservation proof",
    "no_unit": "a number without unit: rules cannot be checked against comparing a price with a size",
    "no_currency": "a price or amount without currency",
    "inexact_price": "a price or amount held as a double",
    "rule_not_enforced": "a quality rule that Tapehouse does not enforce",
    "option_not_enforced": "ODCS logicalTypeOptions are documentation only: write a rule",
    "misplaced_setting": "a custom property that looks like one of Tapehouse's without its prefix",
}
"""Every finding's code and meaning."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: where (dotted path, 1-based line), what, and the way out. `code` is one of CODES."""

    code: str
    message: str
    fix: str
    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.line}: {self.code}: {self.path + ': ' if self.path else ''}{self.message}\n  fix: {self.fix}"


def lint(path: Path | str) -> list[Finding]:
    """Findings of the contract in file `path`, in the file's order. Raises ContractError where it does not load."""
    return lint_text(Path(path).read_text("utf-8-sig"), str(path))


def lint_text(content: str, source: str = "<text>") -> list[Finding]:
    """Findings of the contract in YAML text `content`. Raises ContractError where it does not load."""
    contract = loads(content, source)
    draft = draft_of(content, source)
    judges = (_ownership, _identity, _rules, _retention, _numbers, _unenforced, _misplaced)
    found = [finding for judge in judges for finding in judge(contract, draft)]
    return sorted(found, key=lambda finding: (finding.line, finding.code))


def _finding(draft: Draft, code: str, place: Place, fix: str, message: str = "") -> Finding:
    return Finding(code, message or CODES[code], fix, dotted(place), draft.document.positions.at(place, key=True)[0])


_TABLE: Place = ("schema", 0)


def _columns(draft: Draft) -> list[dict[str, Any]]:
    return items(items(draft.document.data, "schema")[0], "properties")


def _ownership(contract: Contract, draft: Draft) -> Iterator[Finding]:
    if not contract.owner:
        yield _finding(draft, "no_owner", (), "add `team` with a name and a member whose role is owner")
    if not contract.description:
        yield _finding(draft, "no_description", (), "add description: {purpose: ...}")
    bare = [column.name for column in contract.columns if not column.description]
    if bare:
        message = f"{len(bare)} of {len(contract.columns)} columns without description: {', '.join(bare[:8])}"
        yield _finding(draft, "undescribed_columns", (*_TABLE, "properties"), "add `description` to them", message)


def _identity(contract: Contract, draft: Draft) -> Iterator[Finding]:
    stated = any(text(entry, "property") == "tapehouse.key" for entry in _table_customs(draft))
    if contract.key is None and not stated:
        fix = "add tapehouse.key with the identifying columns, or with the value none"
        yield _finding(draft, "no_key_statement", _TABLE, fix)
    if contract.key is not None and not contract.key.keep_first_by:
        yield _finding(draft, "key_order_open", _TABLE, "add keepFirstBy to tapehouse.key, e.g. [ts_recv]")


def _table_customs(draft: Draft) -> list[dict[str, Any]]:
    return items(items(draft.document.data, "schema")[0], "customProperties")


def _rules(contract: Contract, draft: Draft) -> Iterator[Finding]:
    declared = [rule for rule in contract.rules if not rule.code.endswith(("_missing", "_invalid"))]
    if contract.budget is None and all(rule.budget is None for rule in contract.rules):
        yield _finding(
            draft, "no_budget", (), "add tapehouse.budget, e.g. 0.05: a run with more rejects publishes nothing"
        )
    if not declared and not contract.batch_rules:
        yield _finding(draft, "no_rules", _TABLE, "add `quality` rules: docs/contract-reference.md lists the kinds")
    elif declared and all(rule.severity == Severity.WARN for rule in declared):
        yield _finding(draft, "warn_only", _TABLE, "give the rules that matter severity: error")
    times = contract.role(Role.EVENT_TIME) is not None and contract.role(Role.RECEIVE_TIME) is not None
    if times and not any(rule.kind == "lateness" for rule in contract.rules):
        yield _finding(draft, "no_lateness_rule", _TABLE, "add a rule {rule: lateness, max: 1h}")


def _retention(contract: Contract, draft: Draft) -> Iterator[Finding]:
    if contract.retention.curated_days is None:
        fix = "add a service level {property: retention, value: 7, unit: y}, or tapehouse.retention"
        yield _finding(draft, "no_retention", (), fix)


def _numbers(contract: Contract, draft: Draft) -> Iterator[Finding]:
    if not contract.measures:
        fix = "add tapehouse.measure: true to a size or an amount"
        yield _finding(draft, "no_measure", (*_TABLE, "properties"), fix)
    lines = {text(raw, "name"): index for index, raw in enumerate(_columns(draft))}
    for column in contract.columns:
        place = (*_TABLE, "properties", lines[column.name])
        if column.kind in (Kind.DECIMAL, Kind.DOUBLE) and column.unit == Unit.ANY:
            message = f"{column.name} has no unit"
            yield _finding(
                draft, "no_unit", place, "add tapehouse.unit: price, size, money, ratio, count, ...", message
            )
        if column.unit in (Unit.PRICE, Unit.MONEY):
            if not column.currency:
                yield _finding(
                    draft, "no_currency", place, "add tapehouse.currency: USD", f"{column.name} has no currency"
                )
            if column.kind == Kind.DOUBLE:
                fix = "add tapehouse.scale with its number of decimals"
                yield _finding(draft, "inexact_price", place, fix, f"{column.name} is a double")


def _unenforced(contract: Contract, draft: Draft) -> Iterator[Finding]:
    by_name = {column.name: column for column in contract.columns}
    table = items(draft.document.data, "schema")[0]
    yield from _quality(table, _TABLE, draft, None)
    for index, raw in enumerate(_columns(draft)):
        place = (*_TABLE, "properties", index)
        yield from _quality(raw, place, draft, by_name.get(text(raw, "name") or ""))
        options = raw.get("logicalTypeOptions")
        idle = sorted(set(options) - {"format"}) if isinstance(options, dict) else []
        if idle:
            message = f"{', '.join(idle)} of {text(raw, 'name')} are not enforced"
            fix = "write a rule of kind range, regex or set"
            yield _finding(draft, "option_not_enforced", (*place, "logicalTypeOptions"), fix, message)


def _quality(owner: Any, place: Place, draft: Draft, column: Any) -> Iterator[Finding]:
    for index, raw in enumerate(items(owner, "quality")):
        if raw.get("type") == "custom" and raw.get("engine") == ENGINE:
            continue
        if library_rule(raw, column) is not None:
            continue
        what = text(raw, "name") or text(raw, "metric") or text(raw, "type") or "a rule"
        kind = f"engine {raw['engine']}" if "engine" in raw else f"type {raw.get('type', 'library')}"
        fix = "write it as type: custom, engine: tapehouse, or leave it to the tool it is meant for"
        yield _finding(
            draft, "rule_not_enforced", (*place, "quality", index), fix, f"{what} ({kind}) is not enforced by a run"
        )


def _misplaced(contract: Contract, draft: Draft) -> Iterator[Finding]:
    del contract
    from tapehouse.contracts.vocabulary import PREFIX, property_names

    bare = {name.removeprefix(PREFIX) for name in property_names()}
    owners: Iterable[tuple[Any, Place]] = [
        (draft.document.data, ()),
        (items(draft.document.data, "schema")[0], _TABLE),
        *((raw, (*_TABLE, "properties", index)) for index, raw in enumerate(_columns(draft))),
    ]
    for owner, place in owners:
        for index, entry in enumerate(items(owner, "customProperties")):
            name = text(entry, "property") or ""
            if name in bare:
                at = (*place, "customProperties", index)
                message = f"{name!r} has no effect"
                yield _finding(draft, "misplaced_setting", at, f"write {PREFIX}{name}", message)

"""A contract in plain words: a dictionary for programs, a page of text for people."""

from __future__ import annotations

from typing import Any

from tapehouse.contracts.expr_print import unparse
from tapehouse.contracts.model import Calendar, Column, Contract, Kind, RowRule
from tapehouse.contracts.rules.base import RuleScope
from tapehouse.contracts.units import Unit

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def scope_of(contract: Contract) -> RuleScope:
    """What the contract's expressions refer to."""
    columns = {column.name: column for column in contract.columns}
    return RuleScope(columns, contract.calendars, contract.references)


def describe(contract: Contract) -> dict[str, Any]:
    """The contract as plain data that JSON can hold; what is empty or default is left out where it says nothing."""
    scope = scope_of(contract)
    key = contract.key
    return {
        "name": contract.name,
        "version": contract.version,
        "id": contract.id,
        "digest": contract.digest,
        "source": contract.source,
        "owner": contract.owner,
        "description": contract.description,
        "feed": {"format": contract.feed.format, "header": contract.feed.header, "path": contract.feed.path},
        "columns": [_column(column) for column in contract.columns],
        "key": None
        if key is None
        else {"columns": [*key.columns], "keep_first_by": [*key.keep_first_by], "window_days": key.window_days},
        "partition": {"by": contract.partitioning.by, "sort": [*contract.partitioning.sort]},
        "filter": None if contract.filter is None else unparse(contract.filter, scope),
        "rules": [_rule(rule, scope) for rule in contract.rules],
        "batch_rules": [
            {"code": rule.code, "kind": rule.kind, "severity": str(rule.severity), "params": dict(rule.params)}
            for rule in contract.batch_rules
        ],
        "budget": contract.budget,
        "derived": [{"name": item.name, "kind": item.kind, **item.params} for item in contract.derived],
        "calendars": {name: _calendar(calendar) for name, calendar in contract.calendars.items()},
        "references": {
            name: {"keys": [*table.keys], "columns": dict(table.columns), "path": table.path}
            for name, table in contract.references.items()
        },
        "retention": {
            "curated_days": contract.retention.curated_days,
            "quarantine_days": contract.retention.quarantine_days,
            "raw_days": contract.retention.raw_days,
            "lineage_days": contract.retention.lineage_days,
        },
        "service_levels": dict(contract.service_levels),
    }


def _column(column: Column) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": column.name, "type": type_name(column), "parse": str(column.grammar)}
    if column.source != column.name:
        facts["source"] = column.source
    if column.unit not in (Unit.ANY, Unit.NONE, Unit.TIME):
        facts["unit"] = str(column.unit)
    if column.role is not None:
        facts["role"] = str(column.role)
    for name in ("required", "measure", "currency", "classification", "description"):
        if getattr(column, name):
            facts[name] = getattr(column, name)
    if column.zone != "UTC":
        facts["zone"] = column.zone
    if column.sentinels:
        facts["sentinels"] = [*column.sentinels]
    return facts


def type_name(column: Column) -> str:
    """Type of the column as a reader of the lake meets it: `decimal(18, 6)`, `timestamp`, ..."""
    return f"decimal(18, {column.scale})" if column.kind == Kind.DECIMAL else str(column.kind)


def _rule(rule: RowRule, scope: RuleScope) -> dict[str, Any]:
    return {
        "code": rule.code,
        "kind": rule.kind,
        "severity": str(rule.severity),
        "broken_when": unparse(rule.broken, scope),
        "budget": rule.budget,
        "description": rule.description,
    }


def _calendar(calendar: Calendar) -> str:
    if calendar.exchange:
        return f"exchange {calendar.exchange}"
    parts = [
        f"{','.join(_DAYS[day] for day in days)} {_clock(start)}-{_clock(end)}"
        for days, start, end in calendar.sessions
    ]
    return f"{'; '.join(parts)} {calendar.zone}, {len(calendar.holidays)} holidays"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"


def render(contract: Contract) -> str:
    """The contract as a page of text."""
    facts = describe(contract)
    lines = [f"{facts['name']} {facts['version']}", *([facts["description"]] if facts["description"] else [])]
    lines.append(f"owner: {facts['owner'] or '-'}   feed: {facts['feed']['format']}   digest: {facts['digest'][:12]}")
    lines += ["", "columns"]
    for column in facts["columns"]:
        notes = [str(column[name]) for name in ("role", "unit", "currency") if name in column]
        notes += [name for name in ("required", "measure") if column.get(name)]
        lines.append(f"  {column['name']:<20} {column['type']:<16} {column['parse']:<10} {', '.join(notes)}".rstrip())
    key = facts["key"]
    lines.append("")
    lines.append("key: " + (", ".join(key["columns"]) if key else "none, rows are never deduplicated"))
    sort = ", ".join(facts["partition"]["sort"]) or "order of arrival"
    lines.append(f"partition: by {facts['partition']['by']}, sorted by {sort}")
    if facts["filter"]:
        lines.append(f"keeps rows where: {facts['filter']}")
    for name, calendar in facts["calendars"].items():
        lines.append(f"calendar {name}: {calendar}")
    for item in facts["derived"]:
        lines.append(f"derived: {item['name']} ({item['kind']})")
    lines += ["", "rules (a row breaks one where its condition is true)"]
    for rule in facts["rules"]:
        lines.append(f"  {rule['code']:<24} {rule['severity']:<7} {rule['broken_when']}")
    for rule in facts["batch_rules"]:
        lines.append(f"  {rule['code']:<24} {rule['severity']:<7} per batch: {rule['kind']} {rule['params']}")
    return "\n".join(lines) + "\n"

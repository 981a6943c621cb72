"""What changed between two versions of a contract, and whether it breaks somebody.

A change breaks when a file that was accepted may now be refused, or when a reader of the lake may meet something that
the old contract ruled out. Breaking changes need a higher major version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from tapehouse.contracts.diff_rules import rule_changes
from tapehouse.contracts.model import Column, Contract, Key
from tapehouse.contracts.show import scope_of, type_name


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` names the part (`columns.price.scale`), `reason` says why it breaks or does not."""

    path: str
    breaking: bool
    reason: str
    old: object = None
    new: object = None

    def __str__(self) -> str:
        return f"{'breaking' if self.breaking else 'compatible'}: {self.path}: {self.reason}"


def diff(old: Contract, new: Contract) -> list[Change]:
    """All changes from `old` to `new`, breaking ones first; last one on the version, if it is not raised enough."""
    found = [
        *_dataset(old, new),
        *_columns(old, new),
        *_key(old.key, new.key),
        *_layout(old, new),
        *_feed(old, new),
        *(Change(*change) for change in rule_changes(old, new)),
        *_scope(old, new),
        *_promises(old, new),
    ]
    found.sort(key=lambda change: not change.breaking)
    return [*found, *_version(old, new, found)]


def _changed(path: str, old: Any, new: Any, breaking: bool, reason: str) -> Iterator[Change]:
    if old != new:
        yield Change(path, breaking, f"{reason}: {_shown(old)} -> {_shown(new)}", old, new)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value not in (None, "") else "none"


def _dataset(old: Contract, new: Contract) -> Iterator[Change]:
    yield from _changed("id", old.id, new.id, True, "another contract's identity")
    yield from _changed("name", old.name, new.name, True, "the tables get another namespace")
    yield from _changed("owner", old.owner, new.owner, False, "owner changed")
    yield from _changed("description", old.description, new.description, False, "description changed")


# ---- columns -----------------------------------------------------------------------------------------------------

_COLUMN_REASONS: Mapping[str, tuple[bool, str]] = {
    "grammar": (True, "files in the old notation are refused"),
    "source": (True, "read from another column of the file"),
    "source_scale": (True, "the same digits now mean another number"),
    "unit": (True, "the number now measures something else"),
    "currency": (True, "the amount is now in another currency"),
    "zone": (True, "the same local time now means another instant"),
    "format": (True, "files in the old notation are refused"),
    "sentinels": (True, "other values now mean 'not updated'"),
    "null_values": (True, "other texts now mean 'no value'"),
    "role": (True, "rules and derived tables use another column"),
    "measure": (False, "the conservation proof sums other columns"),
    "classification": (False, "classification changed"),
    "description": (False, "description changed"),
}


def _columns(old: Contract, new: Contract) -> Iterator[Change]:
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    added = [column for column in new.columns if column.name not in before]
    for name, column in before.items():
        if name in after:
            yield from _column(column, after[name])
            continue
        at = old.columns.index(column)
        here = new.columns[at] if at < len(new.columns) else None
        twin = next((other for other in added if _same_but_name(column, other, other is here)), None)
        if twin is not None:
            added.remove(twin)
            yield Change(f"columns.{name}", True, f"renamed to {twin.name}: readers ask for {name}", name, twin.name)
        else:
            yield Change(f"columns.{name}", True, "column removed: readers ask for it", type_name(column), None)
    for column in added:
        breaking, reason = _added(column, new)
        yield Change(f"columns.{column.name}", breaking, reason, None, type_name(column))
    kept_before = [name for name in before if name in after]
    kept_after = [name for name in after if name in before]
    if kept_before != kept_after:
        by_place = not new.feed.header and new.feed.format == "csv"
        reason = "fields are read by position" if by_place else "columns are read by name"
        yield Change("columns", by_place, f"order of columns changed: {reason}", tuple(kept_before), tuple(kept_after))


def _same_but_name(one: Column, other: Column, same_place: bool) -> bool:
    """Whether a removed and an added column look like one that got another name."""
    same_source = one.source == other.source
    same_role = one.role is not None and one.role == other.role
    alike = one.kind == other.kind and one.scale == other.scale and one.role == other.role
    return alike and (same_source or same_role or same_place)


def _added(column: Column, contract: Contract) -> tuple[bool, str]:
    if column.required:
        return True, "required column added: files without it are refused"
    if contract.feed.format == "csv" and not column.source.startswith("path:"):
        return True, "column added: files without it are refused"
    return False, "optional column added"


def _column(old: Column, new: Column) -> Iterator[Change]:
    path = f"columns.{old.name}"
    if old.kind != new.kind:
        yield from _changed(f"{path}.type", type_name(old), type_name(new), True, "stored type changed")
    elif old.scale != new.scale:
        word = "narrowed: decimals are lost" if new.scale < old.scale else "the lake's decimals cannot change in place"
        yield from _changed(f"{path}.scale", old.scale, new.scale, True, word)
    if new.required and not old.required:
        yield Change(f"{path}.required", True, "stricter: rows without a value are now refused", False, True)
    if old.required and not new.required:
        yield Change(f"{path}.required", True, "weaker: readers may now meet nulls", True, False)
    for name, (breaking, reason) in _COLUMN_REASONS.items():
        before, after = getattr(old, name), getattr(new, name)
        gained = name in ("role", "currency") and not before
        yield from _changed(f"{path}.{name}", before, after, breaking and not gained, reason)


# ---- key, layout, feed -------------------------------------------------------------------------------------------


def _key(old: Key | None, new: Key | None) -> Iterator[Change]:
    if old is None and new is not None:
        yield Change("key", True, "key added: equal rows are now dropped as duplicates", None, new.columns)
    elif old is not None and new is None:
        yield Change("key", True, "key removed: readers may now meet duplicates", old.columns, None)
    elif old is not None and new is not None:
        yield from _changed("key.columns", old.columns, new.columns, True, "identity of a row changed")
        yield from _changed(
            "key.keepFirstBy", old.keep_first_by, new.keep_first_by, True, "another of equal rows is kept"
        )
        yield from _changed("key.windowDays", old.window_days, new.window_days, False, "search for earlier copies")


def _layout(old: Contract, new: Contract) -> Iterator[Change]:
    reason = "partitions already written do not fit"
    yield from _changed("partition.by", old.partitioning.by, new.partitioning.by, True, reason)
    reason = "order of rows within a partition"
    yield from _changed("partition.sort", old.partitioning.sort, new.partitioning.sort, False, reason)
    before, after = ({item.name: item for item in contract.derived} for contract in (old, new))
    for name, item in before.items():
        if name not in after:
            yield Change(f"derived.{name}", True, "derived table removed", item.kind, None)
        elif after[name] != item:
            yield Change(f"derived.{name}", True, "derived table is computed otherwise", item, after[name])
    for name in after.keys() - before.keys():
        yield Change(f"derived.{name}", False, "derived table added", None, after[name].kind)


def _feed(old: Contract, new: Contract) -> Iterator[Change]:
    for field in fields(old.feed):
        before, after = getattr(old.feed, field.name), getattr(new.feed, field.name)
        breaking, reason = True, "files that could be read may now be misread or refused"
        if field.name == "extra_columns" and after == "ignore":
            breaking, reason = False, "unknown columns are now ignored"
        elif field.name in ("max_record_bytes", "max_expansion") and after >= before:
            breaking, reason = False, "a wider limit"
        yield from _changed(f"feed.{field.name}", before, after, breaking, reason)
    if old.filter != new.filter:
        from tapehouse.contracts.expr_print import unparse

        texts = [None if c.filter is None else unparse(c.filter, scope_of(c)) for c in (old, new)]
        yield from _changed("filter", texts[0], texts[1], True, "other rows are kept")


# ---- calendars, references, promises -----------------------------------------------------------------------------


def _scope(old: Contract, new: Contract) -> Iterator[Change]:
    for what, before, after in (
        ("calendars", old.calendars, new.calendars),
        ("references", old.references, new.references),
    ):
        yield from _entries(what, before, after)


def _entries(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield Change(f"{what}.{name}", False, "added", None, after[name])
        elif name not in after:
            yield Change(f"{what}.{name}", True, "removed", before[name], None)
        elif before[name] != after[name]:
            yield Change(f"{what}.{name}", True, "rules that use it judge otherwise", before[name], after[name])


def _promises(old: Contract, new: Contract) -> Iterator[Change]:
    for field in fields(old.retention):
        before, after = getattr(old.retention, field.name), getattr(new.retention, field.name)
        shorter = after is not None and (before is None or after < before)
        reason = "rows are removed earlier" if shorter else "rows are kept longer"
        yield from _changed(f"retention.{field.name}", before, after, shorter and field.name == "curated_days", reason)
    yield from _changed("budget", old.budget, new.budget, False, "share of rejected rows that stops a run")
    for name in sorted({*old.service_levels, *new.service_levels} - {"retention"}):
        one, other = old.service_levels.get(name), new.service_levels.get(name)
        if one is None:
            yield Change(f"service_levels.{name}", False, "promise added", None, other)
        elif other is None:
            yield Change(f"service_levels.{name}", True, "promise removed", one, None)
        elif one != other:
            weaker = not ("seconds" in one and "seconds" in other and other["seconds"] <= one["seconds"])
            reason = "a weaker or different promise" if weaker else "a stronger promise"
            yield Change(f"service_levels.{name}", weaker, reason, one, other)


# ---- version -----------------------------------------------------------------------------------------------------


def _version(old: Contract, new: Contract, changes: list[Change]) -> Iterator[Change]:
    before, after = (_numbers(contract.version) for contract in (old, new))
    breaking = any(change.breaking for change in changes)
    if after < before:
        yield Change(
            "version", breaking, f"version went back: {old.version} -> {new.version}", old.version, new.version
        )
    elif breaking and after[0] == before[0]:
        wanted = f"{before[0] + 1}.0.0"
        reason = f"breaking changes need a higher major version: {wanted}"
        yield Change("version", True, reason, old.version, new.version)
    elif changes and after == before:
        wanted = f"{before[0]}.{before[1] + 1}.0"
        yield Change("version", False, f"changes need a higher version: {wanted}", old.version, new.version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-")[0].split("+")[0].split("."))

"""Everything of a contract that is neither a column nor a rule: feed, key, partitions, derived tables, retention."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tapehouse.contracts.draft import Custom, Draft, items, text
from tapehouse.contracts.expr import Expr, Scope
from tapehouse.contracts.expr_lex import ExpressionError
from tapehouse.contracts.model import Column, Derivation, Feed, Key, Partitioning, Retention, Role
from tapehouse.contracts.positions import Path
from tapehouse.contracts.suggest import did_you_mean

if TYPE_CHECKING:
    from tapehouse.contracts.rules.base import RuleScope

Customs = Mapping[str, Custom]

BUILT_IN_FEEDS = ("csv", "ndjson", "parquet", "dbn")
_SINGLE_BYTE = re.compile(r"[\x01-\x7f]")

_SECONDS = {
    "s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600, "d": 86_400,
    "day": 86_400, "w": 604_800, "week": 604_800, "mo": 2_629_800, "month": 2_629_800, "y": 31_557_600,
    "yr": 31_557_600, "year": 31_557_600,
}  # fmt: skip
"""Seconds of a service level's unit; months and years are mean ones of the Gregorian calendar's 400 years."""


def build_feed(draft: Draft, custom: Customs) -> Feed:
    """The feed, or the default one (CSV with a header)."""
    found = custom.get("tapehouse.feed")
    if found is None:
        return Feed()
    value, path = found.value, found.path
    name = value.get("format", "csv")
    if name not in BUILT_IN_FEEDS and name not in (plugged := _plug_in_feeds()):
        known = (*BUILT_IN_FEEDS, *plugged)
        draft.problem(
            (*path, "format"),
            f"no feed {name!r}",
            value=name,
            allowed=", ".join(known),
            guess=did_you_mean(name, known),
        )
    for key in ("delimiter", "quote"):
        if isinstance(value.get(key), str) and not _SINGLE_BYTE.fullmatch(value[key]):
            draft.problem((*path, key), f"{key} {value[key]!r}", value=value[key], allowed="one ASCII character")
    if value.get("delimiter", ",") == value.get("quote", '"'):
        draft.problem((*path, "quote"), "delimiter and quote are the same character", value=value["quote"])
    _check_regex(draft, value.get("path", ""), (*path, "path"))
    return Feed(
        format=name,
        header=value.get("header", True),
        delimiter=value.get("delimiter", ","),
        quote=value.get("quote", '"'),
        comment=value.get("comment"),
        empty_is_null=value.get("emptyIsNull", True),
        null_values=tuple(value.get("nullValues", ())),
        path=value.get("path", ""),
        member=value.get("member", "*"),
        extra_columns=value.get("extraColumns", "reject"),
        max_record_bytes=value.get("maxRecordBytes", 1 << 20),
        max_expansion=value.get("maxExpansion", 200),
        options=value.get("options", {}),
    )


def _plug_in_feeds() -> tuple[str, ...]:
    from importlib.metadata import entry_points

    return tuple(sorted(point.name for point in entry_points(group="tapehouse.feeds")))


def _check_regex(draft: Draft, pattern: str, path: Path) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        draft.problem(path, f"not a regular expression: {error}", value=pattern)


def check_sources(draft: Draft, feed: Feed, columns: Mapping[str, Column], places: Mapping[str, Path]) -> None:
    """Notes columns that read a path group the feed does not have, and two columns of one source."""
    try:
        groups = set(re.compile(feed.path).groupindex)
    except re.error:
        return  # already noted
    taken: dict[str, str] = {}
    for column in columns.values():
        source = column.source
        if source.startswith("path:") and source[5:] not in groups:
            allowed = ", ".join(f"path:{group}" for group in sorted(groups)) or "a named group in the feed's `path`"
            message = f"the feed's path has no group {source[5:]!r}"
            draft.problem(
                places[column.name], message, value=source, allowed=allowed, guess=did_you_mean(source[5:], groups)
            )
        elif source in taken and not source.startswith("path:"):
            draft.problem(places[column.name], f"{column.name} and {taken[source]} both read {source!r}", value=source)
        taken.setdefault(source, column.name)
        if column.grammar == "ms_of_day" and "date" not in groups:
            guess = "add (?P<date>[0-9]{8}) to the path of tapehouse.feed"
            draft.problem(places[column.name], "ms_of_day needs a date from the path", guess=guess)


def build_key(draft: Draft, custom: Customs, table: Any, path: Path, columns: Mapping[str, Column]) -> Key | None:
    """The key of `tapehouse.key`, else of the ODCS `primaryKey` marks, else None."""
    marked = _primary_key(table)
    found = custom.get("tapehouse.key")
    if found is None:
        return Key(marked) if marked else None
    if found.value == "none":
        if marked:
            draft.problem(found.path, f"no key, but primaryKey on {', '.join(marked)}", value="none")
        return None
    names = tuple(found.value["columns"])
    keep = tuple(found.value.get("keepFirstBy", ()))
    draft.check_columns(names, (*found.path, "columns"), columns)
    draft.check_columns(keep, (*found.path, "keepFirstBy"), columns)
    if marked and set(marked) != set(names):
        draft.problem(
            (*found.path, "columns"), f"primaryKey marks {', '.join(marked)}", value=list(names), allowed="the same"
        )
    return Key(names, keep, found.value.get("windowDays", 7))


def _primary_key(table: Any) -> tuple[str, ...]:
    marked = [raw for raw in items(table, "properties") if raw.get("primaryKey") is True and text(raw, "name")]

    def position(raw: dict[str, Any]) -> int:
        stated = raw.get("primaryKeyPosition")
        return stated if isinstance(stated, int) and stated > 0 else 1 << 30

    return tuple(str(raw["name"]) for raw in sorted(marked, key=position))


def build_partitioning(draft: Draft, custom: Customs, columns: Mapping[str, Column]) -> Partitioning:
    """Partition length and sort order; default: days, in order of arrival."""
    found = custom.get("tapehouse.partition")
    if found is None:
        return Partitioning()
    sort = tuple(found.value.get("sort", ()))
    draft.check_columns(sort, (*found.path, "sort"), columns)
    return Partitioning(found.value.get("by", "day"), sort)


_NEEDED_ROLES = {
    "bars": (Role.SYMBOL, Role.PRICE, Role.SIZE),
    "bbo": (Role.SYMBOL, Role.VENUE, Role.BID, Role.BID_SIZE, Role.ASK, Role.ASK_SIZE),
}
_RESERVED_TABLES = ("curated", "quarantine", "duplicates")


def build_derived(
    draft: Draft, custom: Customs, columns: Mapping[str, Column], partitioning: Partitioning
) -> tuple[Derivation, ...]:
    """Derived tables; each needs the roles it is computed from."""
    found = custom.get("tapehouse.derived")
    built: list[Derivation] = []
    roles = {column.role for column in columns.values()}
    for index, entry in enumerate(found.value if found is not None else ()):
        path = (*found.path, index) if found is not None else ()
        name, kind = entry["name"], entry["kind"]
        if name in _RESERVED_TABLES or any(other.name == name for other in built):
            draft.problem((*path, "name"), f"a table {name!r} exists already", value=name)
        missing = [role for role in _NEEDED_ROLES[kind] if role not in roles]
        if missing and not (draft.broken_names or draft.roles_uncertain):
            wanted = ", ".join(missing)
            draft.problem(
                path, f"{kind} need columns with the roles {wanted}", value=kind, guess="add tapehouse.role to them"
            )
        params = {"interval_seconds": entry.get("intervalSeconds", 60)} if kind == "bars" else {}
        _check_interval(draft, params, (*path, "intervalSeconds"), partitioning.by)
        built.append(Derivation(name, kind, params))
    return tuple(built)


def _check_interval(draft: Draft, params: Mapping[str, int], path: Path, by: str) -> None:
    """A bar is computed from one partition, so none may reach into the next."""
    span, seconds = (3_600 if by == "hour" else 86_400), params.get("interval_seconds", 1)
    if seconds < 1 or span % seconds:
        draft.problem(
            path,
            f"bars of {seconds} s do not fit into partitions by {by}",
            value=seconds,
            allowed=f"a divisor of {span}",
            guess="partition by day" if by == "hour" and 86_400 % max(seconds, 1) == 0 else "",
        )


def build_filter(draft: Draft, custom: Customs, scope: RuleScope) -> Expr | None:
    """The condition rows must meet, or None."""
    from tapehouse.contracts.expr_parse import parse_expression

    found = custom.get("tapehouse.filter")
    if found is None:
        return None
    try:
        tree = parse_expression(found.value, scope)
    except ExpressionError as error:
        draft.expression_problem(found.path, found.value, error)
        return None
    if tree.scope != Scope.ROW:
        draft.problem(
            found.path, "a filter that looks at other rows", value=found.value, allowed="columns of the same row"
        )
    return tree


def build_service_levels(draft: Draft) -> dict[str, Any]:
    """ODCS service levels by property: value, unit, element, and `seconds` where the unit is one of time."""
    levels: dict[str, Any] = {}
    for index, entry in enumerate(items(draft.document.data, "slaProperties")):
        name = text(entry, "property")
        if name is None:
            continue
        level = {
            "value": entry.get("value"),
            "unit": text(entry, "unit") or "",
            "element": text(entry, "element") or "",
        }
        path = ("slaProperties", index)
        seconds = _seconds(draft, entry, path) if name in ("freshness", "retention", "latency") else None
        if seconds is not None:
            level["seconds"] = seconds
        levels[name if name not in levels else f"{name}:{level['element']}"] = level
    return levels


def _seconds(draft: Draft, entry: dict[str, Any], path: Path) -> float | None:
    value, unit = entry.get("value"), (text(entry, "unit") or "d").lower()
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        guess = "did you quote a number?" if isinstance(value, str) else ""
        draft.problem(
            (*path, "value"), f"{value!r} is not a length of time", value=value, allowed="above 0", guess=guess
        )
        return None
    factor = _SECONDS.get(unit) or _SECONDS.get(unit.removesuffix("s"))
    if factor is None:
        guess = did_you_mean(unit, _SECONDS)
        draft.problem((*path, "unit"), f"no unit {unit!r}", value=unit, allowed=", ".join(_SECONDS), guess=guess)
        return None
    return float(value * factor)


def build_retention(custom: Customs, levels: Mapping[str, Any]) -> Retention:
    """Retention in days; the service level `retention` is that of curated rows."""
    found = custom.get("tapehouse.retention")
    stated: Mapping[str, Any] = found.value if found is not None else {}
    seconds = levels.get("retention", {}).get("seconds")
    by_level = None if seconds is None else max(1, round(seconds / 86_400))
    return Retention(
        curated_days=stated.get("curatedDays", by_level),
        quarantine_days=stated.get("quarantineDays"),
        raw_days=stated.get("rawDays"),
        lineage_days=stated.get("lineageDays", 90),
    )

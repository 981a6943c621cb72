"""Columns of a contract: kind, grammar, unit, role and sentinels, each checked against the others."""

from __future__ import annotations

import re
import zoneinfo
from decimal import Decimal
from typing import Any

from tapehouse.contracts.column_types import GRAMMARS, KINDS, NUMBERS, ROLES
from tapehouse.contracts.draft import Custom, Draft, items, text
from tapehouse.contracts.expr_constants import Span, instant_ns, scaled
from tapehouse.contracts.expr_lex import KEYWORDS, ExpressionError
from tapehouse.contracts.model import Column, Grammar, Kind, Role
from tapehouse.contracts.positions import Path
from tapehouse.contracts.suggest import did_you_mean
from tapehouse.contracts.units import Unit

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_INT64 = 1 << 63

# Feeds whose values arrive typed: their times need no grammar.
_TYPED_FEEDS = ("parquet", "dbn")


def build_columns(draft: Draft, table: Any, path: Path, feed_format: str) -> dict[str, Column]:
    """Columns by name, in the contract's order. Those that cannot be typed are noted and left out."""
    columns: dict[str, Column] = {}
    for index, raw in enumerate(items(table, "properties")):
        here = (*path, "properties", index)
        name = text(raw, "name")
        if name is None:
            draft.custom(raw, here, "property")
            continue
        _check_name(draft, name, (*here, "name"), columns)
        column = _Build(draft, raw, here, feed_format).column(name)
        if column is None:
            draft.broken_names.add(name)
        else:
            columns[name] = column
    _check_roles(draft, columns, path)
    return columns


def _check_name(draft: Draft, name: str, path: Path, columns: dict[str, Column]) -> None:
    if not _NAME.fullmatch(name):
        guess = "keep the file's name in tapehouse.source"
        draft.problem(
            path, f"column name {name!r}", value=name, allowed="letters, digits and _, first a letter", guess=guess
        )
    elif name in KEYWORDS:
        draft.problem(path, f"{name!r} is a word of the rule language", value=name, guess="name it by tapehouse.source")
    same = next((other for other in columns if other.lower() == name.lower()), None)
    if same is not None:
        draft.problem(
            path, f"two columns called {name!r}", value=name, guess=f"the first is on line {columns[same].line}"
        )


def _check_roles(draft: Draft, columns: dict[str, Column], path: Path) -> None:
    taken: dict[Role, Column] = {}
    for index, column in enumerate(columns.values()):
        if column.role is None or column.role == Role.CHANNEL:
            continue
        if column.role in taken:
            other = taken[column.role]
            message = f"{column.name} and {other.name} both have the role {column.role}"
            draft.problem((*path, "properties", index), message, value=str(column.role), guess=f"see line {other.line}")
            draft.roles_uncertain = True
        taken.setdefault(column.role, column)
    times = [column.name for column in columns.values() if column.kind == Kind.TIMESTAMP]
    if Role.EVENT_TIME not in taken and not (draft.broken_names or draft.roles_uncertain):
        guess = f"give {times[0]} the property tapehouse.role with value event_time" if times else ""
        allowed = "one timestamp with tapehouse.role: event_time"
        draft.problem((*path, "properties"), "no column has the role event_time", allowed=allowed, guess=guess)


class _Build:
    """One column."""

    def __init__(self, draft: Draft, raw: dict[str, Any], path: Path, feed_format: str) -> None:
        self._draft = draft
        self._raw = raw
        self._path = path
        self._custom = draft.custom(raw, path, "property")
        self._typed = feed_format in _TYPED_FEEDS

    def _value(self, name: str, default: Any = None) -> Any:
        found = self._custom.get(f"tapehouse.{name}")
        return default if found is None else found.value

    def _complain(self, name: str, message: str, allowed: str = "", guess: str = "") -> None:
        found = self._custom.get(f"tapehouse.{name}", Custom(None, self._path))
        self._draft.problem(found.path, message, value=found.value, allowed=allowed, guess=guess)

    def column(self, name: str) -> Column | None:
        kind = self._kind()
        if kind is None or not self._draft.sound((*self._path, "customProperties")):
            return None
        grammar = self._grammar(kind)
        if grammar is None:
            return None
        role = self._role(kind)
        scale = int(self._value("scale", 0)) if kind == Kind.DECIMAL else 0
        return Column(
            name=name,
            kind=kind,
            grammar=grammar,
            source=self._value("source") or text(self._raw, "physicalName") or name,
            required=self._raw.get("required") is True,
            unit=self._unit(kind, role),
            scale=scale,
            source_scale=self._source_scale(grammar, scale),
            zone=self._zone(grammar),
            format=self._format(grammar),
            null_values=tuple(self._value("nullValues", ())),
            sentinels=self._sentinels(kind, scale),
            role=role,
            measure=self._measure(kind),
            classification=text(self._raw, "classification") or "",
            currency=self._value("currency", ""),
            description=" ".join((text(self._raw, "description") or "").split()),
            line=self._draft.document.positions.at(self._path)[0],
        )

    def _kind(self) -> Kind | None:
        logical = text(self._raw, "logicalType")
        place = (*self._path, "logicalType")
        if logical is None:
            if "logicalType" not in self._raw:
                self._draft.problem(self._path, "'logicalType' is missing", allowed=", ".join(KINDS))
            return None
        kind = KINDS.get(logical)
        if kind is None:
            if self._draft.sound(place):
                guess = did_you_mean(logical, list(KINDS))
                self._draft.problem(
                    place, f"type {logical!r} is not supported", value=logical, allowed=", ".join(KINDS), guess=guess
                )
            return None
        if kind == Kind.DOUBLE and "tapehouse.scale" in self._custom:
            return Kind.DECIMAL
        if kind != Kind.DOUBLE and "tapehouse.scale" in self._custom:
            self._complain("scale", f"a scale on a column of type {logical}", "only on logicalType: number")
        return kind

    def _grammar(self, kind: Kind) -> Grammar | None:
        allowed = GRAMMARS[kind]
        names = ", ".join(allowed)
        stated = self._value("parse")
        if stated is None:
            if kind == Kind.TIMESTAMP and not self._typed:
                self._complain("parse", "a timestamp without tapehouse.parse", names)
                return None
            return Grammar.EPOCH_NS if kind == Kind.TIMESTAMP else allowed[0]
        grammar = Grammar(stated)
        if grammar not in allowed:
            needs_scale = kind == Kind.DOUBLE and grammar in GRAMMARS[Kind.DECIMAL]
            guess = "give the column a tapehouse.scale to make it exact" if needs_scale else ""
            self._complain("parse", f"{stated!r} does not give a {kind}", names, guess)
            return None
        return grammar

    def _role(self, kind: Kind) -> Role | None:
        stated = self._value("role")
        if stated is None:
            return None
        role = Role(stated)
        kinds = ROLES[role][1]
        if kind not in kinds:
            guess = ""
            if kind == Kind.DATE and Kind.TIMESTAMP in kinds:
                guess = "use logicalType timestamp, tapehouse.parse strptime and tapehouse.format '%Y-%m-%d'"
            self._complain("role", f"a {kind} column as {stated}", " or ".join(kinds), guess)
            self._draft.roles_uncertain = True
        return role

    def _unit(self, kind: Kind, role: Role | None) -> Unit:
        by_role = ROLES[role][0] if role is not None and kind in ROLES[role][1] else Unit.ANY
        default = Unit.TIME if kind == Kind.TIMESTAMP else by_role
        stated = self._value("unit")
        if stated is None:
            return default
        unit = Unit(stated)
        numeric = kind in NUMBERS or (kind == Kind.TIMESTAMP and unit == Unit.TIME)
        if not numeric or (unit == Unit.TIME and kind != Kind.TIMESTAMP):
            self._complain("unit", f"unit {stated} on a {kind} column", "units on numbers only; times are `time`")
        elif default not in (Unit.ANY, unit):
            self._complain("unit", f"unit {stated} on a column with role {role}", str(default))
        return unit

    def _source_scale(self, grammar: Grammar, scale: int) -> int:
        stated = self._value("sourceScale")
        if grammar != Grammar.SCALED:
            if stated is not None:
                self._complain("sourceScale", "a source scale without tapehouse.parse: scaled")
            return 0
        if stated is None:
            return scale
        if stated > scale:
            self._complain("sourceScale", f"{stated} decimals in the file, {scale} in the lake", f"at most {scale}")
        return int(stated)

    def _zone(self, grammar: Grammar) -> str:
        zone = str(self._value("zone", ""))
        if "tapehouse.zone" in self._custom:
            check_zone(self._draft, zone, self._custom["tapehouse.zone"].path)
            if grammar not in (Grammar.ISO8601, Grammar.MS_OF_DAY, Grammar.STRPTIME):
                self._complain("zone", f"a zone on {grammar}", "with iso8601, ms_of_day and strptime")
        return zone

    def _format(self, grammar: Grammar) -> str:
        stated = str(self._value("format", ""))
        if grammar == Grammar.STRPTIME and "%" not in stated:
            self._complain("format", "strptime without a format", "tapehouse.format, e.g. '%Y-%m-%d %H:%M:%S'")
        if grammar != Grammar.STRPTIME and stated:
            self._complain("format", f"a format with tapehouse.parse: {grammar}", "with strptime only")
        return stated

    def _measure(self, kind: Kind) -> bool:
        measure = bool(self._value("measure", False))
        if measure and kind not in (Kind.INTEGER, Kind.DECIMAL):
            guess = "give the column a tapehouse.scale" if kind == Kind.DOUBLE else ""
            self._complain(
                "measure", f"a {kind} as measure: its sum is not exact", "integer, or number with scale", guess
            )
        return measure

    def _sentinels(self, kind: Kind, scale: int) -> tuple[int | float | str, ...]:
        found = self._custom.get("tapehouse.sentinels")
        values: list[int | float | str] = []
        for index, value in enumerate(found.value if found is not None else ()):
            try:
                values.append(_sentinel(value, kind, scale))
            except (ExpressionError, ValueError, ArithmeticError) as error:
                place = (*found.path, index) if found is not None else self._path
                number = kind not in (Kind.STRING, Kind.TIMESTAMP) and isinstance(value, str)
                guess = "did you quote a number?" if number else ""
                message = f"sentinel {value!r} is no {kind} value"
                self._draft.problem(
                    place, message, value=value, allowed=str(getattr(error, "allowed", "")), guess=guess
                )
        return tuple(values)


def _sentinel(value: int | float | str, kind: Kind, scale: int) -> int | float | str:
    """The canonical form of a sentinel written as `value`."""
    if kind == Kind.STRING:
        if not isinstance(value, str):
            raise ExpressionError("number", allowed=f'a text: "{value}"')
        return value
    if kind == Kind.TIMESTAMP:
        if isinstance(value, float):
            raise ExpressionError("fraction", allowed="nanoseconds, or an ISO 8601 instant")
        return instant_ns(value, Span(0, 0)) if isinstance(value, str) else value
    if kind == Kind.DOUBLE:
        return float(value)
    if kind == Kind.INTEGER and isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise ExpressionError("too large", allowed="64 bits")
        return value
    if kind == Kind.DECIMAL:
        return scaled(Decimal(str(value)), scale, Span(0, 0))
    raise ExpressionError("kind", allowed="sentinels on numbers, texts and timestamps")


def check_zone(draft: Draft, zone: str, path: Path) -> None:
    """Notes `zone` at `path` where it is no IANA time zone."""
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        guess = did_you_mean(zone, sorted(zoneinfo.available_timezones()))
        draft.problem(
            path, f"no time zone {zone!r}", value=zone, allowed="an IANA name, e.g. America/New_York", guess=guess
        )

"""What a column of unknown data most likely is: type, notation of times, decimals, role, unit."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Any

from tapehouse.contracts.column_types import ROLES
from tapehouse.contracts.expr_lex import KEYWORDS
from tapehouse.contracts.expr_types import MAX_SCALE
from tapehouse.contracts.infer_sample import Field
from tapehouse.contracts.model import Kind, Role
from tapehouse.contracts.units import Unit

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,18})")
_DECIMAL = re.compile(r"-?\d{1,15}\.(\d{1,15})|-?(?:0|[1-9]\d{0,14})")
_DOUBLE = re.compile(r"-?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?")
_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%Y%m%d %H:%M", "%Y-%m-%d %H:%M", "%Y%m%d %H:%M:%S", "%m/%d/%Y", "%d.%m.%Y")
_TIME_NAME = re.compile(r"(^|_)(ts|time|timestamp|datetime|date|epoch|created|updated)($|_)|time$|date$|stamp$", re.I)

# Plausible instants, 2000 to 2035, in each unit an epoch may be counted in.
_EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
_SINCE, _UNTIL = 946_684_800, 2_051_222_400
_DAY_MS = 86_400_000
_INT64 = 1 << 63

# More decimals than this are the noise of a computed double, not digits somebody quoted.
_EXACT_DECIMALS = 12

_ROLE_NAMES: tuple[tuple[Role, str], ...] = (
    (Role.RECEIVE_TIME, r"(ts_)?recv(_time|_ts)?|received?(_at|_time)?|capture_time"),
    (Role.EVENT_TIME, r"ts_event|event_time|ts|time|timestamp|datetime|date(_time)?|trade_time|invoice_?date"),
    (Role.SYMBOL, r"symbol|ticker|sym|instrument(_id)?|raw_symbol|isin"),
    (Role.VENUE, r"venue|exchange|mic|publisher_id"),
    (Role.BID, r"bid|bid_(px|price)(_00)?"),
    (Role.BID_SIZE, r"bid_?(sz|size|qty)(_00)?"),
    (Role.ASK, r"(ask|offer)|(ask|offer)_(px|price)(_00)?"),
    (Role.ASK_SIZE, r"(ask|offer)_?(sz|size|qty)(_00)?"),
    (Role.PRICE, r"price|px|last|trade_price|unit_?price"),
    (Role.SIZE, r"size|qty|quantity|sz|trade_size"),
    (Role.SEQUENCE, r"seq|sequence|seq_?(no|num)"),
    (Role.CHANNEL, r"channel(_id)?"),
    (Role.OPEN, r"open"),
    (Role.HIGH, r"high"),
    (Role.LOW, r"low"),
    (Role.CLOSE, r"close"),
    (Role.VOLUME, r"volume|vol"),
)


@dataclass(slots=True)
class Guessed:
    """A column as the inferred contract will state it. `notes` are comments for the author."""

    name: str
    source: str
    logical: str
    values: list[Any]
    parse: str = ""
    scale: int | None = None
    source_scale: int | None = None
    format: str = ""
    zone: str = ""
    required: bool = False
    role: Role | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        """The column's kind in the model."""
        if self.logical == "number":
            return Kind.DECIMAL if self.scale is not None else Kind.DOUBLE
        return Kind(self.logical)

    @property
    def unit(self) -> Unit:
        """The unit its role stands for; ANY where it has none."""
        return ROLES[self.role][0] if self.role is not None else Unit.ANY


def guess_columns(fields: list[Field], path_date: bool) -> list[Guessed]:
    """Columns of the contract. `path_date`: the file's path holds a date, so that times of day can be told."""
    taken: set[str] = set()
    columns = [_guess(item, taken, path_date and index == 0) for index, item in enumerate(fields)]
    _assign_roles(columns)
    return columns


def _guess(item: Field, taken: set[str], first_of_day: bool) -> Guessed:
    name = _clean_name(item.name, taken)
    taken.add(name.lower())
    present = [value for value in item.values if value is not None]
    column = Guessed(name, item.name, item.logical or "string", item.values)
    column.required = bool(present) and len(present) == len(item.values)
    if item.logical == "number":
        column.scale = item.scale if (item.scale or 0) <= _EXACT_DECIMALS else None
        if item.scaled:
            column.parse, column.source_scale = "scaled", item.scale
    elif item.logical == "integer":
        _as_epoch(column, present)
    elif not item.logical and present:
        _from_texts(column, present, first_of_day)
    return column


def _clean_name(name: str, taken: set[str]) -> str:
    clean = re.sub(r"[^A-Za-z0-9]+", "_", name.strip()).strip("_")
    clean = clean if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) else clean.lower()
    if not clean or not clean[0].isalpha():
        clean = f"column_{clean}".rstrip("_")
    if clean in KEYWORDS:
        clean += "_value"
    unique, number = clean, 2
    while unique.lower() in taken:
        unique, number = f"{clean}_{number}", number + 1
    return unique


def _from_texts(column: Guessed, present: list[str], first_of_day: bool) -> None:
    if all(_INTEGER.fullmatch(text) and -_INT64 <= int(text) < _INT64 for text in present):
        column.logical = "integer"
        numbers = [int(text) for text in present]
        if first_of_day and numbers == sorted(numbers) and numbers[0] >= 0 and numbers[-1] < _DAY_MS:
            column.logical, column.parse, column.zone = "timestamp", "ms_of_day", "UTC"
            column.notes.append("milliseconds since midnight: in which zone?")
            return
        if not _as_format(column, present):
            _as_epoch(column, numbers)
    elif all(_DECIMAL.fullmatch(text) for text in present):
        column.logical = "number"
        decimals = max(len(text.partition(".")[2]) for text in present)
        digits = max(len(text.partition(".")[0].lstrip("-")) for text in present)
        if decimals <= _EXACT_DECIMALS and decimals + digits <= MAX_SCALE:
            column.parse, column.scale = "decimal", decimals
    elif all(_DOUBLE.fullmatch(text) for text in present):
        column.logical = "number"
    elif {text.lower() for text in present} <= {"true", "false"}:
        column.logical = "boolean"
    elif all(_ISO.fullmatch(text) for text in present):
        column.logical, column.parse = "timestamp", "iso8601"
        if not all(_ISO.fullmatch(text)[2] for text in present):  # type: ignore[index]
            column.zone = "UTC"
            column.notes.append("times without offset: in which zone?")
    else:
        _as_format(column, present)


def _as_format(column: Guessed, present: list[str]) -> bool:
    """Dates and times in one of the usual notations."""
    if not _TIME_NAME.search(column.name) and all(text.isdigit() for text in present):
        return False
    for form in _FORMATS:
        if all(_fits(text, form) for text in present):
            column.logical, column.parse, column.format, column.zone = "timestamp", "strptime", form, "UTC"
            column.notes.append("local times: in which zone?")
            return True
    return False


def _fits(text: str, form: str) -> bool:
    try:
        moment = datetime.datetime.strptime(text, form)
    except ValueError:
        return False
    return moment.strftime(form) == text and 1900 <= moment.year <= 2100


def _as_epoch(column: Guessed, numbers: list[int]) -> None:
    """An integer whose name and size say that it counts time since 1970."""
    if not numbers or not _TIME_NAME.search(column.name):
        return
    for parse, factor in _EPOCHS.items():
        if all(_SINCE * factor <= number < _UNTIL * factor for number in (min(numbers), max(numbers))):
            column.logical, column.parse = "timestamp", parse
            return


def _assign_roles(columns: list[Guessed]) -> None:
    for role, pattern in _ROLE_NAMES:
        fitting = [column for column in columns if column.role is None and column.kind in ROLES[role][1]]
        named = [column for column in fitting if re.fullmatch(pattern, column.name, re.I)]
        if named:
            named[0].role = role
    if not any(column.role == Role.EVENT_TIME for column in columns):
        free = [column for column in columns if column.role is None and column.kind == Kind.TIMESTAMP]
        received = [column for column in columns if column.role == Role.RECEIVE_TIME]
        for column in (free or received)[:1]:
            column.role = Role.EVENT_TIME

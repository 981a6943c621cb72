"""A first contract from a data file: reads its beginning, guesses, and writes YAML for its author to go on with.

Nothing is claimed that the sample does not show; what has to be decided by a person is a comment in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tapehouse.contracts.infer_columns import Guessed, guess_columns
from tapehouse.contracts.infer_sample import MAX_ROWS, Sample, read_sample
from tapehouse.contracts.model import Kind, Role
from tapehouse.contracts.units import Unit
from tapehouse.errors import FeedError

MIN_KEY_ROWS = 100
"""Records below which uniqueness says nothing about identity."""

_PATH_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)")
_OHLC = (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE)
_PRICES = (Role.PRICE, Role.BID, Role.ASK, *_OHLC)


def infer(path: Path | str, *, name: str = "") -> str:
    """YAML text of a contract for files like `path`; `name` defaults to the file's. The text loads without error.

    Raises FeedError where the file cannot be read or no column is a time.
    """
    file = Path(path)
    sample = read_sample(file)
    dated = not sample.header and _PATH_DATE.search(file.name) is not None
    columns = guess_columns(sample.columns, dated)
    if not any(column.role == Role.EVENT_TIME for column in columns):
        raise FeedError(
            "no column looks like a time, and a contract needs an event time",
            path=str(path),
            fix="write the contract by hand, with tapehouse.role event_time on the column that holds the time",
        )
    title = name or _title(file)
    return "\n".join([*_head(title, file), *_table(title, sample, columns)]) + "\n"


def _title(file: Path) -> str:
    stem = re.sub(r"(\.(csv|txt|ndjson|jsonl|json|parquet|dbn|gz|zst|zip))+$", "", file.name, flags=re.I)
    stem = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").lower()
    return (stem if stem[:1].isalpha() else f"data-{stem}".strip("-"))[:60]


def _head(title: str, file: Path) -> list[str]:
    return [
        f"# Inferred from the first records of {json.dumps(file.name)[1:-1]}: correct it and go on from here.",
        "apiVersion: v3.1.0",
        "kind: DataContract",
        f"id: urn:tapehouse:contract:{title}",
        f"name: {title}",
        "version: 0.1.0",
        "status: draft",
        "description:",
        "  purpose: What this data is for.          # say it",
        "team:",
        "  name: unknown                            # who answers for it",
        "slaProperties:",
        "  - {property: retention, value: 7, unit: y}",
        "customProperties:",
        "  - {property: tapehouse.budget, value: 0.05}   # a run that rejects a greater share publishes nothing",
    ]


def _table(title: str, sample: Sample, columns: list[Guessed]) -> Iterator[str]:
    yield "schema:"
    yield f"  - name: {title.replace('-', '_')}"
    yield "    logicalType: object"
    yield "    customProperties:"
    yield f"      - {{property: tapehouse.feed, value: {{{_feed(sample, columns)}}}}}"
    # The events of a binary market data feed have no identity of their own: a repeated order id is the next event.
    yield from _key([] if sample.format == "dbn" else columns)
    yield f"      - {{property: tapehouse.partition, value: {_partition(columns)}}}"
    yield from _derived(columns)
    yield "    properties:"
    for column in columns:
        yield from _column(column)
    rules = [*_table_rules(columns)]
    if rules:
        yield "    quality:"
        yield from rules


def _feed(sample: Sample, columns: list[Guessed]) -> str:
    parts = [f"format: {sample.format}"]
    if sample.format == "csv":
        parts += [f"header: {str(sample.header).lower()}", f"delimiter: {json.dumps(sample.delimiter)}"]
    if any(column.parse == "ms_of_day" for column in columns):
        parts.append("path: '(?P<date>[0-9]{8})'")
    return ", ".join(parts)


# ---- key and partitions ------------------------------------------------------------------------------------------


def _key(columns: list[Guessed]) -> Iterator[str]:
    names = _unique_columns(columns) if columns else []
    if not names:
        yield "      - {property: tapehouse.key, value: none}   # no identity found: equal rows are all kept"
        return
    receive = next((column.name for column in columns if column.role == Role.RECEIVE_TIME), "")
    keep = f", keepFirstBy: [{receive}]" if receive and receive not in names else ""
    yield f"      # Unique in the first {MAX_ROWS} records. Is it an identity? If not, write `value: none`."
    yield f"      - {{property: tapehouse.key, value: {{columns: [{', '.join(names)}]{keep}}}}}"


def _unique_columns(columns: list[Guessed]) -> list[str]:
    """The identifying columns: one named like an identifier, alone or with venue, symbol or time; else nothing."""
    rows = len(columns[0].values)
    if rows < MIN_KEY_ROWS:
        return []
    identifiers = [
        column
        for column in columns
        if re.search(r"(^|_)(id|no|number|key|uuid|hash)$|[a-z](Id|ID|No)$", column.name) and column.required
    ]
    context = [column for column in columns if column.role in (Role.VENUE, Role.SYMBOL) and column.required]
    event = [column for column in columns if column.role == Role.EVENT_TIME and column.required]
    candidates = [[column] for column in identifiers]
    candidates += [[other, column] for column in identifiers for other in context if other is not column]
    if any(column.role in _OHLC for column in columns):
        candidates += [[*context, *event]] if event else []
    for candidate in candidates:
        if len(set(zip(*(column.values for column in candidate), strict=True))) == rows:
            return [column.name for column in candidate]
    return []


def _partition(columns: list[Guessed]) -> str:
    event = next(column for column in columns if column.role == Role.EVENT_TIME)
    symbol = next((column for column in columns if column.role == Role.SYMBOL), None)
    sort = [column.name for column in (symbol, event) if column is not None]
    return f"{{by: {_length(event)}, sort: [{', '.join(sort)}]}}"


def _length(event: Guessed) -> str:
    """Months for daily bars, days for minute bars and below a million rows a day, hours above."""
    present = [value for value in event.values if value is not None]
    days = {str(value)[:10] for value in present} if event.parse in ("iso8601", "strptime") else set()
    if event.format and "%H" not in event.format:
        return "month"
    if event.parse.startswith("epoch") or event.parse == "":
        numbers = [int(value) for value in present]
        span = max(numbers, default=0) - min(numbers, default=0)
        unit = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6}.get(event.parse, 10**9)
        per_day = len(numbers) * 86_400 * unit / span if span > 0 else 0
        return "hour" if per_day > 1_000_000 else "month" if 0 < per_day < 3 else "day"
    return "month" if len(days) > len(present) / 3 else "day"


def _derived(columns: list[Guessed]) -> Iterator[str]:
    roles = {column.role for column in columns}
    if {Role.SYMBOL, Role.PRICE, Role.SIZE} <= roles:
        yield "      - {property: tapehouse.derived, value: [{name: bars_1m, kind: bars, intervalSeconds: 60}]}"


# ---- columns and rules -------------------------------------------------------------------------------------------


def _column(column: Guessed) -> Iterator[str]:
    yield f"      - name: {column.name}"
    yield f"        logicalType: {column.logical}"
    if column.required:
        yield "        required: true"
    properties = [*_properties(column)]
    if properties:
        yield "        customProperties:"
        for name, value, note in properties:
            comment = f"   # {note}" if note else ""
            yield f"          - {{property: tapehouse.{name}, value: {value}}}{comment}"
    if column.role in _PRICES and _all_positive(column):
        yield "        quality:"
        yield f"          - name: {column.name.lower()}_not_positive"
        yield "            type: custom"
        yield "            engine: tapehouse"
        yield "            implementation: {rule: range, min: 0, minExclusive: true}"


def _properties(column: Guessed) -> Iterator[tuple[str, str, str]]:
    if column.source != column.name and not column.source.startswith("field_"):
        yield "source", json.dumps(column.source), ""
    if column.parse:
        yield "parse", column.parse, ""
    if column.format:
        yield "format", json.dumps(column.format), ""
    if column.zone:
        yield "zone", column.zone, column.notes[0] if column.notes else ""
    if column.scale is not None:
        yield "scale", str(column.scale), "" if column.source_scale else "most decimals seen"
    if column.source_scale is not None:
        yield "sourceScale", str(column.source_scale), ""
    if column.role is not None:
        yield "role", str(column.role), ""
    if column.unit == Unit.SIZE and column.kind in (Kind.INTEGER, Kind.DECIMAL):
        yield "measure", "true", ""


def _all_positive(column: Guessed) -> bool:
    present = [value for value in column.values if value is not None]
    return bool(present) and all(float(value) > 0 for value in present)


def _table_rules(columns: list[Guessed]) -> Iterator[str]:
    by_role = {column.role: column for column in columns}
    if all(role in by_role for role in _OHLC) and len({by_role[role].kind for role in _OHLC}) == 1:
        yield from _rule("ohlc_inconsistent", "{rule: ohlc}")
    if Role.RECEIVE_TIME in by_role:
        yield from _rule("recv_before_event", "{rule: clock_skew}")
        yield from _rule("late", "{rule: lateness, max: 1h}")
    if Role.BID in by_role and Role.ASK in by_role:
        yield from _rule("crossed", "{rule: crossed_book}")


def _rule(code: str, implementation: str) -> Iterator[str]:
    yield f"      - name: {code}"
    yield "        type: custom"
    yield "        engine: tapehouse"
    yield "        severity: warning            # make it error when you trust it"
    yield f"        implementation: {implementation}"

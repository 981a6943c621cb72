"""A judge of trade records that shares nothing with the generator: one record at a time, exact arithmetic."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path

# fmt: off
VENUES = {"XNAS", "XNYS", "ARCX", "BATS", "BATY", "EDGX", "EDGA", "XBOS",
          "XPHL", "IEXG", "MEMX", "XCHI", "XASE", "LTSE", "EPRL", "FINR"}
# fmt: on
INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z")
NUMBER = re.compile(r"[+-]?\d+(\.\d{0,6})?")
SECOND, DAY = 10**9, 86_400 * 10**9


def records(path: Path) -> Iterator[bytes]:
    """Records of a generated file without its header: no field holds a line end."""
    yield from path.read_bytes().rstrip(b"\n").split(b"\n")[1:]


def quote_fields(record: bytes) -> tuple[list[str], str]:
    """The nine fields of a quote, or the code of what is wrong with the record as a whole."""
    return fields_of(record, 9)


def fields_of(record: bytes, columns: int = 10) -> tuple[list[str], str]:
    """The fields, or the code of what is wrong with the record as a whole."""
    if b"\0" in record:
        return [], "malformed_nul"
    try:
        text = record.decode()
    except UnicodeDecodeError:
        return [], "malformed_encoding"
    fields = next(csv.reader(StringIO(text)))
    return (fields, "") if len(fields) == columns else ([], "malformed_columns")


def nanoseconds(text: str) -> int | None:
    """Instant as ns since the epoch; None where it is none."""
    match = INSTANT.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * SECOND + int(match[2])


def time_codes(event: int | None, received: int | None) -> set[str]:
    """Codes of the rules on the two times."""
    codes = set()
    if event is None:
        codes.add("ts_event_invalid")
    elif not 52_200 * SECOND <= event % DAY < 75_600 * SECOND:
        codes.add("out_of_session")
    if received is None or received <= 0:
        codes.add("ts_recv_invalid")
    if event is not None and received is not None:
        if received < event:
            codes.add("recv_before_event")
        if received - event > 3_600 * SECOND:
            codes.add("late")
    return codes


def _price_codes(text: str, reference: Decimal | None) -> set[str]:
    if NUMBER.fullmatch(text) is None:
        return {"price_invalid"}
    price, codes = Decimal(text), set()
    if price <= 0:
        codes.add("price_not_positive")
    if reference is not None and abs(price - reference) > reference * Decimal("0.2"):
        codes.add("price_band")
    return codes


def judge(record: bytes, references: Mapping[str, Decimal]) -> set[str]:
    """Codes of all rules the record breaks."""
    fields, malformed = fields_of(record)
    if malformed:
        return {malformed}
    event, received, symbol, venue, price, size = fields[:6]
    instant = int(received) if re.fullmatch(r"-?\d{1,18}|-?\d{19}", received) else None
    codes = time_codes(nanoseconds(event), instant)
    if not symbol:
        codes.add("symbol_missing")
    elif symbol not in references:
        codes.add("symbol_unknown")
    if venue not in VENUES:
        codes.add("venue_unknown")
    if int(size) <= 0:
        codes.add("size_not_positive")
    return codes | _price_codes(price, references.get(symbol))

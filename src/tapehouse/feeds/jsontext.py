"""JSON text of a row, for the raw field of records that have no bytes of their own."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
from collections.abc import Mapping


def row_json(row: Mapping[str, object]) -> bytes:
    """Compact JSON in UTF-8; decimals and times as text, bytes in base64, so that nothing is rounded."""
    return json.dumps(row, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta | decimal.Decimal):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")

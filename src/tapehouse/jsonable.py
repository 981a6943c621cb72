"""How values without a JSON form of their own are written, by every command and result alike."""

from __future__ import annotations

import base64
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any


def json_form(value: Any) -> Any:
    """The JSON form of a value: decimals as text (a JSON number would round them), times as ISO 8601, bytes as text
    where they are UTF-8 and as `{"base64": ...}` otherwise. TypeError for anything else that JSON does not know.
    """
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if hasattr(value, "as_dict"):
        return value.as_dict()
    raise TypeError(f"{type(value).__name__} has no JSON form")

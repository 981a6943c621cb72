"""Single values as Iceberg writes them: bounds as bytes, partition values, and their types in Avro."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tapehouse.errors import LakeError
from tapehouse.lake.iceberg.forms import Part

# Types whose Parquet statistics are read as the integers that Iceberg stores.
WHOLE = frozenset({pa.int32(), pa.int64(), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC")})
_PACKED = {pa.bool_(): "?", pa.int32(): "<i", pa.date32(): "<i", pa.float32(): "<f", pa.float64(): "<d"}
_AVRO: dict[pa.DataType, Any] = {
    pa.bool_(): "boolean",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.date32(): {"type": "int", "logicalType": "date"},
    pa.timestamp("us"): {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": False},
    pa.timestamp("us", "UTC"): {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": True},
    pa.large_string(): "string",
    pa.large_binary(): "bytes",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_bytes(kind: pa.DataType, value: Any) -> bytes:
    """Iceberg's single-value serialisation; dates are days and timestamps microseconds since 1970."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, Decimal):
        whole = unscaled(value)
        return whole.to_bytes(((whole + (whole < 0)).bit_length() + 8) // 8, "big", signed=True)
    return struct.pack(_PACKED.get(kind, "<q"), value)


def unscaled(value: Decimal) -> int:
    """The digits of a decimal as a whole number, with its sign."""
    sign, digits, _ = value.as_tuple()
    whole = int("".join(map(str, digits)))
    return -whole if sign else whole


def partition_value(part: Part, value: Any) -> Any:
    """What `part` makes of a value of its column: itself, or hours, days, months or years since 1970."""
    if part.transform == "identity":
        return value
    days = value if pa.types.is_date(part.source.kind) else value // 86_400_000_000
    if part.transform == "day":
        return days
    if part.transform == "hour":
        return value // 3_600_000_000
    date = _EPOCH + timedelta(days=days)
    years = date.year - 1970
    return years if part.transform == "year" else years * 12 + date.month - 1


def result_type(part: Part) -> pa.DataType:
    """The type of `part`'s values."""
    if part.transform == "identity":
        return part.source.kind
    return pa.date32() if part.transform == "day" else pa.int32()


def avro_type(part: Part) -> Any:
    """The type of `part`'s values in a manifest."""
    kind = result_type(part)
    if pa.types.is_decimal128(kind):
        size = (int(10**kind.precision - 1).bit_length() + 8) // 8
        logical = {"logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
        return {"type": "fixed", "size": size, "name": f"decimal_{kind.precision}_{kind.scale}", **logical}
    if kind not in _AVRO:
        raise LakeError(f"{part.source.name}: a table cannot be partitioned by values of type {kind}")
    return _AVRO[kind]

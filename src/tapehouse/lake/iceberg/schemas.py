"""Arrow schemas to Iceberg schemas and back, for the types a lake table may hold, and how one may grow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
)

from tapehouse.errors import LakeError

_TO_ARROW: dict[IcebergType, pa.DataType] = {
    BooleanType(): pa.bool_(),
    IntegerType(): pa.int32(),
    LongType(): pa.int64(),
    FloatType(): pa.float32(),
    DoubleType(): pa.float64(),
    DateType(): pa.date32(),
    TimestampType(): pa.timestamp("us"),
    TimestamptzType(): pa.timestamp("us", "UTC"),
    StringType(): pa.large_string(),
    BinaryType(): pa.large_binary(),
}
_FROM_ARROW = {arrow: iceberg for iceberg, arrow in _TO_ARROW.items()}


def to_iceberg(schema: pa.Schema) -> Schema:
    """The Iceberg schema with fields numbered in order; LakeError names a column whose type has no place in it."""
    numbers = itertools.count(1)
    return Schema(*_fields(list(schema), numbers, ""))


def to_arrow(schema: Schema) -> pa.Schema:
    """The Arrow schema readers get: strings and binaries large, timestamps in microseconds."""
    return pa.schema([pa.field(field.name, _arrow(field.field_type), not field.required) for field in schema.fields])


def plain(kind: pa.DataType) -> pa.DataType:
    """`kind` as the lake holds it: dictionaries, views and short offsets are encodings, not types."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_timestamp(kind) and kind.tz in ("UTC", "Etc/UTC", "+00:00"):
        return pa.timestamp(kind.unit, "UTC")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(pa.field("element", plain(kind.value_type), kind.value_field.nullable))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain(field.type), field.nullable) for field in kind])
    return kind


def additions(table: Schema, wanted: pa.Schema, identifier: str) -> tuple[list[tuple[str, IcebergType]], list[str]]:
    """(columns to add, required columns to make optional) for `wanted` to fit; LakeError where a type has changed.

    Columns of the table that are not wanted stay: a lake never drops one.
    """
    have = {field.name: field for field in table.fields}
    new: list[tuple[str, IcebergType]] = []
    relaxed: list[str] = []
    for field in to_iceberg(wanted).fields:
        known = have.get(field.name)
        if known is None:
            new.append((field.name, field.field_type))
        elif plain(_arrow(known.field_type)) != plain(_arrow(field.field_type)):
            raise LakeError(
                f"{identifier}.{field.name} is {known.field_type} in the lake and {field.field_type} in the contract",
                fix="give the changed column a new name, or use a new lake",
            )
        elif known.required and not field.required:
            relaxed.append(field.name)
    unwanted = [field.name for field in table.fields if field.required and field.name not in wanted.names]
    return new, relaxed + unwanted


def _fields(fields: list[pa.Field], numbers: Iterator[int], path: str) -> list[NestedField]:
    ids = [next(numbers) for _ in fields]
    return [
        NestedField(number, field.name, _iceberg(field.type, numbers, path + field.name), required=not field.nullable)
        for number, field in zip(ids, fields, strict=True)
    ]


def _iceberg(kind: pa.DataType, numbers: Iterator[int], path: str) -> IcebergType:
    kind = plain(kind)
    if kind in _FROM_ARROW:
        return _FROM_ARROW[kind]
    if pa.types.is_decimal128(kind):
        return DecimalType(kind.precision, kind.scale)
    if pa.types.is_large_list(kind):
        number = next(numbers)
        element = _iceberg(kind.value_type, numbers, f"{path}[]")
        return ListType(number, element, element_required=not kind.value_field.nullable)
    if pa.types.is_struct(kind):
        return StructType(*_fields(list(kind), numbers, f"{path}."))
    raise LakeError(
        f"column {path}: type {kind} has no place in an Iceberg v2 table",
        fix="store nanoseconds and unsigned numbers as int64; timestamps in microseconds",
    )


def _arrow(kind: IcebergType) -> pa.DataType:
    if kind in _TO_ARROW:
        return _TO_ARROW[kind]
    if isinstance(kind, DecimalType):
        return pa.decimal128(kind.precision, kind.scale)
    if isinstance(kind, ListType):
        return pa.large_list(pa.field("element", _arrow(kind.element_type), not kind.element_required))
    if isinstance(kind, StructType):
        return pa.struct([pa.field(field.name, _arrow(field.field_type), not field.required) for field in kind.fields])
    if isinstance(kind, MapType):
        return pa.map_(_arrow(kind.key_type), _arrow(kind.value_type))
    raise LakeError(f"Iceberg type {kind} is not supported", fix="read the table with the engine that wrote it")

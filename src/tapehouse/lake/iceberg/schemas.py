"""Arrow schemas to pyiceberg's and back, for the types a lake table may hold, and how one may grow."""

from __future__ import annotations

import pyarrow as pa
from pyiceberg.partitioning import PartitionSpec
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
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
)

from tapehouse.errors import LakeError
from tapehouse.lake.iceberg.forms import Column, Part, plain, schema_form

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


def to_iceberg(schema: pa.Schema) -> Schema:
    """The Iceberg schema with fields numbered in order; LakeError names a column whose type has no place in it."""
    return Schema.model_validate(schema_form(schema))


def to_arrow(schema: Schema) -> pa.Schema:
    """The Arrow schema readers get: strings and binaries large, timestamps in microseconds."""
    return pa.schema([pa.field(field.name, _arrow(field.field_type), not field.required) for field in schema.fields])


def columns(schema: Schema) -> tuple[Column, ...]:
    """The columns of a table that exists, as files are described for it."""
    return tuple(
        Column(field.field_id, field.name, plain(_arrow(field.field_type)), field.required) for field in schema.fields
    )


def parts(schema: Schema, spec: PartitionSpec) -> tuple[Part, ...]:
    """The partitioning of a table that exists."""
    by_number = {column.number: column for column in columns(schema)}
    return tuple(Part(field.name, str(field.transform), by_number[field.source_id]) for field in spec.fields)


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

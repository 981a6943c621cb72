"""Tables as Iceberg writes them down: columns with their numbers, schema, partitioning and sort order as JSON.

Needs no pyiceberg, whose import takes longer than all else that a small run does: a table is born without it, and
`schemas` makes pyiceberg's own objects of these forms for tables that exist.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tapehouse.errors import LakeError
from tapehouse.lake.spec import TableSpec

FIRST_PARTITION_FIELD = 1000
_NAMES: dict[pa.DataType, str] = {
    pa.bool_(): "boolean",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.date32(): "date",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", "UTC"): "timestamptz",
    pa.large_string(): "string",
    pa.large_binary(): "binary",
}
Form = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A top-level column: its number in the table, name, type as `plain` has it, and whether null is refused."""

    number: int
    name: str
    kind: pa.DataType
    required: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A partition field: its name, what it does (`hour`, `identity`) and to which column."""

    name: str
    transform: str
    source: Column


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


def columns(schema: pa.Schema) -> tuple[Column, ...]:
    """The columns of a new table, numbered from 1 in order."""
    return tuple(
        Column(number, field.name, plain(field.type), not field.nullable)
        for number, field in enumerate(schema, start=1)
    )


def schema_form(schema: pa.Schema) -> Form:
    """The schema of a new table: columns numbered first, what they nest after them; LakeError names a column whose type
    has no place in Iceberg.
    """
    fields = _fields(list(schema), itertools.count(1), "")
    return {"type": "struct", "fields": fields, "schema-id": 0, "identifier-field-ids": []}


def highest_number(form: str | Form) -> int:
    """The highest number that a schema or type gives to anything in it; 0 for none."""
    if isinstance(form, str):
        return 0
    numbers: list[int] = [form.get("element-id", 0), highest_number(form.get("element", ""))]
    for field in form.get("fields", ()):
        numbers += [field["id"], highest_number(field["type"])]
    return max(numbers)


def name_mapping(form: Form) -> list[Form]:
    """Which column is meant by a name in a data file that carries no numbers."""
    return [
        {"names": [field["name"]], "field-id": field["id"], **_nested_mapping(field["type"])}
        for field in form["fields"]
    ]


def parts(spec: TableSpec) -> tuple[Part, ...]:
    """The partitioning of a new table."""
    if spec.partition_by is None:
        return ()
    transform, name = spec.partition_by
    source = next(column for column in columns(spec.schema) if column.name == name)
    return (Part(name if transform == "identity" else f"{name}_{transform}", transform, source),)


def partition_fields(spec: TableSpec) -> list[Form]:
    """The fields of a new table's partition spec."""
    return [
        {"source-id": part.source.number, "field-id": number, "transform": part.transform, "name": part.name}
        for number, part in enumerate(parts(spec), start=FIRST_PARTITION_FIELD)
    ]


def sort_order(spec: TableSpec) -> Form:
    """A new table's sort order; order 0 is none."""
    numbers = {column.name: column.number for column in columns(spec.schema)}
    fields = [
        {"source-id": numbers[name], "transform": "identity", "direction": "asc", "null-order": "nulls-first"}
        for name in spec.sort
    ]
    return {"order-id": 1 if fields else 0, "fields": fields}


def _fields(fields: list[pa.Field], numbers: Iterator[int], path: str) -> list[Form]:
    ids = [next(numbers) for _ in fields]
    return [
        {
            "id": number,
            "name": field.name,
            "type": _type(field.type, numbers, path + field.name),
            "required": not field.nullable,
        }
        for number, field in zip(ids, fields, strict=True)
    ]


def _type(kind: pa.DataType, numbers: Iterator[int], path: str) -> str | Form:
    kind = plain(kind)
    if kind in _NAMES:
        return _NAMES[kind]
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if pa.types.is_large_list(kind):
        number, required = next(numbers), not kind.value_field.nullable
        element = _type(kind.value_type, numbers, f"{path}[]")
        return {"type": "list", "element-id": number, "element": element, "element-required": required}
    if pa.types.is_struct(kind):
        return {"type": "struct", "fields": _fields(list(kind), numbers, f"{path}.")}
    raise LakeError(
        f"column {path}: type {kind} has no place in an Iceberg v2 table",
        fix="store nanoseconds and unsigned numbers as int64; timestamps in microseconds",
    )


def _nested_mapping(kind: str | Form) -> Form:
    if isinstance(kind, str):
        return {}
    if kind["type"] == "list":
        element = {"names": ["element"], "field-id": kind["element-id"], **_nested_mapping(kind["element"])}
        return {"fields": [element]}
    return {"fields": name_mapping(kind)}

"""The two kinds of Avro files between a snapshot and its data files: a manifest of files, and the list of manifests.

Only those of a table's first snapshot are written here: all files added, nothing before them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tapehouse.lake.iceberg.avro import container
from tapehouse.lake.iceberg.forms import FIRST_PARTITION_FIELD, Form, Part
from tapehouse.lake.iceberg.statistics import FileFacts
from tapehouse.lake.iceberg.values import avro_type, result_type, to_bytes

_ADDED = 1
_FORMAT = {"format-version": "2"}


def manifest(
    files: Sequence[FileFacts], schema: Form, spec: Sequence[Form], parts: Sequence[Part], snapshot: int
) -> bytes:
    """The manifest of data files that snapshot number `snapshot` adds."""
    facts = {"schema": json.dumps(schema), "partition-spec": json.dumps(spec), "partition-spec-id": "0", **_FORMAT}
    rows = [(_ADDED, snapshot, None, None, _file(file)) for file in files]
    return container(_entry_schema(parts), rows, {**facts, "content": "data"})


def manifest_list(path: str, size: int, files: Sequence[FileFacts], parts: Sequence[Part], snapshot: int) -> bytes:
    """The list that holds one manifest: that of `files`, `size` bytes at `path`."""
    rows = sum(file.rows for file in files)
    summaries = [_summary(part, [file.partition[place] for file in files]) for place, part in enumerate(parts)]
    row = (path, size, 0, 0, 1, 1, snapshot, len(files), 0, 0, rows, 0, 0, summaries, None)
    facts = {"snapshot-id": str(snapshot), "parent-snapshot-id": "null", "sequence-number": "1", **_FORMAT}
    return container(_LIST_SCHEMA, [row], facts)


def _file(file: FileFacts) -> tuple[Any, ...]:
    counts, bounds = (file.column_sizes, file.value_counts, file.null_counts), (file.lower_bounds, file.upper_bounds)
    maps: tuple[Mapping[int, Any], ...] = (*counts, {}, *bounds)
    facts = (file.location, "PARQUET", file.partition, file.rows, file.size)
    return (0, *facts, *(one.items() for one in maps), None, file.split_offsets, None, None)


def _summary(part: Part, values: Sequence[Any]) -> tuple[Any, ...]:
    """Whether nulls and NaNs are among a partition field's values, and the bounds of the others."""
    kind, nan = result_type(part), any(value != value for value in values)
    known = [value for value in values if value is not None and value == value]
    bounds = (to_bytes(kind, min(known)), to_bytes(kind, max(known))) if known else (None, None)
    return (None in values, nan, *bounds)


def _field(name: str, number: int, kind: Any, *, optional: bool = False) -> Form:
    shape = {"name": name, "field-id": number}
    return {**shape, "type": ["null", kind], "default": None} if optional else {**shape, "type": kind}


def _map(name: str, number: int, key: int, value: int, kind: str) -> Form:
    """A map from column numbers; Avro knows only text as keys, so Iceberg writes pairs."""
    pair = [_field("key", key, "int"), _field("value", value, kind)]
    items = {"type": "record", "name": f"k{key}_v{value}", "fields": pair}
    return _field(name, number, {"type": "array", "items": items, "logicalType": "map"}, optional=True)


def _list(name: str, number: int, element: int, items: Any) -> Form:
    return _field(name, number, {"type": "array", "element-id": element, "items": items}, optional=True)


def _entry_schema(parts: Sequence[Part]) -> Form:
    partition = [
        _field(part.name, number, avro_type(part), optional=True)
        for number, part in enumerate(parts, start=FIRST_PARTITION_FIELD)
    ]
    file = [
        _field("content", 134, "int"),
        _field("file_path", 100, "string"),
        _field("file_format", 101, "string"),
        _field("partition", 102, {"type": "record", "name": "r102", "fields": partition}),
        _field("record_count", 103, "long"),
        _field("file_size_in_bytes", 104, "long"),
        _map("column_sizes", 108, 117, 118, "long"),
        _map("value_counts", 109, 119, 120, "long"),
        _map("null_value_counts", 110, 121, 122, "long"),
        _map("nan_value_counts", 137, 138, 139, "long"),
        _map("lower_bounds", 125, 126, 127, "bytes"),
        _map("upper_bounds", 128, 129, 130, "bytes"),
        _field("key_metadata", 131, "bytes", optional=True),
        _list("split_offsets", 132, 133, "long"),
        _list("equality_ids", 135, 136, "int"),
        _field("sort_order_id", 140, "int", optional=True),
    ]
    entry = [
        _field("status", 0, "int"),
        _field("snapshot_id", 1, "long", optional=True),
        _field("sequence_number", 3, "long", optional=True),
        _field("file_sequence_number", 4, "long", optional=True),
        _field("data_file", 2, {"type": "record", "name": "r2", "fields": file}),
    ]
    return {"type": "record", "name": "manifest_entry", "fields": entry}


_SUMMARY = [
    _field("contains_null", 509, "boolean"),
    _field("contains_nan", 518, "boolean", optional=True),
    _field("lower_bound", 510, "bytes", optional=True),
    _field("upper_bound", 511, "bytes", optional=True),
]
_LIST_SCHEMA = {
    "type": "record",
    "name": "manifest_file",
    "fields": [
        _field("manifest_path", 500, "string"),
        _field("manifest_length", 501, "long"),
        _field("partition_spec_id", 502, "int"),
        _field("content", 517, "int"),
        _field("sequence_number", 515, "long"),
        _field("min_sequence_number", 516, "long"),
        _field("added_snapshot_id", 503, "long"),
        _field("added_files_count", 504, "int"),
        _field("existing_files_count", 505, "int"),
        _field("deleted_files_count", 506, "int"),
        _field("added_rows_count", 512, "long"),
        _field("existing_rows_count", 513, "long"),
        _field("deleted_rows_count", 514, "long"),
        _list("partitions", 507, 508, {"type": "record", "name": "r508", "fields": _SUMMARY}),
        _field("key_metadata", 519, "bytes", optional=True),
    ],
}

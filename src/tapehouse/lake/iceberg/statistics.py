"""From a Parquet footer to an Iceberg data file: counts, bounds, and the one partition all rows lie in.

Done here and not with pyiceberg's `add_files`, for three reasons: it imports pandas through pyarrow's dataset module;
it gives a column bounds that are too narrow when only some row groups carry statistics; and it does not look whether
a required column really has no null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tapehouse.errors import LakeError
from tapehouse.lake.iceberg.forms import Column, Part, plain
from tapehouse.lake.iceberg.values import WHOLE, partition_value, to_bytes
from tapehouse.lake.place import Place

_BOUND_CHARACTERS = 16  # Iceberg's default for text bounds
_EXACT_TEXT_BYTES = 60  # writers may cut longer statistics
_HIGHEST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a table records of a data file. `location` is as Iceberg's metadata names it, `size` is in bytes,
    `partition` has a value for each partition field, maps are by column number, bounds in Iceberg's single-value form.
    """

    location: str
    rows: int
    size: int
    partition: tuple[Any, ...]
    column_sizes: dict[int, int]
    value_counts: dict[int, int]
    null_counts: dict[int, int]
    lower_bounds: dict[int, bytes]
    upper_bounds: dict[int, bytes]
    split_offsets: list[int]


@dataclass
class _Total:
    """Totals of one column over all row groups; `bounded` turns false when some group with values has no bounds."""

    bytes: int = 0
    values: int = 0
    nulls: int = 0
    counted: bool = True
    bounded: bool = True
    low: Any = None
    high: Any = None


def describe(path: Path, columns: Sequence[Column], parts: Sequence[Part], place: Place) -> FileFacts:
    """Describe the Parquet file at `path` for a table; LakeError if it does not fit the columns or one partition."""
    footer, size = place.metadata(path)
    check_columns(path, footer.schema.to_arrow_schema(), columns)
    totals = _totals(footer, columns)
    _check_required(path, totals, columns)
    kinds = {column.number: column.kind for column in columns}
    bounded = {number: total for number, total in totals.items() if total.bounded and total.low is not None}
    upper = {number: _upper(kinds[number], total.high) for number, total in bounded.items()}
    return FileFacts(
        location=place.location(path),
        rows=footer.num_rows,
        size=size,
        partition=tuple(_partition_value(path, footer.num_rows, totals, part) for part in parts),
        column_sizes={number: total.bytes for number, total in totals.items()},
        value_counts={number: total.values for number, total in totals.items()},
        null_counts={number: total.nulls for number, total in totals.items() if total.counted},
        lower_bounds={number: _lower(kinds[number], total.low) for number, total in bounded.items()},
        upper_bounds={number: bound for number, bound in upper.items() if bound is not None},
        split_offsets=sorted(_start(footer.row_group(number)) for number in range(footer.num_row_groups)),
    )


def check_columns(path: Path, found: pa.Schema, columns: Sequence[Column]) -> None:
    """LakeError unless the file's columns are the table's: none unknown, none of another type, none required absent."""
    table = {column.name: column for column in columns}
    for field in found:
        if field.name not in table:
            raise LakeError(f"{path}: column {field.name} is not in the table", fix="add it to the table's spec")
        wanted = table[field.name].kind
        if not _alike(plain(field.type), wanted):
            raise LakeError(f"{path}: column {field.name} is {field.type}, the table has {wanted}")
    absent = [column.name for column in columns if column.required and column.name not in found.names]
    if absent:
        raise LakeError(f"{path}: required columns absent: {', '.join(absent)}")


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Equal but for nullability inside nested types, which Parquet writers do not all keep."""
    if pa.types.is_large_list(one) and pa.types.is_large_list(other):
        return _alike(one.value_type, other.value_type)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        names = [field.name for field in one] == [field.name for field in other]
        return names and all(_alike(one.field(i).type, other.field(i).type) for i in range(one.num_fields))
    return bool(one == other)


def _totals(footer: pq.FileMetaData, columns: Sequence[Column]) -> dict[int, _Total]:
    numbers = {column.name: column for column in columns if not pa.types.is_nested(column.kind)}
    positions = [(i, numbers.get(footer.schema.column(i).path)) for i in range(footer.num_columns)]
    totals: dict[int, _Total] = {}
    for group_number in range(footer.num_row_groups):
        group = footer.row_group(group_number)
        for position, column in positions:
            if column is not None:
                total = totals.setdefault(column.number, _Total())
                _add(total, group.column(position), column.kind)
    return totals


def _add(total: _Total, chunk: pq.ColumnChunkMetaData, kind: pa.DataType) -> None:
    total.bytes += chunk.total_compressed_size
    total.values += chunk.num_values
    found = chunk.statistics
    if found is None or not found.has_null_count:
        total.counted = total.bounded = False
        return
    total.nulls += found.null_count
    if found.null_count == chunk.num_values:
        return
    low, high = _bounds(found, kind) if found.has_min_max else (None, None)
    if low is None or high is None:
        total.bounded = False
        return
    total.low = low if total.low is None else min(total.low, low)
    total.high = high if total.high is None else max(total.high, high)


def _bounds(found: pq.Statistics, kind: pa.DataType) -> tuple[Any, Any]:
    if kind in WHOLE:
        return found.min_raw, found.max_raw
    low, high = found.min, found.max
    if pa.types.is_decimal(kind) and not isinstance(low, Decimal):
        return None, None
    if pa.types.is_floating(kind) and (math.isnan(low) or math.isnan(high)):
        return None, None
    return low, high


def _lower(kind: pa.DataType, value: Any) -> bytes:
    return to_bytes(kind, value[:_BOUND_CHARACTERS] if isinstance(value, (str, bytes)) else value)


def _upper(kind: pa.DataType, value: Any) -> bytes | None:
    if isinstance(value, str):
        # A writer may have cut a long text's statistic already: cut once more it is raised, but not if it stays whole.
        unsure = len(value) <= _BOUND_CHARACTERS and len(value.encode()) > _EXACT_TEXT_BYTES
        text = None if unsure else _raised(value)
        return None if text is None else text.encode()
    if isinstance(value, bytes) and len(value) > _BOUND_CHARACTERS:
        return None
    return to_bytes(kind, value)


def _raised(text: str) -> str | None:
    """The text if it is short, else a short one above all that begin as it does; None where there is none."""
    if len(text) <= _BOUND_CHARACTERS:
        return text
    for last in range(_BOUND_CHARACTERS - 1, -1, -1):
        code = ord(text[last]) + 1
        if code <= _HIGHEST_CHARACTER:
            return text[:last] + chr(_SURROGATES.stop if code in _SURROGATES else code)
    return None


def _check_required(path: Path, totals: dict[int, _Total], columns: Sequence[Column]) -> None:
    for column in columns:
        total = totals.get(column.number)
        if column.required and total is not None and (total.nulls or not total.counted):
            raise LakeError(f"{path}: required column {column.name} holds {total.nulls} nulls (or is not counted)")


def _partition_value(path: Path, rows: int, totals: dict[int, _Total], part: Part) -> Any:
    total, name = totals.get(part.source.number), part.source.name
    if rows == 0:
        raise LakeError(f"{path} has no rows, so no partition", fix="stage only files with rows")
    if total is None or (total.counted and total.nulls == rows):
        return None
    if total.nulls or not total.bounded or total.low is None:
        raise LakeError(f"{path}: {name} has nulls or no statistics, so the file is not in one partition")
    low, high = partition_value(part, total.low), partition_value(part, total.high)
    cut = isinstance(low, str) and len(low.encode()) > _EXACT_TEXT_BYTES
    if low != high or cut:
        raise LakeError(f"{path}: {name} spans partitions {low} to {high} of {part.name}", fix="write one file each")
    return low


def _start(group: pq.RowGroupMetaData) -> int:
    first = group.column(0)
    return int(first.dictionary_page_offset if first.has_dictionary_page else first.data_page_offset)

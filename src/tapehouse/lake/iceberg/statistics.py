"""From a Parquet footer to an Iceberg data file: counts, bounds, and the one partition all rows lie in.

Done here and not with pyiceberg's `add_files`, for three reasons: it imports pandas through pyarrow's dataset module;
it gives a column bounds that are too narrow when only some row groups carry statistics; and it does not look whether
a required column really has no null.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import (
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    PrimitiveType,
    StringType,
    TimestampType,
    TimestamptzType,
)
from pyiceberg.utils.truncate import truncate_upper_bound_text_string

from tapehouse.errors import LakeError
from tapehouse.lake.iceberg.schemas import plain, to_arrow

_BOUND_CHARACTERS = 16  # Iceberg's default for text bounds
_EXACT_TEXT_BYTES = 60  # writers may cut longer statistics
_RAW = (IntegerType, LongType, DateType, TimestampType, TimestamptzType)


@dataclass
class _Column:
    """Totals of one column over all row groups; `bounded` turns false when some group with values has no bounds."""

    bytes: int = 0
    values: int = 0
    nulls: int = 0
    counted: bool = True
    bounded: bool = True
    low: Any = None
    high: Any = None


def data_file(path: Path, schema: Schema, spec: PartitionSpec) -> DataFile:
    """Describe the Parquet file at `path` for a table; LakeError if it does not fit the schema or one partition."""
    footer = pq.read_metadata(path)
    check_columns(path, footer.schema.to_arrow_schema(), schema)
    columns = _columns(footer, schema)
    _check_required(path, columns, schema)
    bounded = {number: column for number, column in columns.items() if column.bounded and column.low is not None}
    lower = {number: _lower(schema.find_type(number), column.low) for number, column in bounded.items()}
    upper = {number: _upper(schema.find_type(number), column.high) for number, column in bounded.items()}
    result = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=str(path),
        file_format=FileFormat.PARQUET,
        partition=_partition(path, footer.num_rows, columns, schema, spec),
        record_count=footer.num_rows,
        file_size_in_bytes=path.stat().st_size,
        column_sizes={number: column.bytes for number, column in columns.items()},
        value_counts={number: column.values for number, column in columns.items()},
        null_value_counts={number: column.nulls for number, column in columns.items() if column.counted},
        nan_value_counts={},
        lower_bounds=lower,
        upper_bounds={number: bound for number, bound in upper.items() if bound is not None},
        key_metadata=None,
        split_offsets=sorted(_start(footer.row_group(number)) for number in range(footer.num_row_groups)),
        equality_ids=None,
        sort_order_id=None,
    )
    result.spec_id = spec.spec_id
    return result


def check_columns(path: Path, found: pa.Schema, schema: Schema) -> None:
    """LakeError unless the file's columns are the table's: none unknown, none of another type, none required absent."""
    table = to_arrow(schema)
    for field in found:
        if field.name not in table.names:
            raise LakeError(f"{path}: column {field.name} is not in the table", fix="add it to the table's spec")
        wanted = plain(table.field(field.name).type)
        if not _alike(plain(field.type), wanted):
            raise LakeError(f"{path}: column {field.name} is {field.type}, the table has {wanted}")
    absent = [field.name for field in table if not field.nullable and field.name not in found.names]
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


def _columns(footer: pq.FileMetaData, schema: Schema) -> dict[int, _Column]:
    numbers = {field.name: field for field in schema.fields if isinstance(field.field_type, PrimitiveType)}
    positions = [(i, numbers.get(footer.schema.column(i).path)) for i in range(footer.num_columns)]
    columns: dict[int, _Column] = {}
    for group_number in range(footer.num_row_groups):
        group = footer.row_group(group_number)
        for position, field in positions:
            if field is not None:
                column = columns.setdefault(field.field_id, _Column())
                _add(column, group.column(position), field.field_type)
    return columns


def _add(column: _Column, chunk: pq.ColumnChunkMetaData, kind: IcebergType) -> None:
    column.bytes += chunk.total_compressed_size
    column.values += chunk.num_values
    found = chunk.statistics
    if found is None or not found.has_null_count:
        column.counted = column.bounded = False
        return
    column.nulls += found.null_count
    if found.null_count == chunk.num_values:
        return
    low, high = _bounds(found, kind) if found.has_min_max else (None, None)
    if low is None or high is None:
        column.bounded = False
        return
    column.low = low if column.low is None else min(column.low, low)
    column.high = high if column.high is None else max(column.high, high)


def _bounds(found: pq.Statistics, kind: IcebergType) -> tuple[Any, Any]:
    if isinstance(kind, _RAW):
        return found.min_raw, found.max_raw
    if isinstance(kind, DecimalType) and not isinstance(found.min, Decimal):
        return None, None
    if isinstance(kind, (DoubleType, FloatType)) and (math.isnan(found.min) or math.isnan(found.max)):
        return None, None
    return found.min, found.max


def _lower(kind: IcebergType, value: Any) -> bytes:
    assert isinstance(kind, PrimitiveType)  # noqa: S101  (only such columns are counted)
    return to_bytes(kind, value[:_BOUND_CHARACTERS] if isinstance(value, (str, bytes)) else value)


def _upper(kind: IcebergType, value: Any) -> bytes | None:
    if isinstance(kind, StringType):
        # A writer may have cut a long text's statistic already: cut once more it is raised, but not if it stays whole.
        unsure = len(value) <= _BOUND_CHARACTERS and len(value.encode()) > _EXACT_TEXT_BYTES
        text = None if unsure else truncate_upper_bound_text_string(value, _BOUND_CHARACTERS)
        return None if text is None else to_bytes(kind, text)
    if isinstance(value, bytes):
        return to_bytes(kind, value) if isinstance(kind, PrimitiveType) and len(value) <= _BOUND_CHARACTERS else None
    return to_bytes(kind, value) if isinstance(kind, PrimitiveType) else None


def _check_required(path: Path, columns: dict[int, _Column], schema: Schema) -> None:
    for field in schema.fields:
        column = columns.get(field.field_id)
        if field.required and column is not None and (column.nulls or not column.counted):
            raise LakeError(f"{path}: required column {field.name} holds {column.nulls} nulls (or is not counted)")


def _partition(path: Path, rows: int, columns: dict[int, _Column], schema: Schema, spec: PartitionSpec) -> Record:
    return Record(*(_partition_value(path, rows, columns, schema, part) for part in spec.fields))


def _partition_value(path: Path, rows: int, columns: dict[int, _Column], schema: Schema, part: Any) -> Any:
    source, name = schema.find_type(part.source_id), schema.find_column_name(part.source_id)
    column = columns.get(part.source_id)
    if rows == 0:
        raise LakeError(f"{path} has no rows, so no partition", fix="stage only files with rows")
    if column is None or (column.counted and column.nulls == rows):
        return None
    if column.nulls or not column.bounded or column.low is None:
        raise LakeError(f"{path}: {name} has nulls or no statistics, so the file is not in one partition")
    transform = part.transform.transform(source)
    low, high = transform(column.low), transform(column.high)
    cut = isinstance(low, str) and len(low.encode()) > _EXACT_TEXT_BYTES
    if low != high or cut:
        raise LakeError(f"{path}: {name} spans partitions {low} to {high} of {part.name}", fix="write one file each")
    return low


def _start(group: pq.RowGroupMetaData) -> int:
    first = group.column(0)
    return int(first.dictionary_page_offset if first.has_dictionary_page else first.data_page_offset)

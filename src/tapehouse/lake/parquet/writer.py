"""The file around the pages: headers, footer, and the schema in Parquet's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import BinaryIO

import polars as pl
import pyarrow as pa

from tapehouse import __version__
from tapehouse.lake.parquet.encode import Chunk, ColumnEncoder, Page
from tapehouse.lake.parquet.frames import Buffer, Compressors, memory
from tapehouse.lake.parquet.thrift import Value, binary, flag, i16, i32, i64, listing, struct

_MAGIC = b"PAR1"
_BOOLEAN, _INT32, _INT64, _FLOAT, _DOUBLE, _BYTE_ARRAY = 0, 1, 2, 4, 5, 6
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_UNCOMPRESSED, _ZSTD = 0, 6
_OPTIONAL = 1
_EMPTY = struct({})
# Types of the older and the newer way to say what a column means.
_UTF8, _DECIMAL, _DATE, _TIMESTAMP_MICROS = 0, 5, 6, 10
_LOGICAL_TEXT, _LOGICAL_DECIMAL, _LOGICAL_DATE, _LOGICAL_TIMESTAMP = 1, 5, 6, 8
# Readers parse this, and trust the statistics of writers that they know no faults of.
_CREATED_BY = f"tapehouse version {__version__}"

_PHYSICAL = {
    pa.bool_(): _BOOLEAN,
    pa.int32(): _INT32,
    pa.date32(): _INT32,
    pa.int64(): _INT64,
    pa.timestamp("us", "UTC"): _INT64,
    pa.timestamp("us"): _INT64,
    pa.float32(): _FLOAT,
    pa.float64(): _DOUBLE,
    pa.large_string(): _BYTE_ARRAY,
    pa.large_binary(): _BYTE_ARRAY,
}
# Smaller decimals are four bytes by Iceberg's rules, larger ones more than eight.
_DECIMAL_DIGITS = range(10, 19)


def is_written(kind: pa.DataType) -> bool:
    """Whether this writer knows a type of the lake; nested and rare ones it leaves to others."""
    return kind.precision in _DECIMAL_DIGITS if pa.types.is_decimal128(kind) else kind in _PHYSICAL


def _physical(kind: pa.DataType) -> int:
    return _INT64 if pa.types.is_decimal128(kind) else _PHYSICAL[kind]


def write_file(
    file: BinaryIO,
    columns: Sequence[pl.Series],
    schema: pa.Schema,
    metadata: Mapping[str, str],
    *,
    row_group_rows: int,
) -> None:
    """Write a Parquet file: columns of equal length in the schema's order, decimals as scaled Int64.

    Every type of the schema must be one that `is_written`, and no required column a null.
    """
    compressors, rows = Compressors(), len(columns[0]) if columns else 0
    encoders = [
        ColumnEncoder(column, compressors, required=not field.nullable)
        for column, field in zip(columns, schema, strict=True)
    ]
    groups: list[Value] = []
    position = _write(file, [_MAGIC])
    for start in range(0, rows, row_group_rows):
        chunks: list[Value] = []
        begin, raw, count = position, 0, min(row_group_rows, rows - start)
        for encoder, field in zip(encoders, schema, strict=True):
            meta, size, raw_size = _write_chunk(file, position, encoder.chunk(start, count), field)
            chunks.append(struct({2: i64(position), 3: meta}))
            position, raw = position + size, raw + raw_size
        groups.append(_group(chunks, raw, count, begin, position - begin, len(groups)))
    footer = _footer(schema, rows, groups, metadata)
    _write(file, [footer, len(footer).to_bytes(4, "little"), _MAGIC])


def _write(file: BinaryIO, parts: Sequence[Buffer]) -> int:
    size = 0
    for part in parts:
        file.write(memory(part))
        size += len(part)
    return size


def _group(chunks: list[Value], raw: int, rows: int, begin: int, size: int, number: int) -> Value:
    ordinal = i16(number) if number < 1 << 15 else None
    return struct({1: listing(chunks), 2: i64(raw), 3: i64(rows), 5: i64(begin), 6: i64(size), 7: ordinal})


def _write_chunk(file: BinaryIO, position: int, chunk: Chunk, field: pa.Field) -> tuple[Value, int, int]:
    """Returns the chunk's metadata, its bytes in the file and its bytes before compression, headers counted in both."""
    raw, offset = 0, position
    data_start = position
    encoding = _PLAIN if chunk.dictionary is None else _RLE_DICTIONARY
    for page in chain([chunk.dictionary] if chunk.dictionary else [], chunk.pages):
        header = _page_header(page, encoding, dictionary=page is chunk.dictionary)
        size = _write(file, [header, *page.parts])
        offset, raw = offset + size, raw + len(header) + page.size
        if page is chunk.dictionary:
            data_start = offset
    encodings = [_PLAIN, _RLE] if chunk.dictionary is None else [_PLAIN, _RLE, _RLE_DICTIONARY]
    meta = {
        1: i32(_physical(field.type)),
        2: listing([i32(code) for code in encodings]),
        3: listing([binary(field.name)]),
        4: i32(_ZSTD if chunk.compressed else _UNCOMPRESSED),
        5: i64(chunk.rows),
        6: i64(raw),
        7: i64(offset - position),
        9: i64(data_start),
        11: None if chunk.dictionary is None else i64(position),
        12: _statistics(chunk, field.type),
    }
    return struct(meta), offset - position, raw


def _page_header(page: Page, encoding: int, *, dictionary: bool) -> bytes:
    size = sum(len(part) for part in page.parts)
    head = {1: i32(_DICTIONARY_PAGE if dictionary else _DATA_PAGE), 2: i32(page.size), 3: i32(size)}
    if dictionary:
        return struct({**head, 7: struct({1: i32(page.rows), 2: i32(_PLAIN)})})[1]
    return struct({**head, 5: struct({1: i32(page.rows), 2: i32(encoding), 3: i32(_RLE), 4: i32(_RLE)})})[1]


def _statistics(chunk: Chunk, kind: pa.DataType) -> Value:
    """The older fields have no agreed order for text, so only numbers fill them."""
    low, high = (None if bound is None else binary(bound) for bound in (chunk.low, chunk.high))
    older = _PHYSICAL.get(kind) != _BYTE_ARRAY
    return struct(
        {
            1: high if older else None,
            2: low if older else None,
            3: i64(chunk.nulls),
            5: high,
            6: low,
            7: None if low is None else flag(chunk.exact[1]),
            8: None if low is None else flag(chunk.exact[0]),
        }
    )


def _footer(schema: pa.Schema, rows: int, groups: list[Value], metadata: Mapping[str, str]) -> bytes:
    root = struct({4: binary("root"), 5: i32(len(schema))})
    pairs = [struct({1: binary(key), 2: binary(value)}) for key, value in metadata.items()]
    return struct(
        {
            1: i32(1),
            2: listing([root, *(_element(field) for field in schema)]),
            3: i64(rows),
            4: listing(groups),
            5: listing(pairs),
            6: binary(_CREATED_BY),
            7: listing([struct({1: _EMPTY}) for _ in schema]),
        }
    )[1]


def _element(field: pa.Field) -> Value:
    kind, converted, logical, decimal = field.type, None, None, False
    if pa.types.is_large_string(kind):
        converted, logical = _UTF8, {_LOGICAL_TEXT: _EMPTY}
    elif pa.types.is_date(kind):
        converted, logical = _DATE, {_LOGICAL_DATE: _EMPTY}
    elif pa.types.is_decimal(kind):
        decimal, converted = True, _DECIMAL
        logical = {_LOGICAL_DECIMAL: struct({1: i32(kind.scale), 2: i32(kind.precision)})}
    elif pa.types.is_timestamp(kind):
        converted = _TIMESTAMP_MICROS if kind.tz else None  # the older type means UTC
        logical = {_LOGICAL_TIMESTAMP: struct({1: flag(bool(kind.tz)), 2: struct({2: _EMPTY})})}
    return struct(
        {
            1: i32(_physical(kind)),
            3: i32(_OPTIONAL if field.nullable else 0),
            4: binary(field.name),
            6: None if converted is None else i32(converted),
            7: i32(kind.scale) if decimal else None,
            8: i32(kind.precision) if decimal else None,
            10: None if logical is None else struct(logical),
        }
    )

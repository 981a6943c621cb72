"""Writing Avro object container files, as far as Iceberg's manifests need them."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tapehouse.lake.iceberg.values import unscaled

Schema = str | list[Any] | dict[str, Any]


def container(schema: dict[str, Any], rows: Sequence[Sequence[Any]], facts: Mapping[str, str]) -> bytes:
    """A file of records, deflated; `facts` go into its header. A record is its fields' values in order, a union with
    null its value or None.
    """
    mark = os.urandom(16)
    header = {**facts, "avro.schema": json.dumps(schema), "avro.codec": "deflate"}
    out = bytearray(b"Obj\x01")
    _count(out, len(header))
    for name, text in header.items():
        _bytes(out, name.encode())
        _bytes(out, text.encode())
    out += b"\0" + mark
    body = bytearray()
    for row in rows:
        _write(body, schema, row)
    packer = zlib.compressobj(wbits=-15)
    _count(out, len(rows))
    _bytes(out, packer.compress(body) + packer.flush())
    return bytes(out + mark)


def _write(out: bytearray, schema: Schema, value: Any) -> None:
    if isinstance(schema, list):  # of null and one other
        out.append(0 if value is None else 2)
        if value is not None:
            _write(out, schema[1], value)
        return
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in ("int", "long"):
        _count(out, value)
    elif kind == "string":
        _bytes(out, value.encode())
    elif kind == "bytes":
        _bytes(out, value)
    elif isinstance(schema, dict) and kind == "record":
        for field, part in zip(schema["fields"], value, strict=True):
            _write(out, field["type"], part)
    elif isinstance(schema, dict) and kind == "array":
        _array(out, schema["items"], value)
    else:
        out += _rare(schema, kind, value)


def _rare(schema: Schema, kind: str, value: Any) -> bytes:
    """Types that only partition values and summaries have."""
    if isinstance(value, Decimal) and isinstance(schema, dict):
        return unscaled(value).to_bytes(schema["size"], "big", signed=True)
    return struct.pack({"boolean": "?", "float": "<f", "double": "<d"}[kind], value)


def _array(out: bytearray, items: Schema, values: Iterable[Any]) -> None:
    listed = list(values)
    if listed:
        _count(out, len(listed))
        for value in listed:
            _write(out, items, value)
    out.append(0)


def _count(out: bytearray, number: int) -> None:
    """A number, zigzag and in groups of seven bits."""
    left = (number << 1) ^ (number >> 63)
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)


def _bytes(out: bytearray, content: bytes) -> None:
    _count(out, len(content))
    out += content

"""Thrift's compact protocol, as much as Parquet headers and footers need.

A value is a pair of wire type and bytes; a struct is made from a mapping of field number to value, None left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Value = tuple[int, bytes]

_TRUE, _FALSE, _I16, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 4, 5, 6, 8, 9, 12


def varint(number: int) -> bytes:
    """An unsigned number, seven bits a byte, lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def flag(value: bool) -> Value:
    """A boolean field."""
    return (_TRUE if value else _FALSE), b""


def i16(number: int) -> Value:
    """A 16-bit integer."""
    return _I16, _zigzag(number)


def i32(number: int) -> Value:
    """A 32-bit integer or an enumeration."""
    return _I32, _zigzag(number)


def i64(number: int) -> Value:
    """A 64-bit integer."""
    return _I64, _zigzag(number)


def binary(value: bytes | str) -> Value:
    """Bytes, or text as UTF-8."""
    data = value.encode() if isinstance(value, str) else value
    return _BINARY, varint(len(data)) + data


def listing(values: Sequence[Value], kind: int = _STRUCT) -> Value:
    """A list of values of one type; `kind` is needed for an empty one only."""
    wire = values[0][0] if values else kind
    count = len(values)
    head = bytes([count << 4 | wire]) if count < 15 else bytes([0xF0 | wire]) + varint(count)
    return _LIST, head + b"".join(data for _, data in values)


def struct(fields: Mapping[int, Value | None]) -> Value:
    """A struct of fields in rising order of their numbers, which differ by at most 15."""
    out, last = bytearray(), 0
    for number, value in fields.items():
        if value is not None:
            wire, data = value
            out.append((number - last) << 4 | wire)
            out += data
            last = number
    out.append(0)
    return _STRUCT, bytes(out)

"""A block of delimited text read to columns. What the columns mean is the feed's matter."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from tapehouse import native

# How a column is read, and how a call ends, as csv.h has them.
VIEWS, CODES, INTEGER, DECIMAL, ISO8601 = range(5)
READ, NOT_PLAIN, DICTIONARY_FULL = range(3)
DICTIONARY_MAX, DICTIONARY_SLOTS = 8192, 32768


class Column(ctypes.Structure):
    """`th_column`: one column to be filled, and the memory for it."""

    _fields_ = (
        ("field", ctypes.c_int32),
        ("kind", ctypes.c_int32),
        ("factor", ctypes.c_int64),
        ("limit", ctypes.c_int64),
        ("scale", ctypes.c_int32),
        ("empty_is_null", ctypes.c_int32),
        ("null_texts", ctypes.c_int32),
        ("distinct", ctypes.c_int32),
        ("nulls", ctypes.c_char_p),
        ("values", ctypes.c_void_p),
        ("valid", ctypes.c_void_p),
        ("refused", ctypes.c_void_p),
        ("side", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("slots", ctypes.c_void_p),
        ("side_used", ctypes.c_int64),
        ("nulls_found", ctypes.c_int64),
        ("refusals", ctypes.c_int64),
        ("slot_mask", ctypes.c_uint32),
    )


class Records(ctypes.Structure):
    """`th_records`: where records lie in the block."""

    _fields_ = (
        ("starts", ctypes.c_void_p),
        ("ends", ctypes.c_void_p),
        ("odd_starts", ctypes.c_void_p),
        ("odd_ends", ctypes.c_void_p),
        ("odd_rows", ctypes.c_void_p),
        ("odd_fields", ctypes.c_void_p),
        ("good", ctypes.c_int64),
        ("odd", ctypes.c_int64),
        ("odd_max", ctypes.c_int64),
        ("bytes_max", ctypes.c_int64),
        ("full", ctypes.c_int32),
    )


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a block is divided: bytes that part fields and end records, the quote if fields may be quoted, and the fields
    of a record.
    """

    separator: int
    line_end: int
    quote: int | None
    width: int


def read(data: bytes, grammar: Grammar, columns: ctypes.Array[Column], records: Records) -> int:
    """Fill `columns` and `records` from a block of whole records; returns how it ended."""
    quote = -1 if grammar.quote is None else grammar.quote
    return int(
        _loaded().th_csv_read(
            data, ctypes.c_int64(len(data)), grammar.separator, grammar.line_end, quote, grammar.width,
            columns, len(columns), ctypes.byref(records),
        )
    )  # fmt: skip


def count(data: bytes, byte: int) -> int:
    """How often a byte occurs."""
    return int(_loaded().th_count(data, ctypes.c_int64(len(data)), byte))


def is_ascii(data: bytes) -> bool:
    """Whether all bytes are ASCII and none is NUL. Unlike `bytes.isascii` it lets other threads work meanwhile."""
    return bool(_loaded().th_ascii(data, ctypes.c_int64(len(data))))


def _loaded() -> ctypes.CDLL:
    if native.library is None:
        raise RuntimeError("the native library was not built")
    return native.library

"""Fingerprints and sums of the rows of a frame, by batch. What they mean is `tapehouse.kernel.fingerprint`'s matter."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse import native
from tapehouse.native.columns import code_lengths, memories_of

INT64, INT32, BITS, DOUBLE, VIEW_LENGTHS, CODE_LENGTHS = range(6)
_ROW_BYTES = 8


class _Field(ctypes.Structure):
    _fields_ = (
        ("values", ctypes.c_void_p),
        ("valid", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("offset", ctypes.c_int64),
        ("multiplier", ctypes.c_uint64),
        ("kind", ctypes.c_int32),
    )


class _Sum(ctypes.Structure):
    _fields_ = (("values", ctypes.c_void_p), ("valid", ctypes.c_void_p), ("offset", ctypes.c_int64))


@dataclass(frozen=True, slots=True)
class Field:
    """One column's part of a fingerprint: how its bits are read, and what they are multiplied by."""

    name: str
    kind: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class Totals:
    """By batch ordinal: rows, sums of fingerprints modulo 2^64, and of each measure the sums of its values' high and
    low 32 bits, shape (batches, measures).
    """

    rows: npt.NDArray[np.int64]
    prints: npt.NDArray[np.uint64]
    highs: npt.NDArray[np.int64]
    lows: npt.NDArray[np.int64]

    def sum(self, batch: int, measure: int) -> int:
        """Exact sum of a measure over a batch."""
        return (int(self.highs[batch, measure]) << 32) + int(self.lows[batch, measure])


def count(
    frame: pl.DataFrame,
    fields: Sequence[Field],
    measures: Sequence[str],
    salts: npt.NDArray[np.uint64],
) -> Totals:
    """Totals of rows identified by `_batch` (UInt32, ordinals into `salts`) and `_row` (Int64). Measures are Int64."""
    if native.library is None:
        raise RuntimeError("the native library was not built")
    names = list(dict.fromkeys([*(field.name for field in fields), *measures, "_row"]))
    memories = dict(zip(names, memories_of(frame.select(names)), strict=True))
    row, batch = memories["_row"], frame.get_column("_batch")
    if batch.dtype != pl.UInt32 or frame.schema["_row"] != pl.Int64 or batch.null_count() or row.valid:
        raise TypeError("rows are identified by UInt32 and Int64 without nulls")
    shape = (len(salts), len(measures))
    out = Totals(
        np.zeros(len(salts), np.int64), np.zeros(len(salts), np.uint64), np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
    )  # fmt: skip
    lengths = code_lengths(frame.select(field.name for field in fields if field.kind == CODE_LENGTHS))
    parts, sums = (_Field * len(fields))(), (_Sum * len(measures))()
    for part, field in zip(parts, fields, strict=True):
        memory = memories[field.name]
        part.values, part.valid, part.offset = memory.values, memory.valid, memory.offset
        part.lengths, part.multiplier, part.kind = native.address(lengths), field.multiplier, field.kind
    for one, name in zip(sums, measures, strict=True):
        memory = memories[name]
        one.values, one.valid, one.offset = memory.values, memory.valid, memory.offset
    owners, salts = batch.to_numpy(), np.ascontiguousarray(salts)
    native.library.th_tally(
        parts, len(fields), sums, len(measures), ctypes.c_int64(frame.height),
        ctypes.c_void_p(native.address(owners)), ctypes.c_void_p(row.values + row.offset * _ROW_BYTES),
        ctypes.c_void_p(native.address(salts)),
        *(ctypes.c_void_p(native.address(array)) for array in (out.rows, out.prints, out.highs, out.lows)),
    )  # fmt: skip
    return out

"""Columns whose values are picked from several pieces, without the pieces being put together first."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse import native
from tapehouse.native import arrow
from tapehouse.native.arrow import Buffer, series_over
from tapehouse.native.columns import Memory

Names = npt.NDArray[np.uint32]

_Types = dict[pl.DataType | type[pl.DataType], bytes]
_WIDE: _Types = {pl.Int64: arrow.INT64, pl.UInt64: arrow.UINT64, pl.Float64: arrow.FLOAT64}
_NARROW: _Types = {
    pl.UInt32: arrow.UINT32,
    pl.Int32: arrow.INT32,
    pl.Categorical: arrow.UINT32,
    pl.Date: arrow.DATE32,
}
_VIEW = np.dtype((np.uint64, 2))


class _Piece(ctypes.Structure):
    _fields_ = (
        ("values", ctypes.c_void_p),
        ("valid", ctypes.c_void_p),
        ("offset", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("buffers", ctypes.c_uint64),
    )


class _Order(ctypes.Structure):
    _fields_ = (
        ("pieces", ctypes.c_void_p),
        ("names", ctypes.c_void_p),
        ("runs", ctypes.c_void_p),
        ("run_count", ctypes.c_int64),
        ("bits", ctypes.c_int32),
    )


def is_gathered(kind: pl.DataType) -> bool:
    """Whether there are loops for columns of that type."""
    return native.library is not None and kind.base_type() in {*_WIDE, *_NARROW, pl.String, pl.Boolean}


class Order:
    """Rows picked from pieces: row i is the one that `names[i]` names, by the number of its piece and in the lowest
    `bits` bits its position there.
    """

    def __init__(self, names: Names, bits: int) -> None:
        self.names, self.bits = np.ascontiguousarray(names), bits
        self._runs = np.empty((0, 2), np.uint32) if native.library is None else self._find(native.library)

    def _find(self, library: ctypes.CDLL) -> npt.NDArray[np.uint32]:
        runs = np.empty((len(self.names), 2), np.uint32)  # pages that are not written to take no memory
        found = library.th_runs(_pointer(self.names), ctypes.c_int64(len(self.names)), self.bits, _pointer(runs))
        if found < 0:
            raise MemoryError
        return runs[:found]

    def gather(self, name: str, kind: pl.DataType, memories: Sequence[Memory]) -> pl.Series:
        """The column `name` of a type that `is_gathered`, out of its pieces."""
        library, count = native.library, len(self.names)
        if library is None:
            raise RuntimeError("the native library was not built")
        pieces, buffers = (_Piece * len(memories))(), list[Buffer]()
        for piece, memory in zip(pieces, memories, strict=True):
            piece.values, piece.valid, piece.offset = memory.values, memory.valid, memory.offset
            piece.rows, piece.buffers = memory.column.rows, len(buffers)
            buffers += memory.column.data
        addresses = map(native.address, (self.names, self._runs))
        order = ctypes.byref(_Order(ctypes.addressof(pieces), *addresses, len(self._runs), self.bits))
        valid = _bits(library, order, count, what=1) if any(memory.valid for memory in memories) else None
        if kind == pl.Boolean:
            return series_over(name, arrow.BOOLEAN, count, valid, _bits(library, order, count, what=0))
        if kind == pl.String:
            out = np.empty(count, _VIEW)
            library.th_gather_views(order, _pointer(out))
            return series_over(name, arrow.STRING_VIEW, count, valid, out, *buffers)
        base = kind.base_type()
        if base in _WIDE:
            out = np.empty(count, np.uint64)
            library.th_gather_8(order, _pointer(out))
            return series_over(name, _WIDE[base], count, valid, out)
        out = np.empty(count, np.uint32)
        library.th_gather_4(order, _pointer(out))
        numbers = series_over(name, _NARROW[base], count, valid, out)
        return numbers.cat.to(kind) if kind == pl.Categorical else numbers


def _pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(native.address(array))


def _bits(library: ctypes.CDLL, order: object, count: int, *, what: int) -> npt.NDArray[np.uint8]:
    out = native.bits(count, ones=False)
    library.th_gather_bits(order, what, _pointer(out))
    return out

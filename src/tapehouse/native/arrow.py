"""Arrow's C data interface in ctypes: columns go to Polars and come from it as addresses, without copying.

This is what the compiled loops need of Arrow. pyarrow would bring it too, with 100 MB of libraries that functions in
the cloud have no room for.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

# Formats of the interface: https://arrow.apache.org/docs/format/CDataInterface.html
BOOLEAN, INT32, UINT32, INT64, UINT64, FLOAT64, DATE32 = b"b", b"i", b"I", b"l", b"L", b"g", b"tdD"
STRING_VIEW = b"vu"
_OF_NUMPY = {
    "int8": b"c", "int16": b"s", "int32": INT32, "int64": INT64,
    "uint8": b"C", "uint16": b"S", "uint32": UINT32, "uint64": UINT64,
    "float32": b"f", "float64": FLOAT64,
}  # fmt: skip
_NULLABLE = 2
# A capsule keeps the address of its name.
_SCHEMA_NAME, _ARRAY_NAME, _STREAM_NAME = b"arrow_schema", b"arrow_array", b"arrow_array_stream"

_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Get = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class _Schema(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p),
        ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private", ctypes.c_void_p),
    )


class _Array(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
        ("children", ctypes.POINTER(ctypes.c_void_p)),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private", ctypes.c_void_p),
    )


class _Stream(ctypes.Structure):
    _fields_ = (
        ("get_schema", ctypes.c_void_p),
        ("get_next", ctypes.c_void_p),
        ("get_last_error", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory that lives as long as `owner`: `size` bytes at `address`."""

    address: int
    size: int
    owner: object


# ---- to Polars ---------------------------------------------------------------------------------------------------

# What the exported arrays are made of, until their reader lets go of them. Only whole operations on the dictionary are
# used: the callback may come from any thread.
_held: dict[int, object] = {}
_numbers = itertools.count(1)


def _let_go(address: int, held: dict[int, object] = _held, array: type[_Array] = _Array) -> None:
    # Its globals are bound as defaults: the last series may go when the module is gone already.
    given = array.from_address(address)
    held.pop(given.private, None)
    given.release = None


def _nothing_held(address: int, schema: type[_Schema] = _Schema) -> None:
    schema.from_address(address).release = None


_let_go_c, _nothing_held_c = _Release(_let_go), _Release(_nothing_held)
_LET_GO = ctypes.cast(_let_go_c, ctypes.c_void_p).value
_NOTHING_HELD = ctypes.cast(_nothing_held_c, ctypes.c_void_p).value


class _Export:
    """An array behind the Arrow PyCapsule interface, to be read once and while this object lives."""

    __slots__ = ("_array", "_schema")

    def __init__(self, kind: bytes, rows: int, buffers: Sequence[Buffer | None]) -> None:
        addresses = (ctypes.c_void_p * len(buffers))(*(None if one is None else one.address for one in buffers))
        number = next(_numbers)
        _held[number] = (addresses, buffers)
        # The nulls are not counted: Polars does that where it needs to know.
        nulls = 0 if buffers[0] is None else -1
        pointer = ctypes.cast(addresses, ctypes.POINTER(ctypes.c_void_p))
        self._array = _Array(rows, nulls, 0, len(buffers), 0, pointer, None, None, _LET_GO, number)
        self._schema = _Schema(kind, b"", None, _NULLABLE, 0, None, None, _NOTHING_HELD, None)

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        return (
            _new_capsule(ctypes.addressof(self._schema), _SCHEMA_NAME, None),
            _new_capsule(ctypes.addressof(self._array), _ARRAY_NAME, None),
        )

    def close(self) -> None:
        """Let go of an array that nobody took."""
        if self._array.release:
            _let_go(ctypes.addressof(self._array))


def numpy_format(kind: np.dtype[np.generic]) -> bytes:
    """Format of a NumPy number type; KeyError for others."""
    return _OF_NUMPY[kind.name]


def buffer_of(values: npt.NDArray[np.generic] | Buffer) -> Buffer:
    """The memory of a contiguous array; it must not be written to any more."""
    if isinstance(values, Buffer):
        return values
    if not values.flags.c_contiguous:
        raise ValueError("Arrow reads contiguous arrays only")
    return Buffer(values.ctypes.data, values.nbytes, values)


def series_over(
    name: str,
    kind: bytes,
    rows: int,
    valid: npt.NDArray[np.generic] | None,
    *buffers: npt.NDArray[np.generic] | Buffer,
) -> pl.Series:
    """A series of Arrow format `kind` over these buffers, which nobody may write to any more. `valid` has a bit a row.

    The first buffer holds the values; those after it are what the views of text point into.
    """
    parts: list[Buffer | None] = [None if valid is None else buffer_of(valid), *map(buffer_of, buffers)]
    if kind == STRING_VIEW:
        parts.append(buffer_of(np.array([part.size for part in parts[2:] if part is not None], np.int64)))
    export = _Export(kind, rows, parts)
    try:
        return pl.Series(export).alias(name)  # Polars would take an empty name from the array
    finally:
        export.close()


# ---- from Polars -------------------------------------------------------------------------------------------------


class _Table:
    """The arrays of one chunk of a frame, which live as long as this object."""

    __slots__ = ("root",)

    def __init__(self, root: _Array) -> None:
        self.root = root

    def __del__(self) -> None:
        if self.root.release:
            _Release(self.root.release)(ctypes.addressof(self.root))


@dataclass(frozen=True, slots=True)
class Column:
    """A column's memory: `buffers` are the addresses of validity (0: no nulls), values and what views point into; row i
    is element `offset + i`. `data_bytes` are the sizes of the buffers that views point into.
    """

    rows: int
    offset: int
    buffers: tuple[int, ...]
    data_bytes: tuple[int, ...]
    owner: object

    @property
    def data(self) -> list[Buffer]:
        """What the views of a text column point into."""
        return [Buffer(at, size, self.owner) for at, size in zip(self.buffers[2:], self.data_bytes, strict=True)]


def columns_of(frame: pl.DataFrame) -> list[Column]:
    """The memory of every column of a frame of one chunk; text as string views."""
    capsule = frame.__arrow_c_stream__()
    address = _capsule_pointer(capsule, _STREAM_NAME)
    root, more = _Array(), _Array()
    get_next = _Get(_Stream.from_address(address).get_next)
    if get_next(address, ctypes.addressof(root)):
        raise MemoryError("Polars could not hand over a frame")
    if not root.release:
        return [Column(0, 0, (0, 0), (), None) for _ in frame.columns]
    table = _Table(root)
    if get_next(address, ctypes.addressof(more)) or more.release:
        _Table(more)
        raise ValueError("a frame of several chunks has no one memory")
    texts = [kind == pl.String for kind in frame.dtypes]
    return [_column(_Array.from_address(root.children[number]), table, views=text) for number, text in enumerate(texts)]


def _column(array: _Array, table: _Table, *, views: bool) -> Column:
    addresses = [array.buffers[index] or 0 for index in range(array.n_buffers)]
    sizes: tuple[int, ...] = ()
    if views:
        count, at = len(addresses) - 3, addresses.pop()
        sizes = tuple((ctypes.c_int64 * count).from_address(at)) if count else ()
    if not array.null_count:
        addresses[0] = 0
    return Column(array.length, array.offset, tuple(addresses), sizes, table)

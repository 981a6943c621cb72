"""Values laid out as Parquet's pages want them: by the compiled loops, or without them by NumPy and pyarrow, alike."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tapehouse import native

Bytes = npt.NDArray[np.uint8]

_VIEW_BYTES = 16


def _compiled() -> ctypes.CDLL | None:
    """The library, if it is one that has these loops."""
    library = native.library
    if library is None or not hasattr(library, "th_plain_text"):
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    for name, arguments, result in (
        ("th_low_bytes", (pointer, number, number, pointer), None),
        ("th_seen", (pointer, number, pointer), None),
        ("th_places", (pointer, number, pointer, pointer), None),
        ("th_plain_text", (pointer, pointer, number, pointer, pointer), number),
    ):
        loop = getattr(library, name)
        loop.argtypes, loop.restype = arguments, result
    return library


_library = _compiled()
if _library is None:
    import pyarrow.compute  # now, and not when the threads that write come to need it


def low_bytes(values: npt.NDArray[np.int64], low: int) -> Bytes:
    """The `low` lowest bytes of each value, one value after the other."""
    size = len(values) * low
    if _library is not None:
        out = np.empty(size + 8, np.uint8)
        _library.th_low_bytes(native.address(values), len(values), low, native.address(out))
        return out[:size]
    every = values.view(np.uint8).reshape(-1, 8)
    out = np.empty(size, np.uint8)
    for place in range(low):
        out[place::low] = every[:, place]
    return out


def places(numbers: npt.NDArray[np.uint16], span: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """The numbers that occur, rising, and for each number its place among them (a byte if at most 256 occur).

    All numbers are below `span`.
    """
    seen = np.zeros(span, np.uint8)
    if _library is not None:
        _library.th_seen(native.address(numbers), len(numbers), native.address(seen))
    else:
        seen[numbers] = 1
    present = np.flatnonzero(seen)
    table = np.cumsum(seen, dtype=np.uint32) - 1
    if len(present) > 256:
        return present, table.astype(np.uint16).take(numbers, mode="clip")
    narrow = table.astype(np.uint8)
    if _library is None:
        return present, narrow.take(numbers, mode="clip")
    out = np.empty(len(numbers), np.uint8)
    _library.th_places(native.address(numbers), len(numbers), native.address(narrow), native.address(out))
    return present, out


def bit_packed(codes: npt.NDArray[Any], width: int) -> Bytes:
    """Codes of `width` bits (1, 2, 4, 8, 16 or 32), padded with zeros to a multiple of eight codes."""
    padded = len(codes) + -len(codes) % 8
    if len(codes) < padded:
        codes = np.concatenate([codes, np.zeros(padded - len(codes), codes.dtype)])
    if width >= 8:
        return np.ascontiguousarray(codes, f"<u{width // 8}").view(np.uint8)
    each = 8 // width
    out = codes[::each].copy()
    for place in range(1, each):
        out |= codes[place::each] << (place * width)
    return out


def text_lengths(array: pa.Array) -> npt.NDArray[np.uint32]:
    """The length in bytes of each text of a string or binary view; where a row is null, any number."""
    views = np.frombuffer(array.buffers()[1], "<u4")
    return views[array.offset * 4 : (array.offset + len(array)) * 4 : 4]


def plain_text(array: pa.Array, prefix: bytes) -> tuple[Bytes, *tuple[bytes, ...]]:
    """`prefix`, then length and bytes of each text of a string or binary view without nulls.

    Returns also the least and the greatest text, if there is any.
    """
    if len(array) == 0:
        return (np.frombuffer(prefix, np.uint8),)
    if _library is None:
        return _plain_text_slowly(array, prefix)
    buffers, start = array.buffers(), len(prefix)
    out = np.empty(start + int(text_lengths(array).sum(dtype=np.int64)) + 4 * len(array) + 16, np.uint8)
    out[:start] = np.frombuffer(prefix, np.uint8)
    data = (ctypes.c_void_p * max(1, len(buffers) - 2))(*(buffer.address for buffer in buffers[2:]))
    bounds = np.zeros(2, np.int64)
    views = buffers[1].address + array.offset * _VIEW_BYTES
    size = _library.th_plain_text(views, data, len(array), native.address(out[start:]), native.address(bounds))
    return out[: start + size], *(_bytes(array[position].as_py()) for position in bounds.tolist())


def _plain_text_slowly(array: pa.Array, prefix: bytes) -> tuple[Bytes, *tuple[bytes, ...]]:
    import pyarrow.compute as pc

    plain = pa.large_binary()
    texts = array.cast(pa.large_string() if pa.types.is_string_view(array.type) else plain).cast(plain)
    starts = np.arange(0, 4 * len(texts) + 4, 4, dtype=np.int64)
    lengths = np.ascontiguousarray(text_lengths(array))
    heads = pa.Array.from_buffers(plain, len(texts), [None, pa.py_buffer(starts), pa.py_buffer(lengths)])
    joined = pc.binary_join_element_wise(heads, texts, pa.scalar(b"", plain))
    ends = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset :][: len(texts) + 1]
    bounds = pc.min_max(texts).as_py()
    data = np.frombuffer(joined.buffers()[2], np.uint8)[ends[0] : ends[-1]]
    return np.concatenate([np.frombuffer(prefix, np.uint8), data]), bounds["min"], bounds["max"]


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text

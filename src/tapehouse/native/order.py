"""Order and repetition of 64-bit keys; None where the library is not there or has no memory for it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from tapehouse import native


def argsort(
    keys: npt.NDArray[np.int64], bits: int, names: npt.NDArray[np.uint32] | None = None
) -> npt.NDArray[np.uint32] | None:
    """The names (or positions) of keys in [0, 2^bits) in the order of these, ties in the order given."""
    if native.library is None or len(keys) >= 1 << 32:
        return None
    keys = np.ascontiguousarray(keys)
    order = np.empty(len(keys), np.uint32)
    failed = native.library.th_argsort(
        ctypes.c_void_p(native.address(keys)), ctypes.c_void_p(native.address(names)), ctypes.c_int64(len(keys)), bits,
        ctypes.c_void_p(native.address(order)),
    )  # fmt: skip
    return None if failed else order


def repeated(hashes: Sequence[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64] | None:
    """Values that occur more than once over all arrays, each once, ascending."""
    library = native.library
    if library is None:
        return None
    arrays = [np.ascontiguousarray(one) for one in hashes]
    addresses = (ctypes.c_void_p * len(arrays))(*(native.address(one) for one in arrays))
    sizes = (ctypes.c_int64 * len(arrays))(*(len(one) for one in arrays))
    total = sum(len(one) for one in arrays)

    def half(number: int) -> npt.NDArray[np.uint64] | None:
        found = np.empty(total, np.uint64)  # pages that are not written to take no memory
        count = library.th_repeated(
            addresses, sizes, ctypes.c_int64(len(arrays)), number, ctypes.c_void_p(native.address(found))
        )
        return None if count < 0 else found[:count].copy()

    with ThreadPoolExecutor(2, thread_name_prefix="repeated") as pool:
        even, odd = pool.map(half, (0, 1))
    return None if even is None or odd is None else _distinct(np.concatenate([even, odd]))


def _distinct(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Ascending, each once. `np.unique` would import NumPy's masked arrays to look for a mask."""
    ascending = np.sort(values)
    first = np.ones(len(ascending), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    return ascending[first]


def candidates(hashes: npt.NDArray[np.uint64], values: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64] | None:
    """Positions of the hashes that are among `values`, which are ascending."""
    if native.library is None:
        return None
    hashes, values = np.ascontiguousarray(hashes), np.ascontiguousarray(values)
    found, bits = np.empty(len(hashes), np.int64), native.bits(1 << 16, ones=False)
    count = native.library.th_candidates(
        ctypes.c_void_p(native.address(hashes)), ctypes.c_int64(len(hashes)),
        ctypes.c_void_p(native.address(values)), ctypes.c_int64(len(values)),
        ctypes.c_void_p(native.address(bits)), ctypes.c_void_p(native.address(found)),
    )  # fmt: skip
    return found[:count].copy()

"""One pass over sorted trades to bars. What a bar is, is `tapehouse.kernel.derive`'s matter."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from tapehouse import native

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Per bar: position of its first row, start of its interval, extremes, volume, and the sum of price x size as
    `notional_high` x 2^20 + `notional_low`.
    """

    first: Int64s
    start: Int64s
    high: Int64s
    low: Int64s
    volume: Int64s
    notional_high: Int64s
    notional_low: Int64s


class _Out(ctypes.Structure):
    _fields_ = tuple((field.name, ctypes.c_void_p) for field in fields(Bars))


def bars(times: Int64s, symbols: npt.NDArray[np.uint32], prices: Int64s, sizes: Int64s, interval: int) -> Bars | None:
    """Bars of rows sorted by symbol and time; None without the library, or where a sum leaves 64 bits."""
    if native.library is None:
        return None
    arrays = [np.empty(len(times), np.int64) for _ in fields(Bars)]
    out = _Out(*(native.address(array) for array in arrays))
    given = [np.ascontiguousarray(one) for one in (times, symbols, prices, sizes)]
    count = native.library.th_bars(
        *(ctypes.c_void_p(native.address(one)) for one in given),
        ctypes.c_int64(len(times)), ctypes.c_int64(interval), ctypes.byref(out),
    )  # fmt: skip
    return None if count < 0 else Bars(*(array[:count] for array in arrays))

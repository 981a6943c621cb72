"""The compiled loops: plain C over memory that Python owns, for what runs once per row and has no vectorised form.

The library is built when Tapehouse is installed. Where there was no compiler, or with `TAPEHOUSE_NATIVE=off`, `library`
is None and every caller takes its slower way, with the same result: the tests hold the two against each other.
Calls release the interpreter lock. Nothing here knows a contract, a file or an engine.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LIBRARY_NAME = "libtapehouse.so"
_FILE = Path(__file__).with_name(LIBRARY_NAME)


def _load() -> ctypes.CDLL | None:
    if os.environ.get("TAPEHOUSE_NATIVE") == "off" or not _FILE.is_file():
        return None
    try:
        found = ctypes.CDLL(str(_FILE))
    except OSError:  # built for another machine
        return None
    for name in ("th_count", "th_repeated", "th_candidates", "th_bars", "th_runs"):
        getattr(found, name).restype = ctypes.c_int64
    return found


library = _load()


def address(array: npt.NDArray[Any] | None) -> int | None:
    """Where an array's first element lies; the caller keeps the array alive for as long as C may look there."""
    if array is None:
        return None
    if not array.flags.c_contiguous:
        raise ValueError("C reads contiguous arrays only")
    return array.ctypes.data


def bits(count: int, *, ones: bool) -> npt.NDArray[np.uint8]:
    """A bit per row, all alike, in Arrow's order."""
    return np.full((count + 7) // 8, 0xFF if ones else 0, np.uint8)

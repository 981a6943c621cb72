"""Columns of a frame as the memory that C reads, without copying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

_PHYSICAL = (pl.Int64, pl.Float64, pl.Boolean, pl.String, pl.UInt32, pl.Int32)


@dataclass(frozen=True, slots=True)
class Memory:
    """`values` and `valid` (None: no nulls) are addresses; row i is element `offset + i` of both. The memory lives as
    long as `array`.
    """

    array: pa.Array
    values: int
    valid: int | None
    offset: int


def memory_of(series: pl.Series) -> Memory:
    """A column's memory: numbers and Booleans as Arrow has them, text as string views, categories as uint32 codes."""
    # Asking Polars for the physical form of what is physical already costs ten times the rest.
    physical = series if series.dtype in _PHYSICAL else series.to_physical()
    array = physical.to_arrow(compat_level=pl.CompatLevel.newest())
    buffers = array.buffers()
    valid = buffers[0].address if buffers[0] is not None and array.null_count else None
    return Memory(array, buffers[1].address, valid, array.offset)


def code_lengths(codes: pl.Series) -> npt.NDArray[np.int64]:
    """Bytes of the text of each category up to the greatest of these codes.

    Not kept between calls: Polars forgets categories that nothing uses any more, and gives their codes out again.
    """
    highest = codes.max()
    count = highest + 1 if isinstance(highest, int) else 0
    texts = pl.Series(np.arange(count, dtype=np.uint32)).cat.to(pl.Categorical)
    return texts.cat.len_bytes().cast(pl.Int64).to_numpy()

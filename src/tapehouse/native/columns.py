"""Columns of a frame as the memory that C reads and writes, without copying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.native.arrow import BOOLEAN, Column, columns_of, numpy_format, series_over

_PHYSICAL = (pl.Int64, pl.Float64, pl.Boolean, pl.String, pl.UInt32, pl.Int32)


@dataclass(frozen=True, slots=True)
class Memory:
    """`values` and `valid` (None: no nulls) are addresses; row i is element `offset + i` of both. The memory lives as
    long as `column`.
    """

    column: Column
    values: int
    valid: int | None
    offset: int


def memories_of(frame: pl.DataFrame) -> list[Memory]:
    """The columns' memory: numbers and Booleans as Arrow has them, text as string views, categories as uint32 codes.

    All at once: asking Polars costs the same for one column as for all.
    """
    # Also for what is physical already the question takes ten times as long as the rest.
    names = [name for name, kind in frame.schema.items() if kind not in _PHYSICAL]
    physical = frame.with_columns(pl.col(names).to_physical()) if names else frame
    return [
        Memory(column, column.buffers[1], column.buffers[0] or None, column.offset)
        for column in columns_of(physical.rechunk())
    ]


def code_lengths(codes: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Bytes of the text of each category up to the greatest in these columns: a code means the same in all.

    Not kept between calls: Polars forgets categories that nothing uses any more, and gives their codes out again.
    """
    if not codes.width:
        return np.empty(0, np.int64)
    highest = max((one for one in codes.select(pl.all().to_physical().max()).row(0) if one is not None), default=-1)
    texts = series_of("", np.arange(highest + 1, dtype=np.uint32)).cat.to(pl.Categorical)
    return texts.cat.len_bytes().cast(pl.Int64).to_numpy()


def series_of(name: str, values: npt.NDArray[np.generic]) -> pl.Series:
    """Numbers or Booleans as a series; numbers are not copied and may not be written to any more."""
    if values.dtype == np.bool_:
        return series_over(name, BOOLEAN, len(values), None, np.packbits(values.view(np.uint8), bitorder="little"))
    return series_over(name, numpy_format(values.dtype), len(values), None, np.ascontiguousarray(values))

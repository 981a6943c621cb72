"""Columns of a frame as the memory that C reads and writes, without copying."""

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


def memories_of(frame: pl.DataFrame) -> list[Memory]:
    """The columns' memory: numbers and Booleans as Arrow has them, text as string views, categories as uint32 codes.

    All at once: asking Polars costs the same for one column as for all.
    """
    # Also for what is physical already the question takes ten times as long as the rest.
    names = [name for name, kind in frame.schema.items() if kind not in _PHYSICAL]
    physical = frame.with_columns(pl.col(names).to_physical()) if names else frame
    table = physical.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    return [_memory(column.chunk(0) if column.num_chunks else column.combine_chunks()) for column in table.columns]


def _memory(array: pa.Array) -> Memory:
    buffers = array.buffers()
    valid = buffers[0].address if buffers[0] is not None and array.null_count else None
    return Memory(array, buffers[1].address, valid, array.offset)


def code_lengths(codes: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Bytes of the text of each category up to the greatest in these columns: a code means the same in all.

    Not kept between calls: Polars forgets categories that nothing uses any more, and gives their codes out again.
    """
    if not codes.width:
        return np.empty(0, np.int64)
    highest = max((one for one in codes.select(pl.all().to_physical().max()).row(0) if one is not None), default=-1)
    texts = series_of("", np.arange(highest + 1, dtype=np.uint32)).cat.to(pl.Categorical)
    return texts.cat.len_bytes().cast(pl.Int64).to_numpy()


class _Exported:
    """An Arrow array behind the Arrow PyCapsule interface and nothing else.

    Given the array itself, or NumPy's, Polars imports `pyarrow.compute` or `numpy.ma` first: a twentieth of a second
    each, in which no thread can work.
    """

    __slots__ = ("_array",)

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        schema, array = self._array.__arrow_c_array__(requested_schema)
        return schema, array


def series_from(name: str, array: pa.Array) -> pl.Series:
    """An Arrow array as a series, without copying."""
    return pl.Series(_Exported(array)).alias(name)  # Polars would take an empty name from the array


def series_over(
    name: str, kind: pa.DataType, rows: int, valid: npt.NDArray[np.generic] | None, *buffers: object
) -> pl.Series:
    """A series of Arrow type `kind` over these buffers, which nobody may write to any more. `valid` has a bit a row."""
    mask = None if valid is None else pa.py_buffer(valid)
    return series_from(name, pa.Array.from_buffers(kind, rows, [mask, *(pa.py_buffer(one) for one in buffers)]))


def series_of(name: str, values: npt.NDArray[np.generic]) -> pl.Series:
    """Numbers or Booleans as a series; numbers are not copied and may not be written to any more."""
    if values.dtype == np.bool_:
        return series_over(name, pa.bool_(), len(values), None, np.packbits(values.view(np.uint8), bitorder="little"))
    return series_over(name, pa.from_numpy_dtype(values.dtype), len(values), None, np.ascontiguousarray(values))

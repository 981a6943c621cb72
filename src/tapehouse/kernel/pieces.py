"""Rows of one partition that lie in several frames: taken out in order, without putting the frames together first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from tapehouse.kernel.order import Positions, gather, packed_order, sort_rows
from tapehouse.native.columns import Memory, memories_of, series_of
from tapehouse.native.gather import Names, Order, is_gathered

_NAME_BITS = 32


class Pieces:
    """Frames of the same columns and types, one after another; positions count through all of them."""

    def __init__(self, frames: Sequence[pl.DataFrame]) -> None:
        if any(frame.schema != frames[0].schema for frame in frames):
            raise TypeError("the pieces' columns differ")
        self._place(frames)

    def _place(self, frames: Sequence[pl.DataFrame]) -> None:
        self._frames = frames
        self._heights = [frame.height for frame in frames]
        self.starts = np.cumsum([0, *self._heights])[:-1]
        self.height = sum(self._heights)
        # A name is a piece's number and, in the lowest bits, a position in it.
        self._bits = max(1, max(self._heights, default=0).bit_length())
        self._nameable = self._bits < _NAME_BITS and len(frames) << self._bits <= 1 << _NAME_BITS
        self._memories: dict[str, list[Memory]] | None = None

    def take(self, positions: Positions) -> pl.DataFrame:
        """Rows at these positions, in the order given."""
        if not self._nameable:
            return gather(self._joined(), positions)
        which = np.searchsorted(self.starts, positions, side="right") - 1
        names = (which << self._bits) + positions - np.take(self.starts, which)
        return self._named(names.astype(np.uint32))

    def sorted(self, by: Sequence[str], without: Positions) -> pl.DataFrame:
        """All rows but those at the positions `without`, ordered as `sort_rows` has it. The pieces are used up."""
        kept = np.ones(self.height, np.bool_)
        kept[without] = False
        if not self._nameable:
            return sort_rows(self._joined().filter(series_of("", kept)), by)
        names = self._names()[kept]
        keys = [self._concatenated(name).filter(series_of("", kept)) for name in by]
        order = packed_order(keys, names) if keys else names
        if order is None:
            self._place([self._named(names)])
            return sort_rows(self._frames[0], by)
        return self._named(order.astype(np.uint32, copy=False) if len(order) else names)

    def _named(self, names: Names) -> pl.DataFrame:
        if self._memories is None:
            self._memories = self._find_memories()
        order = Order(names, self._bits)
        return pl.DataFrame([self._column(name, order, self._memories) for name in self._frames[0].columns])

    def _column(self, name: str, order: Order, memories: Mapping[str, Sequence[Memory]]) -> pl.Series:
        if name in memories:
            return order.gather(name, self._frames[0].schema[name], memories[name])
        names, bits = order.names, self._bits
        positions = np.take(self.starts, names >> bits) + (names & ((1 << bits) - 1))
        return self._concatenated(name).gather(series_of("", positions.astype(np.uint32)))

    def _names(self) -> Names:
        parts = [np.arange(height, dtype=np.uint32) + (n << self._bits) for n, height in enumerate(self._heights)]
        return np.concatenate(parts)

    def _concatenated(self, name: str) -> pl.Series:
        return pl.concat([frame.get_column(name) for frame in self._frames], rechunk=True)

    def _find_memories(self) -> dict[str, list[Memory]]:
        """Memory of the columns that can be picked from where they are, piece by piece."""
        names = [name for name, kind in self._frames[0].schema.items() if is_gathered(kind)]
        by_piece = [memories_of(frame.select(names)) for frame in self._frames]
        return {name: [memories[place] for memories in by_piece] for place, name in enumerate(names)}

    def _joined(self) -> pl.DataFrame:
        """One frame of all, in their place: where they are not kept elsewhere, their memory is free again."""
        if len(self._frames) != 1:
            self._place([pl.concat(self._frames, rechunk=True)])
        return self._frames[0]

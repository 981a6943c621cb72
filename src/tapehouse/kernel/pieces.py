"""Rows of one partition that lie in several frames: taken out in order, without putting the frames together first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import polars as pl

from tapehouse.kernel.order import Positions, gather, packed_order, sort_rows
from tapehouse.native.columns import Memory, memories_of, series_of
from tapehouse.native.gather import Names, Order, is_gathered

_NAME_BITS = 32


class Pieces:
    """Frames of the same columns, one after another; positions count through all of them."""

    def __init__(self, frames: Sequence[pl.DataFrame]) -> None:
        self._frames = frames
        self._heights = [frame.height for frame in frames]
        self.starts = np.cumsum([0, *self._heights])[:-1]
        self.height = sum(self._heights)
        # A name is a piece's number and, in the lowest bits, a position in it.
        self._bits = max(1, max(self._heights, default=0).bit_length())
        self._nameable = len(frames) << self._bits <= 1 << _NAME_BITS

    def take(self, positions: Positions) -> pl.DataFrame:
        """Rows at these positions, in the order given."""
        if not self._nameable:
            return gather(self._whole, positions)
        which = np.searchsorted(self.starts, positions, side="right") - 1
        names = (which << self._bits) + positions - np.take(self.starts, which)
        return self._named(names.astype(np.uint32))

    def sorted(self, by: Sequence[str], without: Positions) -> pl.DataFrame:
        """All rows but those at the positions `without`, ordered as `sort_rows` has it."""
        if not self._nameable or not by or self.height < 2:
            return sort_rows(self._whole, by, without)
        names = self._names()
        keys = [pl.concat([frame.get_column(name) for frame in self._frames], rechunk=True) for name in by]
        if len(without):
            kept = np.ones(self.height, np.bool_)
            kept[without] = False
            names = names[kept]
            mask = series_of("", kept)
            keys = [key.filter(mask) for key in keys]
        order = packed_order(keys, names)
        if order is None:
            return sort_rows(self._whole, by, without)
        return self._named(order.astype(np.uint32, copy=False) if len(order) else names)

    def _named(self, names: Names) -> pl.DataFrame:
        order = Order(names, self._bits)
        return pl.DataFrame([self._column(name, order) for name in self._frames[0].columns])

    def _column(self, name: str, order: Order) -> pl.Series:
        if name in self._memories:
            return order.gather(name, self._frames[0].schema[name], self._memories[name])
        names, bits = order.names, self._bits
        positions = np.take(self.starts, names >> bits) + (names & ((1 << bits) - 1))
        return self._whole.get_column(name).gather(series_of("", positions.astype(np.uint32)))

    def _names(self) -> Names:
        parts = [np.arange(height, dtype=np.uint32) + (n << self._bits) for n, height in enumerate(self._heights)]
        return np.concatenate(parts)

    @cached_property
    def _memories(self) -> Mapping[str, Sequence[Memory]]:
        """Memory of the columns that can be picked from where they are, piece by piece."""
        names = [name for name, kind in self._frames[0].schema.items() if is_gathered(kind)]
        by_piece = [memories_of(frame.select(names)) for frame in self._frames]
        return {name: [memories[place] for memories in by_piece] for place, name in enumerate(names)}

    @cached_property
    def _whole(self) -> pl.DataFrame:
        return pl.concat(self._frames, rechunk=True)

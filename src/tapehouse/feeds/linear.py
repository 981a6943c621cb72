"""Reading records that end at line ends, whatever is in them: blocks, damage, over-long records, raw access."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.feeds.base import Malformed, Positions, RawRecord, Slice
from tapehouse.feeds.streams import Stream
from tapehouse.feeds.virtual import in_contract_order
from tapehouse.feeds.window import RAW_BYTES_MAX, Window

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FrameMaker = Callable[[Sequence[pl.Series]], pl.DataFrame]
_NONE = np.empty(0, np.int64)


def frame_maker(contract: Contract, constants: Mapping[str, str | None]) -> FrameMaker:
    """What turns the columns read into a frame in contract order, with the constants from the path."""

    def make(columns: Sequence[pl.Series]) -> pl.DataFrame:
        return in_contract_order(contract, columns, constants)

    return make


@dataclass(slots=True)
class BlockRaw:
    """Original records of a slice, out of the block it keeps alive. `rows` None: consecutive from `first_row`."""

    data: bytes
    offset: int
    starts: npt.NDArray[np.integer]
    ends: npt.NDArray[np.integer]
    first_row: int
    rows: Positions | None = None

    def __call__(self, positions: Positions) -> Sequence[RawRecord]:
        numbers = positions + self.first_row if self.rows is None else self.rows[positions]
        starts, ends = self.starts[positions].tolist(), self.ends[positions].tolist()
        return [
            RawRecord(number, self.offset + start, end - start, self.data[start:end])
            for number, start, end in zip(numbers.tolist(), starts, ends, strict=True)
        ]


@dataclass(slots=True)
class LineReader(ABC):
    """Reads one stream of records. `offset` and `row` are those of the next byte and record of the batch.

    `returns` tells whether a carriage return alone ends a record.
    """

    frame: FrameMaker
    record_bytes_max: int
    offset: int
    row: int
    returns: bool = field(default=True, kw_only=True)

    @abstractmethod
    def block(self, data: bytes, window: Window, *, last: bool) -> Generator[Slice, None, int]:
        """Yield slices of the complete records of a block, moving `row` on; return how many bytes they took."""

    @abstractmethod
    def no_columns(self) -> list[pl.Series]:
        """The columns of a frame without rows."""

    def slices(self, stream: Stream, slice_bytes: int) -> Iterator[Slice]:
        """Every record of the stream."""
        window = Window(stream, slice_bytes, returns=self.returns)
        while (block := window.advance()) is not None:
            data, last = block
            damage = stream.damage if last else None
            whole = data.rfind(b"\n") + 1 if damage else len(data)
            used = (yield from self.block(data[:whole], window, last=last)) if whole else 0
            self.offset += used
            if damage:
                tail = data[whole : whole + RAW_BYTES_MAX]
                yield self._lost(tail, len(data) - whole, damage.code, damage.observed, damage.bound)
            elif len(data) - used - data.endswith(b"\r") > self.record_bytes_max:
                skipped = window.skip_record(data[used:])
                yield self._lost(skipped.raw, skipped.length, "malformed_length", *self.too_long(skipped.length))
                self.offset += skipped.passed
            else:
                window.keep(data[used:])

    def too_long(self, length: int) -> tuple[str, str]:
        """Observed and bound of a record of `length` bytes."""
        return f"{length} bytes", f"at most {self.record_bytes_max} bytes (feed.max_record_bytes)"

    def _lost(self, raw: bytes, length: int, code: str, observed: str, bound: str) -> Slice:
        """A slice of one malformed record and no other."""
        record = RawRecord(self.row, self.offset, length, raw)
        empty = BlockRaw(b"", self.offset, _NONE, _NONE, self.row)
        frame = self.frame(self.no_columns())
        lost = Slice(frame, self.row, 1, empty, _NONE, malformed=(Malformed(record, code, observed, bound),))
        self.row += 1
        return lost

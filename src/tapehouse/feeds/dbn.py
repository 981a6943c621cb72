"""The Databento DBN feed: fixed-size binary records, viewed as columns without making an object per record.

Prices are whole numbers x 10^-9, times nanoseconds since 1970; the vendor's marks for "undefined" (the greatest int64
for prices, the greatest uint64 for times) are null. Fields have the vendor's names; `symbol` is resolved from the
file's own mappings as of each record's date. Raw records are the record's bytes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import polars as pl

from tapehouse.contracts.model import Column, Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource, Malformed, RawRecord, Slice
from tapehouse.feeds.canonical import Integers, TypeMismatchError, convert
from tapehouse.feeds.dbnformat import RecordFormat, read_format
from tapehouse.feeds.expand import Damaged
from tapehouse.feeds.linear import BlockRaw, FrameMaker, frame_maker
from tapehouse.feeds.lines import Offsets
from tapehouse.feeds.names import check_names
from tapehouse.feeds.streams import Stream, open_streams
from tapehouse.feeds.texts import null_texts, without_nulls
from tapehouse.feeds.virtual import file_columns, path_values, source_name
from tapehouse.feeds.window import RAW_BYTES_MAX

SYMBOL = "symbol"
_UNIT_BYTES = 4  # record lengths are counted in 32-bit words
_LETTERS = pl.Series([b"", *(bytes([code]) for code in range(1, 256))], dtype=pl.Binary)
_UNDEFINED_PRICE = (1 << 63) - 1
_UNDEFINED_TIME = (1 << 64) - 1


def read(contract: Contract, source: BatchSource, *, slice_bytes: int) -> Iterator[Slice]:
    """Slices of a DBN batch, plain or zstd; see `base.FeedReader`. `feed.options["schema"]` fixes its schema.

    Raises FeedError when the file is not DBN, has another schema than the contract's, or lacks a field.
    """
    frame = frame_maker(contract, path_values(contract, source))
    offset, row = 0, 0
    with closing(open_streams(source, contract.feed)) as streams:
        for stream in streams:
            expected = str(contract.feed.options.get("schema", ""))
            form, passed = read_format(stream, expected, source.origin)
            check_names(contract, [*form.fields, SYMBOL], source.origin, extra=True)
            member = _Member(contract, form, frame, source.origin, offset + passed, row)
            yield from member.slices(stream, slice_bytes)
            offset, row = member.offset, member.row


@dataclass(slots=True)
class _Member:
    """Reads one DBN stream. `offset` and `row` are those of the next byte and record of the batch."""

    contract: Contract
    form: RecordFormat
    frame: FrameMaker
    origin: str
    offset: int
    row: int

    def slices(self, stream: Stream, slice_bytes: int) -> Iterator[Slice]:
        rest, last = b"", False
        while not last:
            block, last = stream.read_block(max(slice_bytes, 1 << 12))
            data = rest + block if rest else block
            starts, lengths, used = _cut(data, self.form.size)
            if len(starts):
                yield self._slice(data, starts, lengths)
            self.offset += used
            self.row += len(starts)
            rest = data[used:]
            if rest and rest[0] == 0:
                damage = Damaged("malformed_length", "a record of 0 bytes", "at least 16 bytes: its header")
                yield from self._lost(stream, rest, damage, slice_bytes)
                return
        if rest or stream.damage:
            damage = stream.damage or Damaged(
                "malformed_truncated", f"the last {len(rest)} bytes of a record", f"{rest[0] * _UNIT_BYTES} bytes"
            )
            yield from self._lost(stream, rest, damage, slice_bytes)

    def _lost(self, stream: Stream, rest: bytes, damage: Damaged, slice_bytes: int) -> Generator[Slice, None, None]:
        """What follows cannot be cut into records: one malformed record stands for all of it."""
        length, last = len(rest), False
        while not last:
            block, last = stream.read_block(slice_bytes)
            length += len(block)
        record = RawRecord(self.row, self.offset, length, rest[:RAW_BYTES_MAX])
        none = np.empty(0, np.int64)
        bad = Malformed(record, damage.code, damage.observed, damage.bound)
        frame, _ = self._frame_of(np.empty(0, self.form.dtype))
        yield Slice(frame, self.row, 1, BlockRaw(b"", self.offset, none, none, self.row), none, malformed=(bad,))
        self.row += 1
        self.offset += length

    def _slice(self, data: bytes, starts: Offsets, lengths: Offsets) -> Slice:
        array = np.frombuffer(data, np.uint8)
        good = (lengths == self.form.size) & np.isin(array[starts + 1], self.form.rtypes)
        ends = starts + lengths
        if good.all():
            records = np.frombuffer(data, self.form.dtype, len(starts))
        else:
            picked = array[starts[good][:, None] + np.arange(self.form.size)]
            records = np.ascontiguousarray(picked).view(self.form.dtype)[:, 0] if good.any() else _none(self.form)
        frame, failed = self._frame_of(records)
        rows = None if good.all() else np.flatnonzero(good) + self.row
        bad = []
        for number in np.flatnonzero(~good).tolist():
            start, end = int(starts[number]), int(ends[number])
            raw = RawRecord(self.row + number, self.offset + start, end - start, data[start:end])
            observed = f"record type 0x{data[start + 1]:02x} of {end - start} bytes" if end - start > 1 else "1 word"
            bad.append(Malformed(raw, "malformed_columns", observed, self.form.bound))
        raw_access = BlockRaw(data, self.offset, starts[good], ends[good], self.row, rows)
        return Slice(frame, self.row, len(starts), raw_access, rows=rows, failed=failed, malformed=bad)

    def _frame_of(self, records: np.ndarray) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
        columns, failed = [], {}
        for column in file_columns(self.contract):
            try:
                values, refused = self._column(records, column)
            except TypeMismatchError as error:
                fix = f"give the column a kind that holds one of: {error.allowed}"
                raise FeedError(str(error), path=self.origin, fix=fix) from error
            if values.dtype == pl.String:
                values = without_nulls(values, null_texts(self.contract, column))
            columns.append(values.alias(column.name))
            if refused is not None:
                failed[column.name] = refused.alias(column.name)
        return self.frame(columns), failed

    def _column(self, records: np.ndarray, column: Column) -> tuple[pl.Series, pl.Series | None]:
        name = source_name(column)
        if name == SYMBOL and SYMBOL not in self.form.fields:
            return self.form.symbols(records), None
        values = np.ascontiguousarray(records[name])
        if values.dtype.kind == "S":
            return convert(_characters(values), column, Integers())
        series = pl.Series(name, values)
        if name in self.form.prices:
            series = series.set(series == _UNDEFINED_PRICE, None)
            return convert(series, column, Integers(scale=9))
        if name in self.form.times:
            series = series.set(series == _UNDEFINED_TIME, None)
            return convert(series, column, Integers(nanoseconds=1))
        return convert(series, column, Integers())


def _characters(values: np.ndarray) -> pl.Series:
    """Fixed-size byte fields, without their padding; one-byte fields stay numbers until they have become text."""
    if values.dtype.itemsize == 1:
        return _LETTERS.gather(values.view(np.uint8))
    return pl.Series(values.tolist(), dtype=pl.Binary)


def _none(form: RecordFormat) -> np.ndarray:
    return np.empty(0, form.dtype)


def _cut(data: bytes, size: int) -> tuple[Offsets, Offsets, int]:
    """Starts and lengths of the whole records of `data`, and the bytes they take. Stops at a record of length zero."""
    count = len(data) // size
    array = np.frombuffer(data, np.uint8)
    if count and bool((array[: count * size : size] == size // _UNIT_BYTES).all()):
        starts = np.arange(count, dtype=np.int64) * size
        if not any(data[count * size : count * size + 1]):
            return starts, np.full(count, size, np.int64), count * size
    found: list[int] = []
    position = 0
    while position < len(data) and data[position] and position + data[position] * _UNIT_BYTES <= len(data):
        found.append(position)
        position += data[position] * _UNIT_BYTES
    edges = np.array([*found, position], np.int64)
    return edges[:-1], edges[1:] - edges[:-1], position

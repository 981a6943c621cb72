"""The CSV feed: blocks of whole records, read fast where they are plain and with care where they are not."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource, Malformed, Positions, RawRecord, Slice
from tapehouse.feeds.delimited import split, typed
from tapehouse.feeds.delimited.head import read_head
from tapehouse.feeds.delimited.layout import Layout
from tapehouse.feeds.delimited.lines import Dialect, Offsets
from tapehouse.feeds.delimited.records import Records, lines_of_plain, looks_plain, quote_in, scan
from tapehouse.feeds.delimited.window import RAW_BYTES_MAX, Window
from tapehouse.feeds.streams import Stream, open_streams
from tapehouse.feeds.virtual import in_contract_order, path_values

FrameMaker = Callable[[Sequence[pl.Series]], pl.DataFrame]


def read(contract: Contract, source: BatchSource, *, slice_bytes: int) -> Iterator[Slice]:
    """Slices of a delimited batch, plain or compressed; see `base.FeedReader`.

    Offsets in archives count through the concatenation of the decompressed members in name order. Empty fields and
    null texts are null whether quoted or not: quotes are transport, not data.
    """
    constants = path_values(contract, source)
    dialect = _dialect(contract)
    offset, row = 0, 0

    def frame(columns: Sequence[pl.Series]) -> pl.DataFrame:
        return in_contract_order(contract, columns, constants)

    streams = open_streams(source, contract.feed)
    with closing(streams), ThreadPoolExecutor(1, "tapehouse-csv") as worker:
        for stream in streams:
            layout, passed = read_head(stream, contract, dialect, source.origin)
            member = _Member(layout, dialect, frame, worker)
            member.offset, member.row = offset + passed, row
            yield from member.slices(stream, slice_bytes)
            offset, row = member.offset, member.row


def _dialect(contract: Contract) -> Dialect:
    feed = contract.feed
    for name, text in (("delimiter", feed.delimiter), ("quote", feed.quote or '"')):
        if len(text) != 1 or not text.isascii() or text in "\r\n\0":
            raise FeedError(f"feed.{name} is {text!r}", fix="use one ASCII character that ends no line")
    quote = ord(feed.quote) if feed.quote else None
    return Dialect(ord(feed.delimiter), quote, (feed.comment or "").encode(), feed.max_record_bytes)


@dataclass(slots=True)
class _Raw:
    """Original records of a slice, out of the block it keeps alive."""

    data: bytes
    offset: int
    starts: Offsets
    ends: Offsets
    first_row: int
    rows: Positions | None = None

    def __call__(self, positions: Positions) -> Sequence[RawRecord]:
        numbers = positions + self.first_row if self.rows is None else self.rows[positions]
        starts, ends = self.starts[positions].tolist(), self.ends[positions].tolist()
        return [
            RawRecord(number, self.offset + start, end - start, self.data[start:end])
            for number, start, end in zip(numbers.tolist(), starts, ends, strict=True)
        ]


class _Member:
    """Reads one stream of records. `offset` and `row` are those of the next byte and record of the batch."""

    def __init__(self, layout: Layout, dialect: Dialect, frame: FrameMaker, worker: Executor) -> None:
        self._layout = layout
        self._dialect = dialect
        self._frame = frame
        self._worker = worker
        self.offset = 0
        self.row = 0

    def slices(self, stream: Stream, slice_bytes: int) -> Iterator[Slice]:
        """Every record of the stream."""
        window = Window(stream, slice_bytes)
        while (block := window.advance()) is not None:
            data, last = block
            damage = stream.damage if last else None
            whole = data.rfind(b"\n") + 1 if damage else len(data)
            rest = yield from self._block(data[:whole], window, last=last)
            if damage:
                tail = data[whole : whole + RAW_BYTES_MAX]
                yield self._lost(tail, len(data) - whole, damage.code, damage.observed, damage.bound)
            elif len(rest) > self._dialect.record_bytes_max:
                skipped = window.skip_record(rest)
                bound = f"at most {self._dialect.record_bytes_max} bytes (feed.max_record_bytes)"
                yield self._lost(skipped.raw, skipped.length, "malformed_length", f"{skipped.length} bytes", bound)
                self.offset += skipped.passed
            else:
                window.keep(rest)

    def _block(self, data: bytes, window: Window, *, last: bool) -> Generator[Slice, None, bytes]:
        """Slices of the complete records of a block; returns the bytes of the incomplete one."""
        plain = self._plain(data, window, last=last)
        if plain is not None:
            self.offset += len(data)
            self.row += plain.records
            yield plain
            return b""
        records = scan(data, self._dialect, last=last)
        verdicts = split.judge(data, records, self._dialect, self._layout.width)
        for part in verdicts.parts():
            yield self._troubled(data, records, part)
            self.row += len(part.codes)
        self.offset += records.consumed
        return data[records.consumed :]

    def _plain(self, data: bytes, window: Window, *, last: bool) -> Slice | None:
        """A block in which each line is a good record, read at full speed; None if it is not such a block."""
        dialect, layout = self._dialect, self._layout
        if not looks_plain(data, dialect, last=last):
            return None
        quote = quote_in(data, dialect)
        ahead = self._worker.submit(typed.read_ahead, data, quote, dialect.separator, layout)
        lines = lines_of_plain(data, dialect)
        window.prefetch()
        parsed = typed.parse(lines, layout, ahead) if lines is not None else None
        if lines is None or parsed is None:
            return None
        raw = _Raw(data, self.offset, lines.starts, lines.ends, self.row)
        return Slice(self._frame(parsed.columns), self.row, len(lines.ends), raw, failed=parsed.failed)

    def _troubled(self, data: bytes, records: Records, part: split.Verdicts) -> Slice:
        """Records of a block that need care."""
        good = np.flatnonzero(part.codes == 0)
        lines = split.rewrite(data, records, part, self._dialect)
        if lines is not None:
            parsed = typed.parse(lines, self._layout)
        else:
            parsed = typed.from_fields(split.fields(data, records, part), self._layout)
        if parsed is None or len(parsed.columns[0]) != len(good):
            raise AssertionError(f"{len(good)} records at byte {self.offset} did not become as many rows")
        bad = split.malformed(data, part, self.offset, self.row, self._dialect, self._layout.width)
        rows = None if len(good) == len(part.codes) else good + self.row
        raw = _Raw(data, self.offset, part.starts[good], part.ends[good], self.row, rows)
        frame = self._frame(parsed.columns)
        return Slice(frame, self.row, len(part.codes), raw, rows=rows, failed=parsed.failed, malformed=bad)

    def _lost(self, raw: bytes, length: int, code: str, observed: str, bound: str) -> Slice:
        """A slice of one malformed record and no other."""
        record = RawRecord(self.row, self.offset, length, raw)
        nothing = np.empty(0, np.int64)
        empty = _Raw(b"", self.offset, nothing, nothing, self.row)
        parsed = typed.from_fields([], self._layout)
        frame = self._frame(parsed.columns)
        lost = Slice(frame, self.row, 1, empty, nothing, malformed=(Malformed(record, code, observed, bound),))
        self.row += 1
        return lost

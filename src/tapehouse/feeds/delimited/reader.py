"""The CSV feed: blocks of whole records, read fast where they are plain and with care where they are not."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource, Slice
from tapehouse.feeds.delimited import split, typed
from tapehouse.feeds.delimited.head import read_head
from tapehouse.feeds.delimited.layout import Layout
from tapehouse.feeds.delimited.records import Records, lines_of_plain, looks_plain, quote_in, scan
from tapehouse.feeds.linear import BlockRaw, LineReader, frame_maker
from tapehouse.feeds.lines import Dialect
from tapehouse.feeds.streams import open_streams
from tapehouse.feeds.virtual import path_values
from tapehouse.feeds.window import Window


def read(contract: Contract, source: BatchSource, *, slice_bytes: int) -> Iterator[Slice]:
    """Slices of a delimited batch, plain or compressed; see `base.FeedReader`.

    Offsets in archives count through the concatenation of the decompressed members in name order. Empty fields and
    null texts are null whether quoted or not: quotes are transport, not data.
    """
    constants = path_values(contract, source)
    dialect = _dialect(contract)
    frame = frame_maker(contract, constants)
    offset, row = 0, 0
    streams = open_streams(source, contract.feed)
    with closing(streams), ThreadPoolExecutor(1, "tapehouse-csv") as worker:
        for stream in streams:
            layout, passed = read_head(stream, contract, dialect, source.origin)
            member = _Member(frame, dialect.record_bytes_max, offset + passed, row, layout, dialect, worker)
            yield from member.slices(stream, slice_bytes)
            offset, row = member.offset, member.row


def _dialect(contract: Contract) -> Dialect:
    feed = contract.feed
    for name, text in (("delimiter", feed.delimiter), ("quote", feed.quote or '"')):
        if len(text) != 1 or not text.isascii() or text in "\r\n\0":
            raise FeedError(f"feed.{name} is {text!r}", fix="use one ASCII character that ends no line")
    quote = ord(feed.quote) if feed.quote else None
    return Dialect(ord(feed.delimiter), quote, (feed.comment or "").encode(), feed.max_record_bytes)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A block that is being read before anybody has asked for it."""

    data: bytes
    frame: Future[pl.DataFrame | None]


@dataclass(slots=True)
class _Member(LineReader):
    """Reads one stream of delimited records; `worker` takes half of the work on plain blocks."""

    layout: Layout
    dialect: Dialect
    worker: Executor
    _started: _Ahead | None = field(default=None, init=False)

    def no_columns(self) -> list[pl.Series]:
        return typed.from_fields([], self.layout).columns

    def block(self, data: bytes, window: Window, *, last: bool) -> Generator[Slice, None, int]:
        plain = self._plain(data, window, last=last)
        if plain is not None:
            self.row += plain.records
            yield plain
            return len(data)
        records = scan(data, self.dialect, last=last)
        verdicts = split.judge(data, records, self.dialect, self.layout.width)
        for part in verdicts.parts():
            yield self._troubled(data, records, part)
            self.row += len(part.codes)
        return records.consumed

    def _plain(self, data: bytes, window: Window, *, last: bool) -> Slice | None:
        """A block in which each line is a good record, read at full speed; None if it is not such a block.

        Polars has its threads busy with this block, and then with the next one, while lines are found here.
        """
        ahead, self._started = self._started, None
        if ahead is None or ahead.data is not data:
            ahead = self._start(data, last=last)
        if ahead is None:
            return None
        lines = lines_of_plain(data, self.dialect)
        following = window.prefetch()
        if lines is None:
            return None
        self._started = self._start(following[0], last=following[1]) if following else None
        parsed = typed.parse(lines, self.layout, ahead.frame)
        if parsed is None:
            return None
        raw = BlockRaw(data, self.offset, lines.starts, lines.ends, self.row)
        return Slice(self.frame(parsed.columns), self.row, len(lines.ends), raw, failed=parsed.failed)

    def _start(self, data: bytes, *, last: bool) -> _Ahead | None:
        """Have a block read by the worker, if it looks plain."""
        if not looks_plain(data, self.dialect, last=last):
            return None
        quote = quote_in(data, self.dialect)
        return _Ahead(data, self.worker.submit(typed.read_ahead, data, quote, self.dialect.separator, self.layout))

    def _troubled(self, data: bytes, records: Records, part: split.Verdicts) -> Slice:
        """Records of a block that need care."""
        good = np.flatnonzero(part.codes == 0)
        lines = split.rewrite(data, records, part, self.dialect)
        if lines is not None:
            parsed = typed.parse(lines, self.layout)
        else:
            parsed = typed.from_fields(split.fields(data, records, part), self.layout)
        if parsed is None or len(parsed.columns[0]) != len(good):
            raise AssertionError(f"{len(good)} records at byte {self.offset} did not become as many rows")
        bad = split.malformed(data, part, self.offset, self.row, self.dialect, self.layout.width)
        rows = None if len(good) == len(part.codes) else good + self.row
        raw = BlockRaw(data, self.offset, part.starts[good], part.ends[good], self.row, rows)
        frame = self.frame(parsed.columns)
        return Slice(frame, self.row, len(part.codes), raw, rows=rows, failed=parsed.failed, malformed=bad)

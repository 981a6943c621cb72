"""The CSV feed: blocks of whole records, read fast where they are plain and with care where they are not."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource, Malformed, Positions, Slice
from tapehouse.feeds.delimited import compiled, split, typed
from tapehouse.feeds.delimited.head import read_head
from tapehouse.feeds.delimited.layout import Layout
from tapehouse.feeds.delimited.records import Records, lines_of_plain, looks_plain, scan
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
    with closing(streams):
        for stream in streams:
            layout, passed = read_head(stream, contract, dialect, source.origin)
            loop = compiled.Reader(layout, dialect)
            member = _Member(frame, dialect.record_bytes_max, offset + passed, row, layout, dialect, loop)
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
class _Member(LineReader):
    """Reads one stream of delimited records."""

    layout: Layout
    dialect: Dialect
    loop: compiled.Reader

    def no_columns(self) -> list[pl.Series]:
        return typed.from_fields([], self.layout).columns

    def block(self, data: bytes, window: Window, *, last: bool) -> Generator[Slice, None, int]:
        plain = self._plain(data) if looks_plain(data, self.dialect, last=last) else None
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

    def _plain(self, data: bytes) -> Slice | None:
        """A block of plain lines, read at full speed; None if it turns out not to be one."""
        block = self.loop.read(data)
        if block is not None:
            return self._read(data, block)
        lines = lines_of_plain(data, self.dialect)
        parsed = typed.parse(lines, self.layout) if lines is not None else None
        if lines is None or parsed is None:
            return None
        raw = BlockRaw(data, self.offset, lines.starts, lines.ends, self.row)
        return self._slice(parsed, raw, len(lines.ends))

    def _read(self, data: bytes, block: compiled.Block) -> Slice:
        odd = block.odd
        rows = np.delete(np.arange(block.records), odd.rows) + self.row if len(odd.rows) else None
        raw = BlockRaw(data, self.offset, block.starts, block.ends, self.row, rows)
        parsed = typed.Parsed(block.columns, block.failed)
        if rows is None:
            return self._slice(parsed, raw, block.records)
        codes = np.ones(len(odd.rows), np.int8)
        found = split.Verdicts(odd.starts, odd.ends, odd.fields, codes)
        bad = split.malformed(data, found, self.offset, odd.rows + self.row, self.dialect, self.layout.width)
        return self._slice(parsed, raw, block.records, bad)

    def _troubled(self, data: bytes, records: Records, part: split.Verdicts) -> Slice:
        """Records of a block that need care."""
        good = np.flatnonzero(part.codes == 0)
        parsed = self._rewritten(data, records, part)
        if parsed is None or len(parsed.columns[0]) != len(good):
            raise AssertionError(f"{len(good)} records at byte {self.offset} did not become as many rows")
        numbers = np.arange(len(part.codes)) + self.row
        bad = split.malformed(data, part, self.offset, numbers, self.dialect, self.layout.width)
        rows = None if len(good) == len(part.codes) else good + self.row
        raw = BlockRaw(data, self.offset, part.starts[good], part.ends[good], self.row, rows)
        return self._slice(parsed, raw, len(part.codes), bad)

    def _rewritten(self, data: bytes, records: Records, part: split.Verdicts) -> typed.Parsed | None:
        lines = split.rewrite(data, records, part, self.dialect)
        if lines is None:
            return typed.from_fields(split.fields(data, records, part), self.layout)
        block = self.loop.read(lines.data, separator=lines.separator, eol=lines.eol, quoted=False)
        if block is not None and not len(block.odd.rows):
            return typed.Parsed(block.columns, block.failed)
        return typed.parse(lines, self.layout)

    def _slice(self, parsed: typed.Parsed, raw: BlockRaw, records: int, bad: Sequence[Malformed] = ()) -> Slice:
        written = FieldTexts(raw, self.dialect, {target.column.name: target.index for target in self.layout.targets})
        return Slice(
            self.frame(parsed.columns),
            self.row,
            records,
            raw,
            rows=raw.rows,
            failed=parsed.failed,
            malformed=bad,
            written=written,
        )


@dataclass(frozen=True, slots=True)
class FieldTexts:
    """The fields of a slice's records as they were written; see `base.TextAccess`."""

    raw: BlockRaw
    dialect: Dialect
    indexes: Mapping[str, int]

    def __call__(self, column: str, positions: Positions) -> pl.Series:
        raw = self.raw
        edges = zip(raw.starts[positions].tolist(), raw.ends[positions].tolist(), strict=True)
        texts = [raw.data[start:end].decode() for start, end in edges]
        rows = typed.split_texts(texts, self.dialect.separator, self.dialect.quote)
        return pl.Series([row[self.indexes[column]] for row in rows], dtype=pl.String)

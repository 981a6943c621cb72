"""The NDJSON feed: one JSON object per line, each value kept as the text it was written with.

A JSON parser would turn 1.10 into 1.1 and long integers into floats, so values are taken as text. Lines that look like
the first one (same keys, same order, no escapes: nearly all of nearly every file) are taken apart by one regular
expression; the others by Python's parser, with its number conversion off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.feeds.base import BatchSource, Malformed, RawRecord, Slice
from tapehouse.feeds.delimited.records import is_utf8
from tapehouse.feeds.linear import BYTE_ORDER_MARK, BlockRaw, LineReader, frame_maker
from tapehouse.feeds.lines import Lines, Offsets, plain_lines
from tapehouse.feeds.streams import open_streams
from tapehouse.feeds.texts import null_texts, without_nulls
from tapehouse.feeds.virtual import file_columns, path_values, source_name
from tapehouse.feeds.window import RAW_BYTES_MAX, Window

_SPACE = r"[ \t\r]*"
_VALUE = r'("[^"\\\x00-\x1f]*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)'
# Senders that mix a few record shapes get an expression for each; what is left is parsed one by one.
_SHAPES_MAX = 4
_MALFORMED_PER_PART_MAX = 1 << 17


class _BadJsonError(Exception):
    """Why a line is no record: `observed`."""


def read(contract: Contract, source: BatchSource, *, slice_bytes: int) -> Iterator[Slice]:
    """Slices of an NDJSON batch, plain or compressed; see `base.FeedReader`. Every column is text.

    A missing key is null, as is a text the contract calls null. Objects and arrays as values, duplicate keys and,
    unless `feed.extra_columns` is ignore, unknown keys make a record malformed.
    """
    frame = frame_maker(contract, path_values(contract, source))
    offset, row = 0, 0
    with closing(open_streams(source, contract.feed)) as streams:
        for stream in streams:
            if stream.peek(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
                stream.skip(len(BYTE_ORDER_MARK))
                offset += len(BYTE_ORDER_MARK)
            member = _Member(frame, contract.feed.max_record_bytes, offset, row, contract, returns=False)
            yield from member.slices(stream, slice_bytes)
            offset, row = member.offset, member.row


@dataclass(slots=True)
class _Member(LineReader):
    """Reads one stream of JSON lines."""

    contract: Contract
    _keys: list[str] = field(init=False)
    _strict: bool = field(init=False)

    def __post_init__(self) -> None:
        self._keys = list(dict.fromkeys(source_name(column) for column in file_columns(self.contract)))
        self._strict = self.contract.feed.extra_columns != "ignore"

    def no_columns(self) -> list[pl.Series]:
        return self._columns({key: pl.Series([], dtype=pl.String) for key in self._keys})

    def block(self, data: bytes, window: Window, *, last: bool) -> Generator[Slice, None, int]:
        used = len(data) if last else data.rfind(b"\n") + 1
        text = data[:used] if used < len(data) else data
        lines = plain_lines(text, 0)
        if last and len(lines.ends) and text.endswith(b"\n") and not text[lines.starts[-1] : lines.ends[-1]].strip():
            lines = Lines(text, lines.starts[:-1], lines.ends[:-1], 0)  # an empty line that ends the file is no record
        step = len(lines.ends) if len(lines.ends) <= _MALFORMED_PER_PART_MAX else self._step(lines)
        for first in range(0, len(lines.ends), max(step, 1)):
            part = Lines(text, lines.starts[first : first + step], lines.ends[first : first + step], 0)
            yield self._slice(part)
            self.row += len(part.ends)
        return used

    @staticmethod
    def _step(lines: Lines) -> int:
        """Lines per slice: no JSON object with a value is shorter than 8 bytes, so many short lines are bad ones."""
        short = int(np.count_nonzero(lines.ends - lines.starts < 8))
        return _MALFORMED_PER_PART_MAX if short > _MALFORMED_PER_PART_MAX else len(lines.ends)

    def _slice(self, lines: Lines) -> Slice:
        texts, problems = self._texts(lines)
        values, refused = self._values(texts, problems)
        problems |= refused
        good = np.setdiff1d(np.arange(len(lines.ends)), np.fromiter(problems, np.int64, len(problems)))
        columns = self._columns({key: series.gather(good) for key, series in values.items()})
        bad = [self._malformed(lines, number, *problems[number]) for number in sorted(problems)]
        rows = good + self.row if problems else None
        raw = BlockRaw(lines.data, self.offset, lines.starts[good], lines.ends[good], self.row, rows)
        return Slice(self.frame(columns), self.row, len(lines.ends), raw, rows=rows, malformed=bad)

    def _columns(self, values: dict[str, pl.Series]) -> list[pl.Series]:
        return [
            without_nulls(values[source_name(column)], null_texts(self.contract, column)).alias(column.name)
            for column in file_columns(self.contract)
        ]

    def _texts(self, lines: Lines) -> tuple[pl.Series, dict[int, tuple[str, str, str]]]:
        """Lines as text (null where they are none), and what is wrong with those."""
        problems: dict[int, tuple[str, str, str]] = {}
        lengths = lines.ends - lines.starts
        for number in np.flatnonzero(lengths > self.record_bytes_max).tolist():
            problems[number] = ("malformed_length", *self.too_long(int(lengths[number])))
        raw = lines.take(np.arange(len(lengths)))
        if not problems and is_utf8(lines.data):
            return pl.Series([line.decode() for line in raw], dtype=pl.String), problems
        texts: list[str | None] = []
        for number, line in enumerate(raw):
            text = None
            if number not in problems:
                try:
                    text = line.decode()
                except UnicodeDecodeError as error:
                    observed = f"byte 0x{line[error.start]:02x} at byte {error.start}"
                    problems[number] = ("malformed_encoding", observed, "valid UTF-8")
            texts.append(text)
        return pl.Series(texts, dtype=pl.String), problems

    def _values(
        self, texts: pl.Series, known: dict[int, tuple[str, str, str]]
    ) -> tuple[dict[str, pl.Series], dict[int, tuple[str, str, str]]]:
        """Text of each key, and the lines that are no record."""
        values = {key: pl.repeat(None, len(texts), dtype=pl.String, eager=True) for key in self._keys}
        problems: dict[int, tuple[str, str, str]] = {}
        left = np.setdiff1d(np.arange(len(texts)), np.fromiter(known, np.int64, len(known)))
        for _ in range(_SHAPES_MAX):
            shape = self._shape(texts[int(left[0])]) if len(left) else None
            if shape is None:
                break
            left = self._take_apart(texts, left, *shape, values)
        singles: dict[str, list[str | None]] = {key: [] for key in self._keys}
        for number in left.tolist():
            try:
                record = parse_line(texts[number])
                self._check_keys(record)
            except _BadJsonError as error:
                problems[number] = ("malformed_json", str(error), "one JSON object of plain values, each key once")
                record = {}
            for key, column in singles.items():
                column.append(record.get(key))
        if len(left):
            for key, column in singles.items():
                values[key] = values[key].scatter(left, pl.Series(column, dtype=pl.String))
        return values, problems

    def _check_keys(self, record: dict[str, str | None]) -> None:
        unknown = [key for key in record if key not in self._keys] if self._strict else []
        if unknown:
            raise _BadJsonError(f"key {unknown[0]!r}, which the contract does not know")

    def _shape(self, line: str) -> tuple[str, list[str]] | None:
        """A regular expression for lines shaped like `line`, and its keys in order; None if it is not a plain one."""
        try:
            record = parse_line(line)
            self._check_keys(record)
        except _BadJsonError:
            return None
        keys = list(record)
        if not keys or any(json.dumps(key, ensure_ascii=False) != f'"{key}"' for key in keys):
            return None
        pairs = f"{_SPACE},{_SPACE}".join(f'"{re.escape(key)}"{_SPACE}:{_SPACE}{_VALUE}' for key in keys)
        return rf"\A{_SPACE}\{{{_SPACE}{pairs}{_SPACE}\}}{_SPACE}\z", keys

    def _take_apart(
        self, texts: pl.Series, left: Offsets, pattern: str, keys: list[str], values: dict[str, pl.Series]
    ) -> Offsets:
        """Fill `values` from the lines `left` that match; returns those that do not."""
        groups = texts.gather(left).str.extract_groups(pattern).struct.unnest()
        matched: npt.NDArray[np.bool_] = groups.to_series(0).is_not_null().to_numpy()
        where = left[matched]
        for number, key in enumerate(keys):
            if key in values:
                found = groups.to_series(number).filter(pl.Series(matched))
                found = found.set(found == "null", None)
                text = found.str.strip_prefix('"').str.strip_suffix('"')
                values[key] = text if len(where) == len(texts) else values[key].scatter(where, text)
        return left[~matched]

    def _malformed(self, lines: Lines, number: int, code: str, observed: str, bound: str) -> Malformed:
        start, end = int(lines.starts[number]), int(lines.ends[number])
        raw = lines.data[start : min(end, start + RAW_BYTES_MAX)]
        return Malformed(RawRecord(self.row + number, self.offset + start, end - start, raw), code, observed, bound)


def parse_line(line: str) -> dict[str, str | None]:
    """Keys and value texts of one JSON object; raises _BadJsonError."""
    if not line.strip(" \t\r"):
        raise _BadJsonError("an empty line")
    try:
        record = json.loads(line, parse_float=str, parse_int=str, parse_constant=_no_constant, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise _BadJsonError(str(error)) from error
    if not isinstance(record, _Pairs):
        raise _BadJsonError("a value that is no object")
    return {key: _plain_text(key, value) for key, value in _once(record)}


class _Pairs(list[tuple[str, object]]):
    """Keys and values of an object as written, duplicates included."""


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _once(pairs: _Pairs) -> _Pairs:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise _BadJsonError(f"key {key!r} twice")
        seen.add(key)
    return pairs


def _plain_text(key: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise _BadJsonError(f"key {key!r} holds {'an object' if isinstance(value, _Pairs) else 'an array'}")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _BadJsonError(f"key {key!r} holds half a surrogate pair")
    return value

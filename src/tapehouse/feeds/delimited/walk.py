"""Records of a block whose quotes cannot be told by counting: field by field, but only through records with a quote."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from tapehouse.feeds.lines import CR, LF, Dialect, Offsets

_NEEDS_MORE = -1
_WRONG = -2


@dataclass(slots=True)
class Trail:
    """What a walk found: line ends that end a record, and the syntax of the records that hold quotes (`spans`)."""

    terminators: Offsets
    drops: Offsets
    unclosed: Offsets
    spans: Offsets
    separators: Offsets

    def separators_of(self, everywhere: Offsets) -> Offsets:
        """Those of `everywhere` outside the walked records, and those found within them."""
        plain = everywhere[np.searchsorted(self.spans, everywhere, side="right") % 2 == 0]
        return np.sort(np.concatenate([plain, self.separators]))


@dataclass(slots=True)
class _Syntax:
    separators: list[int] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)


def walk(data: bytes, terminators: Offsets, dialect: Dialect, *, last: bool) -> Trail:
    """Decide which of the line ends `terminators` end a record; stops at a record that needs more bytes."""
    reader = _RecordReader(data, dialect, last=last)
    syntax, taken = _Syntax(), []
    spans: list[int] = []
    unclosed: list[int] = []
    position, line = 0, 0
    while (found := data.find(reader.quote, position)) >= 0:
        first = int(np.searchsorted(terminators, found))
        taken.append(terminators[line:first])
        start = int(terminators[first - 1]) + 1 if first > line else position
        end = _WRONG if reader.is_comment(start) else reader.read(start, syntax)
        if end == _NEEDS_MORE:
            break
        if end != _WRONG:
            spans += (start, end)
            first = int(np.searchsorted(terminators, end))
        elif not reader.is_comment(start):
            unclosed.append(start)
        if first == len(terminators):
            break
        taken.append(terminators[first : first + 1])
        position, line = int(terminators[first]) + 1, first + 1
    else:
        taken.append(terminators[line:])
    ends = np.concatenate(taken) if taken else terminators[:0]
    return Trail(ends, _sorted(syntax.drops), _sorted(unclosed), _sorted(spans), _sorted(syntax.separators))


def _sorted(positions: list[int]) -> Offsets:
    return np.sort(np.array(positions, np.int64))


class _RecordReader:
    """Reads one record at a time out of a block."""

    def __init__(self, data: bytes, dialect: Dialect, *, last: bool) -> None:
        self.quote = bytes([dialect.quote or 0])
        self._data = data
        self._dialect = dialect
        self._last = last
        quote, separator = re.escape(self.quote), re.escape(bytes([dialect.separator]))
        self._quoted = re.compile(quote + b"(?:[^" + quote + b"]++|" + quote * 2 + b")*+" + quote)
        self._plain = re.compile(b"[^" + separator + rb"\r\n]*+")

    def is_comment(self, start: int) -> bool:
        return bool(self._dialect.comment) and self._data.startswith(self._dialect.comment, start)

    def read(self, start: int, syntax: _Syntax) -> int:
        """Position of the record's line end (or of the end of all data), adding to `syntax`; or why there is none."""
        data = self._data
        stop = min(len(data), start + self._dialect.record_bytes_max + 1)
        undecided = _WRONG if self._last or len(data) - start > self._dialect.record_bytes_max else _NEEDS_MORE
        separators: list[int] = []
        drops: list[int] = []
        position = start
        while True:
            if data.startswith(self.quote, position):
                match = self._quoted.match(data, position, stop)
                if match is None:
                    return undecided
                drops += self._syntax_of_field(position, match.end())
                position = match.end()
            else:
                # Always matches, if only the empty text.
                position = self._plain.match(data, position).end()  # type: ignore[union-attr]
            if position == len(data) and not self._last:
                return undecided
            if position < len(data) and data[position] == self._dialect.separator:
                separators.append(position)
                position += 1
                continue
            if position < len(data) and data[position] not in (CR, LF):
                return _WRONG
            syntax.separators += separators
            syntax.drops += drops
            return position

    def _syntax_of_field(self, start: int, end: int) -> list[int]:
        """Positions of the quotes around a field, and of the first of each doubled pair in it."""
        drops = [start, end - 1]
        pair = self.quote * 2
        position = start + 1
        while (position := self._data.find(pair, position, end - 1)) >= 0:
            drops.append(position)
            position += 2
        return drops

"""Where records begin and end in a block that holds quotes, carriage returns, comments or damage.

Grammar (RFC 4180, with all three line ends): a field is quoted if it begins with the quote character; within it, line
ends and separators are data and a doubled quote is one. Anywhere else a quote is an ordinary character. A quoted field
that does not close within the record limit, or is followed by anything but a separator or a line end, spoils its own
line only: reading goes on at the next line, so that one stray quote never swallows its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tapehouse import native
from tapehouse.feeds.delimited.walk import walk
from tapehouse.feeds.lines import CR, LF, Bytes, Dialect, Lines, Offsets, count, find_all, plain_lines, view
from tapehouse.native import csv

_EMPTY = np.empty(0, np.int64)


@dataclass(slots=True)
class Records:
    """Records i of a block: `data[starts[i]:ends[i]]`, without the line end.

    `separators` are the bytes that part fields, `drops` the bytes that are syntax and no data (quotes). `unclosed`
    marks records whose quotes are wrong. The block is understood up to `consumed`: the rest needs more bytes.
    """

    starts: Offsets
    ends: Offsets
    separators: Offsets
    drops: Offsets
    unclosed: Offsets
    consumed: int


def looks_plain(data: bytes, dialect: Dialect, *, last: bool) -> bool:
    """Whether the block is valid text whose records end at line feeds, as far as a quick look can tell."""
    if not data or not (data.endswith(b"\n") or last):
        return False
    if last and (data in (b"\n", b"\r\n") or data.endswith((b"\n\n", b"\n\r\n"))):
        return False
    return not (dialect.comment and dialect.comment in data) and _is_text(data)


def quote_in(data: bytes, dialect: Dialect) -> int | None:
    """The quote character if it occurs in the block."""
    return dialect.quote if dialect.quote is not None and bytes([dialect.quote]) in data else None


def lines_of_plain(data: bytes, dialect: Dialect) -> Lines | None:
    """Lines of a block that `looks_plain`; None if not each of them is a record within the limit."""
    lines = plain_lines(data, dialect.separator)
    if b"\r" in data:
        closed = len(lines.ends) - (not data.endswith(b"\n"))
        returns = lines.ends[:closed] - 1
        array = view(data)
        if not closed or array[0] == LF or (array[returns] != CR).any() or count(array, CR) != closed:
            return None
        lines.ends[:closed] = returns
        lines = replace(lines, returns=True)
    if (lines.ends - lines.starts).max() > dialect.record_bytes_max:
        return None
    quote = quote_in(data, dialect)
    if quote is None:
        return lines
    array = view(data)
    quotes = find_all(array, quote)
    if not _alternate(array, quotes, dialect, last=True) or _line_end_within(quotes, lines.ends):
        return None
    return replace(lines, quote=quote, quotes=quotes)


def _line_end_within(quotes: Offsets, ends: Offsets) -> bool:
    opening, closing = quotes[0::2], quotes[1::2]
    filled = closing > opening + 1
    return not np.array_equal(np.searchsorted(ends, opening[filled]), np.searchsorted(ends, closing[filled]))


def _is_text(data: bytes) -> bool:
    """Whether the whole block is valid UTF-8 without NUL. Python would hold the interpreter's lock for the look."""
    if native.library is not None and csv.is_ascii(data):
        return True
    return b"\0" not in data and is_utf8(data)


def is_utf8(data: bytes) -> bool:
    """Whether the whole block is valid UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def scan(data: bytes, dialect: Dialect, *, last: bool) -> Records:
    """Find the records of `data`, which begins at a record; `last` tells that no bytes follow it."""
    array = view(data)
    terminators = _terminators(array, data, last=last)
    separators = find_all(array, dialect.separator)
    quote = dialect.quote
    if quote is None or bytes([quote]) not in data:
        return _assemble(array, terminators, separators, _EMPTY, _EMPTY, last=last)
    quotes = find_all(array, quote)
    if not (dialect.comment and dialect.comment in data) and _alternate(array, quotes, dialect, last=last):
        outside = _outside(terminators, quotes)
        found = _assemble(array, outside, _outside(separators, quotes), _syntax(quotes), _EMPTY, last=last)
        rest = 0 if last else len(data) - found.consumed
        if max(rest, int((found.ends - found.starts).max(initial=0))) <= dialect.record_bytes_max:
            return found
    trail = walk(data, terminators, dialect, last=last)
    return _assemble(array, trail.terminators, trail.separators_of(separators), trail.drops, trail.unclosed, last=last)


def _terminators(array: Bytes, data: bytes, *, last: bool) -> Offsets:
    """Last byte of each line end: every line feed, and each carriage return that no line feed follows."""
    feeds = find_all(array, LF)
    if b"\r" not in data:
        return feeds
    returns = find_all(array, CR)
    if not last and returns[-1] == len(array) - 1:
        returns = returns[:-1]  # a line feed may follow in the next block
    following = array[np.minimum(returns + 1, len(array) - 1)]
    alone = returns[(following != LF) | (returns == len(array) - 1)]
    return np.sort(np.concatenate([feeds, alone]))


def _outside(positions: Offsets, quotes: Offsets) -> Offsets:
    """Positions with an even number of quotes before them."""
    outside: Offsets = positions[np.searchsorted(quotes, positions) % 2 == 0]
    return outside


def _alternate(array: Bytes, quotes: Offsets, dialect: Dialect, *, last: bool) -> bool:
    """Whether quotes strictly open and close fields, so that counting them tells inside from outside."""
    opening, closing = quotes[0::2], quotes[1::2]
    if len(opening) > len(closing) and last:
        return False
    before = array[np.maximum(opening - 1, 0)]
    doubled = np.zeros(len(opening), np.bool_)
    doubled[1:] = opening[1:] == closing[: len(opening) - 1] + 1
    opens = (opening == 0) | doubled | (before == dialect.separator) | (before == LF) | (before == CR)
    after = array[np.minimum(closing + 1, len(array) - 1)]
    at_end = closing == len(array) - 1
    closes = at_end | (after == dialect.separator) | (after == LF) | (after == CR) | (after == dialect.quote)
    return bool(opens.all() and closes.all())


def _syntax(quotes: Offsets) -> Offsets:
    """Quotes that are no data: all closing ones, and opening ones unless they double a quote."""
    opening, closing = quotes[0::2], quotes[1::2]
    doubled = np.zeros(len(opening), np.bool_)
    doubled[1:] = opening[1:] == closing[: len(opening) - 1] + 1
    return np.sort(np.concatenate([opening[~doubled], closing]))


def _assemble(
    array: Bytes, terminators: Offsets, separators: Offsets, drops: Offsets, unclosed: Offsets, *, last: bool
) -> Records:
    consumed = int(terminators[-1]) + 1 if len(terminators) else 0
    starts = np.concatenate([[0], terminators[:-1] + 1]).astype(np.int64) if len(terminators) else _EMPTY
    ends = terminators.copy()
    if len(ends):
        crlf = (array[ends] == LF) & (ends > starts) & (array[np.maximum(ends - 1, 0)] == CR)
        ends -= crlf
    if last and consumed < len(array):
        starts, ends, consumed = np.append(starts, consumed), np.append(ends, len(array)), len(array)
    elif last and len(starts) and starts[-1] == ends[-1]:
        starts, ends = starts[:-1], ends[:-1]  # an empty line that ends the file is no record
    return Records(starts, ends, separators, drops, unclosed, consumed)

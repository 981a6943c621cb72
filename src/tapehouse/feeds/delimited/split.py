"""Records of a troubled block into good ones, rewritten as plain lines, and malformed ones with their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tapehouse.feeds.base import Malformed, RawRecord
from tapehouse.feeds.delimited.records import Records, is_utf8
from tapehouse.feeds.lines import CR, LF, Bytes, Dialect, Lines, Offsets, find_all, plain_lines, view
from tapehouse.feeds.window import RAW_BYTES_MAX

# A malformed record costs a few hundred bytes of memory however short it is.
MALFORMED_PER_PART_MAX = 1 << 17
CODES = ("", "malformed_columns", "malformed_quote", "malformed_encoding", "malformed_nul", "malformed_length")
_COLUMNS, _QUOTE, _ENCODING, _NUL, _LENGTH = range(1, 6)
# Bytes that may stand for separators and line ends where the data itself holds those; the first free ones are taken.
_STAND_INS = (*range(31, 13, -1), *range(1, 9), 11, 12, 127)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Records of a block without comment lines, and for each its place in `CODES` (0: good). `counts` are fields."""

    starts: Offsets
    ends: Offsets
    counts: Offsets
    codes: npt.NDArray[np.int8]

    def parts(self) -> Iterator[Verdicts]:
        """Runs of records with a bounded number of malformed ones each."""
        bad = np.flatnonzero(self.codes)
        cuts = bad[MALFORMED_PER_PART_MAX - 1 :: MALFORMED_PER_PART_MAX] + 1
        for first, end in pairwise([0, *cuts.tolist(), len(self.codes)]):
            if end > first:
                run = slice(first, end)
                yield Verdicts(self.starts[run], self.ends[run], self.counts[run], self.codes[run])


def judge(data: bytes, records: Records, dialect: Dialect, width: int) -> Verdicts:
    """Why each record cannot be split into `width` fields, if it cannot; the gravest reason wins."""
    array = view(data)
    starts, ends = records.starts, records.ends
    if dialect.comment:
        real = ~_starts_with(array, starts, ends, dialect.comment)
        starts, ends = starts[real], ends[real]
    counts = np.searchsorted(records.separators, ends) - np.searchsorted(records.separators, starts) + 1
    codes = np.zeros(len(starts), np.int8)
    codes[counts != width] = _COLUMNS
    codes[np.isin(starts, records.unclosed)] = _QUOTE
    if not is_utf8(data):
        codes[_undecodable(data, array, starts, ends)] = _ENCODING
    if b"\0" in data:
        codes[_holding(find_all(array, 0), starts, ends)] = _NUL
    codes[ends - starts > dialect.record_bytes_max] = _LENGTH
    return Verdicts(starts, ends, counts, codes)


def _starts_with(array: Bytes, starts: Offsets, ends: Offsets, prefix: bytes) -> npt.NDArray[np.bool_]:
    matches = ends - starts >= len(prefix)
    for step, byte in enumerate(prefix):
        matches &= array[np.minimum(starts + step, len(array) - 1)] == byte
    return matches


def _holding(positions: Offsets, starts: Offsets, ends: Offsets) -> Offsets:
    """Numbers of the records that hold one of `positions`."""
    numbers = np.searchsorted(starts, positions, side="right") - 1
    inside = (numbers >= 0) & (positions < ends[np.maximum(numbers, 0)]) if len(ends) else np.zeros(len(numbers), bool)
    return np.unique(numbers[inside])


def _undecodable(data: bytes, array: Bytes, starts: Offsets, ends: Offsets) -> list[int]:
    high = np.flatnonzero(array >= 0x80)
    return [n for n in _holding(high, starts, ends).tolist() if not is_utf8(data[starts[n] : ends[n]])]


def rewrite(data: bytes, records: Records, verdicts: Verdicts, dialect: Dialect) -> Lines | None:
    """Good records as plain lines: quotes undone, one kind of line end.

    None if that cannot be: no byte is free to part fields, or a field ends in a carriage return, which Polars drops.
    """
    separator, eol = dialect.separator, LF
    if len(records.drops):
        free = [byte for byte in _STAND_INS if bytes([byte]) not in data][:2]
        if len(free) < 2:
            return None
        separator, eol = free
    good = verdicts.codes == 0
    starts, ends = verdicts.starts[good], verdicts.ends[good]
    edges = np.zeros(len(data) + 2, np.int8)
    edges[starts] += 1
    edges[ends + 1] -= 1
    keep = np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)
    keep[records.drops] = False
    array = np.append(view(data), np.uint8(LF))
    array[records.separators] = separator
    array[ends] = eol
    text = array[keep].tobytes()
    if any(bytes([CR, byte]) in text for byte in (separator, eol)):
        return None
    return plain_lines(text, separator, eol)


def fields(data: bytes, records: Records, verdicts: Verdicts) -> list[list[str]]:
    """Fields of the good records, one by one: for the rare block in which `rewrite` finds no free byte."""
    rows = []
    for number in np.flatnonzero(verdicts.codes == 0):
        start, end = verdicts.starts[number], verdicts.ends[number]
        first, stop = np.searchsorted(records.separators, [start, end])
        edges = [start - 1, *records.separators[first:stop].tolist(), end]
        rows.append([_field(data, records, before + 1, after) for before, after in pairwise(edges)])
    return rows


def _field(data: bytes, records: Records, start: int, end: int) -> str:
    first, stop = np.searchsorted(records.drops, [start, end])
    return np.delete(view(data[start:end]), records.drops[first:stop] - start).tobytes().decode()


def malformed(
    data: bytes, verdicts: Verdicts, offset: int, rows: Offsets, dialect: Dialect, width: int
) -> list[Malformed]:
    """The malformed records. `offset` is that of the block's first byte, `rows` are the verdicts' record numbers."""
    found = []
    for number in np.flatnonzero(verdicts.codes).tolist():
        start, end = int(verdicts.starts[number]), int(verdicts.ends[number])
        raw = data[start : min(end, start + RAW_BYTES_MAX)]
        record = RawRecord(int(rows[number]), offset + start, end - start, raw)
        code = int(verdicts.codes[number])
        observed, bound = _explain(code, data[start:end], int(verdicts.counts[number]), dialect, width)
        found.append(Malformed(record, CODES[code], observed, bound))
    return found


def _explain(code: int, raw: bytes, count: int, dialect: Dialect, width: int) -> tuple[str, str]:
    if code == _COLUMNS:
        return ("an empty line" if not raw else f"{count} fields"), f"{width} fields"
    if code == _QUOTE:
        bound = f"each quoted field closes within {dialect.record_bytes_max} bytes, before a separator or line end"
        return "a quote that is not closed, or followed by text", bound
    if code == _ENCODING:
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            return f"byte 0x{raw[error.start]:02x} at byte {error.start}", "valid UTF-8"
    if code == _NUL:
        return f"NUL at byte {raw.find(0)}", "no NUL bytes"
    return f"{len(raw)} bytes", f"at most {dialect.record_bytes_max} bytes (feed.max_record_bytes)"

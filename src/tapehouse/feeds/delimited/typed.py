"""Text lines to contract columns through Polars: whole numbers at once, the rest left as text for the kernel.

Polars is fast but lenient: it skips blanks before a number, takes a short line for one that ends in nulls, and turns a
bad number into a null. So each cell that is null, or may have been read too kindly, is read again from its text
(`integers.parse_integers`), which costs only as much as there is doubt.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from tapehouse.feeds.delimited.layout import Layout, Schema, Target
from tapehouse.feeds.integers import Scaling, canonical, parse_integers
from tapehouse.feeds.linear import BYTE_ORDER_MARK
from tapehouse.feeds.lines import CR, SPACE, TAB, Lines, Offsets, count, find_all, find_pairs, view
from tapehouse.feeds.texts import without_nulls

# Said of blocks with broken quotes, which are read ahead of being understood; rows are counted here anyway.
warnings.filterwarnings("ignore", message="CSV malformed", category=UserWarning)

# Above this share of doubtful lines, reading all text again in one go is cheaper than collecting the lines.
_DOUBT_SHARE_MAX = 0.05
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Contract columns (without those from the path), and per column with refused values a mask of them."""

    columns: list[pl.Series]
    failed: dict[str, pl.Series]


def parse(lines: Lines, layout: Layout) -> Parsed | None:
    """Read every line; None if some line does not have exactly `layout.width` fields."""
    padded = _padded(lines, layout) if layout.integers else _NONE
    frame = _read(lines.data, layout.schema, lines.separator, lines.eol, lines.quote)
    if frame is None or frame.height != len(lines.ends) or not _widths_hold(lines, frame, layout.width):
        return None
    doubt = _doubtful(frame, layout, padded)
    texts = _texts(lines, doubt, layout) if len(doubt) else None
    columns, failed = [], {}
    for target in layout.targets:
        series = frame[str(target.index)]
        if series.dtype == pl.String:
            values, bad = from_text(target, series)
        else:
            values, bad = _from_numbers(target, series, doubt, texts)
        columns.append(values.alias(target.column.name))
        if bad is not None and bad.any():
            failed[target.column.name] = bad.alias(target.column.name)
    return Parsed(columns, failed)


def from_fields(rows: Sequence[Sequence[str]], layout: Layout) -> Parsed:
    """Columns of records already split into fields."""
    columns, failed = [], {}
    for target in layout.targets:
        text = pl.Series([row[target.index] or None for row in rows], dtype=pl.String)
        values, bad = from_text(target, text)
        columns.append(values.alias(target.column.name))
        if bad is not None and bad.any():
            failed[target.column.name] = bad.alias(target.column.name)
    return Parsed(columns, failed)


def from_text(target: Target, text: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Values of `text` for a column (an empty field comes as null), and where they were refused."""
    text = without_nulls(text if "" in target.nulls else text.fill_null(""), target.nulls)
    if target.how is None:
        return text, None
    values = canonical(parse_integers(text), target.how)
    return values, values.is_null() & text.is_not_null()


def _from_numbers(
    target: Target, numbers: pl.Series, doubt: Offsets, texts: dict[int, pl.Series] | None
) -> tuple[pl.Series, pl.Series | None]:
    values = canonical(numbers, target.how or Scaling())
    bad = None if values.null_count() == numbers.null_count() else values.is_null() & numbers.is_not_null()
    if texts is None:
        return values, bad
    again, refused = from_text(target, texts[target.index])
    if len(again) == len(values):
        return again, refused
    if not again.equals(values.gather(doubt), null_equal=True):
        values = values.scatter(doubt, again)
    if refused is not None and refused.any():
        bad = pl.repeat(value=False, n=len(values), dtype=pl.Boolean, eager=True) if bad is None else bad
        bad = bad.scatter(doubt, refused)
    return values, bad


def _read(data: bytes, schema: Schema, separator: int, eol: int, quote: int | None) -> pl.DataFrame | None:
    if not data:
        return pl.DataFrame(schema=schema)
    guard = data.startswith(BYTE_ORDER_MARK)
    try:
        frame = pl.read_csv(
            _blank_line(len(schema), separator, eol) + data if guard else data,
            has_header=False,
            schema=schema,
            separator=chr(separator),
            eol_char=chr(eol),
            quote_char=None if quote is None else chr(quote),
            ignore_errors=True,
        )
    except PolarsError:
        return None
    return frame[1:] if guard else frame


def _blank_line(width: int, separator: int, eol: int) -> bytes:
    """Put before a block that begins with a byte order mark, which Polars would drop though it is data there."""
    return bytes([separator]) * (width - 1) + bytes([eol])


def _widths_hold(lines: Lines, frame: pl.DataFrame, width: int) -> bool:
    """Whether no line is too short. Polars refuses a line that is too long, and fills up a short one with nulls: only
    lines whose last field is null can be short. (It forgives an empty extra field on an open last line: counted too.)
    """
    last = frame.to_series(width - 1)
    suspects = last.is_null().arg_true().to_numpy().astype(np.int64) if last.null_count() else _NONE
    if len(suspects) > _DOUBT_SHARE_MAX * frame.height and lines.quote is None:
        return count(view(lines.data), lines.separator) == (width - 1) * frame.height
    if not lines.data.endswith(bytes([lines.eol])) and frame.height:
        suspects = np.append(suspects, frame.height - 1)
    separator = bytes([lines.separator])
    suspicious = lines.take(suspects)
    if lines.quote is not None:
        quoted = _quoted_field(lines.quote)
        suspicious = [quoted.sub(b"", line) for line in suspicious]
    return all(line.count(separator) == width - 1 for line in suspicious)


def _quoted_field(quote: int) -> re.Pattern[bytes]:
    mark = re.escape(bytes([quote]))
    return re.compile(mark + b"(?:[^" + mark + b"]|" + mark * 2 + b")*" + mark)


def _doubtful(frame: pl.DataFrame, layout: Layout, padded: Offsets) -> Offsets:
    """Lines in which a whole number is null, or may have had blanks around it (`padded`)."""
    integers = [frame[str(index)] for index in sorted(layout.integers)]
    found = [series.is_null().arg_true().to_numpy().astype(np.int64) for series in integers if series.null_count()]
    return np.unique(np.concatenate([padded, *found]))


def _padded(lines: Lines, layout: Layout) -> Offsets:
    """Lines with a blank at the beginning of some field, or a carriage return in one."""
    array = view(lines.data)
    found = []
    for blank in (SPACE, TAB):
        if blank in (lines.separator, lines.eol) or bytes([blank]) not in lines.data:
            continue
        found.append(find_pairs(array, lines.separator, blank))
        if 0 in layout.integers:
            found.append(lines.starts[array[lines.starts] == blank])
        if lines.quotes is not None:
            found.append(lines.quotes[array[np.minimum(lines.quotes + 1, len(array) - 1)] == blank])
    if lines.eol != CR and not lines.returns and b"\r" in lines.data:
        found.append(find_all(array, CR))
    return np.searchsorted(lines.ends, np.concatenate(found)) if found else _NONE


def _texts(lines: Lines, doubt: Offsets, layout: Layout) -> dict[int, pl.Series]:
    """Text of the whole-number fields of the doubtful lines; of all lines where doubt is common."""
    integers = sorted(layout.integers)
    if len(doubt) <= _DOUBT_SHARE_MAX * len(lines.ends):
        rows = _fields(lines, doubt)
        return {index: pl.Series([row[index] or None for row in rows], dtype=pl.String) for index in integers}
    schema: Schema = {str(index): pl.String for index in range(layout.width)}
    frame = _read(lines.data, schema, lines.separator, lines.eol, lines.quote)
    if frame is None:
        raise AssertionError("lines of the right width were refused when read as text")
    return {index: frame[str(index)] for index in integers}


def _fields(lines: Lines, positions: Offsets) -> list[list[str]]:
    return split_texts([line.decode() for line in lines.take(positions)], lines.separator, lines.quote)


def split_texts(texts: Sequence[str], separator: int, quote: int | None) -> list[list[str]]:
    """Fields of well-formed records, quotes undone."""
    part, mark = chr(separator), "\0" if quote is None else chr(quote)
    quoting, parting = re.escape(mark), re.escape(part)
    field = re.compile(f"(?:{quoting}((?:[^{quoting}]|{quoting}{quoting})*){quoting}|([^{parting}]*))(?:{parting}|\\Z)")
    return [
        [(quoted or plain).replace(mark * 2, mark) for quoted, plain in field.findall(text)]
        if mark in text
        else text.split(part)
        for text in texts
    ]

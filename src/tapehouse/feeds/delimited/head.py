"""What comes before the first record: byte order mark, comments, header."""

from __future__ import annotations

import numpy as np

from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.delimited.layout import Layout, header_names, layout_of_header, layout_of_order
from tapehouse.feeds.delimited.records import scan
from tapehouse.feeds.linear import BYTE_ORDER_MARK
from tapehouse.feeds.lines import Dialect
from tapehouse.feeds.streams import Stream

_PEEK_BYTES = 1 << 16


def read_head(stream: Stream, contract: Contract, dialect: Dialect, origin: str) -> tuple[Layout, int]:
    """The layout of the stream's records, and the number of bytes passed to reach the first of them.

    Raises FeedError when there is no readable header where there should be one, or it does not fit the contract.
    """
    path = f"{origin}!{stream.name}" if stream.name else origin
    passed = 0
    if stream.peek(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
        passed = len(BYTE_ORDER_MARK)
        stream.skip(passed)
    if not contract.feed.header:
        first = _first_record(stream, dialect) if contract.feed.extra_columns == "ignore" else None
        return layout_of_order(contract, first[2] if first else 0), passed
    first = _first_record(stream, dialect)
    if first is None:
        fix = "set feed.header to false if the file has no header, feed.delimiter and feed.quote if others are used"
        raise FeedError(_why_headless(stream, dialect), path=path, fix=fix)
    header, size, _ = first
    stream.skip(size)
    return layout_of_header(contract, header_names(header, contract, path), path), passed + size


def _first_record(stream: Stream, dialect: Dialect) -> tuple[bytes, int, int] | None:
    """Bytes of the first record that is no comment, bytes up to its successor, and its number of fields."""
    size = _PEEK_BYTES
    while True:
        data = stream.peek(size)
        whole = len(data) < size
        records = scan(data, dialect, last=whole and stream.damage is None)
        for number, (start, end) in enumerate(zip(records.starts.tolist(), records.ends.tolist(), strict=True)):
            if dialect.comment and data.startswith(dialect.comment, start):
                continue
            if start in records.unclosed or end - start > dialect.record_bytes_max:
                return None
            following = records.starts[number + 1] if number + 1 < len(records.starts) else records.consumed
            fields = np.searchsorted(records.separators, [start, end])
            return data[start:end], int(following), int(fields[1] - fields[0]) + 1
        if whole or len(data) - records.consumed > dialect.record_bytes_max:
            return None
        size *= 4


def _why_headless(stream: Stream, dialect: Dialect) -> str:
    if not stream.peek(1):
        return f"has no header: {stream.damage.observed}" if stream.damage else "is empty, but a header is expected"
    if stream.damage:
        return f"ends within its header: {stream.damage.observed}"
    return f"has no readable header line within {dialect.record_bytes_max} bytes"

"""Records of a stream: bytes that one put brought, decoded to lines of a feed, or refused as poison."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator
from dataclasses import dataclass

from tapehouse.contracts.model import Contract, Feed
from tapehouse.errors import UsageError
from tapehouse.feeds.expand import Damaged, Expansion, gzip_pieces, zstd_pieces

FORMATS = {"csv": "csv", "ndjson": "ndjson"}
"""Formats whose records can arrive line by line, with the suffix of what is landed."""


class PoisonError(Exception):
    """A record that can never be decoded: `reason` says why, without its content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a stream: `shard` such as shardId-000000000000, `sequence` a decimal number."""

    stream: str
    shard: str
    sequence: str

    @property
    def order(self) -> int:
        """Greater for later records of the shard."""
        return int(self.sequence)


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was decoded: whole lines, the last one closed."""

    at: Position
    arrived: dt.datetime
    lines: bytes


def lines_of(payload: bytes, feed: Feed) -> bytes:
    """The lines that a payload holds, plain or compressed. Raises PoisonError.

    A line is a record of the feed or part of one (quoted line ends), so none may be longer than
    `feed.max_record_bytes`; an expansion over `feed.max_expansion` is refused like damage.
    """
    data = b"".join(_expanded(payload, feed))
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PoisonError(f"not UTF-8 at byte {error.start}") from None
    if not data.strip():
        raise PoisonError("empty")
    longest = max(map(len, data.split(b"\n")))
    if longest > feed.max_record_bytes:
        raise PoisonError(f"a line of {longest} bytes, at most {feed.max_record_bytes} (feed.max_record_bytes)")
    return data if data.endswith(b"\n") else data + b"\n"


def _expanded(payload: bytes, feed: Feed) -> Iterator[bytes]:
    if payload.startswith(b"\x1f\x8b"):
        pieces = gzip_pieces(io.BytesIO(payload))
    elif payload.startswith(b"\x28\xb5\x2f\xfd"):
        pieces = zstd_pieces(io.BytesIO(payload))
    else:
        yield payload
        return
    try:
        yield from Expansion(len(payload), feed.max_expansion).admit(pieces)
    except Damaged as damage:
        raise PoisonError(f"cannot be decompressed: {damage.observed}") from None


def header_of(contract: Contract) -> bytes:
    """What precedes the lines of a landed object: the names of the columns, in the contract's order, if the feed has a
    header. Raises UsageError for a contract whose records cannot arrive line by line.
    """
    feed = contract.feed
    by_path = [column.name for column in contract.columns if column.source.startswith("path:")]
    if feed.format not in FORMATS or by_path:
        why = f"column {by_path[0]!r} is read from the path" if by_path else f"its format is {feed.format}"
        raise UsageError(
            f"contract {contract.name} cannot be streamed: {why}", fix="deliver files of it to the raw bucket"
        )
    if feed.format != "csv" or not feed.header:
        return b""
    names = list(dict.fromkeys(column.source for column in contract.columns))
    if feed.quote is None:
        return (feed.delimiter.join(names) + "\n").encode()
    out = io.StringIO()
    csv.writer(out, delimiter=feed.delimiter, quotechar=feed.quote, lineterminator="\n").writerow(names)
    return out.getvalue().encode()

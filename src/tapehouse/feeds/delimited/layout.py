"""Which field of a delimited record feeds which contract column: from the header, or from the contract's order."""

from __future__ import annotations

import csv
import difflib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tapehouse.contracts.model import Column, Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.integers import Scaling, scaling
from tapehouse.feeds.virtual import file_columns, source_name

Schema = dict[str, type[pl.DataType]]


@dataclass(frozen=True, slots=True)
class Target:
    """A contract column fed by field `index`. `how` is None where the kernel parses the text. `nulls` mean null."""

    column: Column
    index: int
    how: Scaling | None
    nulls: frozenset[str]


@dataclass(frozen=True, slots=True)
class Layout:
    """Fields per record and where they go. `integers` are the fields that every one of their columns reads as int64."""

    width: int
    targets: tuple[Target, ...]

    @property
    def integers(self) -> frozenset[int]:
        """Fields read as int64 at once: no column needs their text."""
        return frozenset(t.index for t in self.targets) - {t.index for t in self.targets if not _is_integer(t)}

    @property
    def schema(self) -> Schema:
        """Polars type of every field, by its number as text."""
        integers = self.integers
        return {str(index): pl.Int64 if index in integers else pl.String for index in range(self.width)}


def _is_integer(target: Target) -> bool:
    # A null text that is itself a whole number ("-1", "0") must be told apart from "-01", so that text is needed.
    return target.how is not None and not any(text.lstrip("+-").isdigit() for text in target.nulls)


def layout_of_header(contract: Contract, names: Sequence[str], path: str) -> Layout:
    """Match header names with the contract's sources; raises FeedError on duplicate, missing or unexpected names."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    columns = file_columns(contract)
    wanted = [source_name(column) for column in columns]
    if twice:
        fix = "ask the sender to name each column once, or set feed.header to false and skip the header line"
        raise FeedError(f"header names a column twice: {', '.join(map(repr, twice))}", path=path, fix=fix)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise FeedError(_missing_message(missing, names, wanted), path=path, fix=_missing_fix(missing, names))
    extra = [name for name in names if name not in wanted]
    if extra and contract.feed.extra_columns != "ignore":
        fix = "add the columns to the contract, or set feed.extraColumns to ignore"
        raise FeedError(f"header has columns the contract does not know: {', '.join(extra)}", path=path, fix=fix)
    index = {name: position for position, name in enumerate(names)}
    return Layout(len(names), tuple(_target(contract, column, index[source_name(column)]) for column in columns))


def layout_of_order(contract: Contract, first_width: int) -> Layout:
    """Fields in the order of the contract; a wider first record is taken at its width where extras are ignored."""
    columns = file_columns(contract)
    width = len(columns)
    if contract.feed.extra_columns == "ignore":
        width = max(width, first_width)
    return Layout(width, tuple(_target(contract, column, index) for index, column in enumerate(columns)))


def header_names(header: bytes, contract: Contract, path: str) -> list[str]:
    """Names in a header line; raises FeedError if it cannot be read."""
    try:
        text = header.decode("utf-8-sig")
        lines = io.StringIO(text, newline="")
        feed = contract.feed
        if feed.quote is None:
            return next(csv.reader(lines, delimiter=feed.delimiter, quoting=csv.QUOTE_NONE), [])
        return next(csv.reader(lines, delimiter=feed.delimiter, quotechar=feed.quote, strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        fix = "deliver the header as UTF-8 text with quotes closed"
        raise FeedError(f"header cannot be read: {error}", path=path, fix=fix) from error


def _target(contract: Contract, column: Column, index: int) -> Target:
    nulls = {*contract.feed.null_values, *column.null_values}
    if contract.feed.empty_is_null:
        nulls.add("")
    return Target(column, index, scaling(column), frozenset(nulls))


def _missing_message(missing: Sequence[str], names: Sequence[str], wanted: Sequence[str]) -> str:
    found = ", ".join(names[:50]) or "nothing"
    if len(missing) == len(wanted):
        return f"header has none of the contract's columns ({', '.join(wanted)}); found: {found}"
    return f"header lacks {', '.join(missing)}; found: {found}"


def _missing_fix(missing: Sequence[str], names: Sequence[str]) -> str:
    lower = {name.strip().lower(): name for name in names}
    guesses = []
    for name in missing:
        close = difflib.get_close_matches(name.lower(), list(lower), n=1)
        if close:
            guesses.append(f"{lower[close[0]]!r} for {name!r}")
    if guesses:
        return f"did the sender write {', '.join(guesses)}? Set tapehouse.source of the column to the name in the file"
    return "set feed.header to false if the file has no header, feed.delimiter if it is not the one used"

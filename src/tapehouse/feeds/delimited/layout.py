"""Which field of a delimited record feeds which contract column: from the header, or from the contract's order."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tapehouse.contracts.model import Column, Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.integers import Scaling, scaling
from tapehouse.feeds.names import aliased, check_names
from tapehouse.feeds.texts import null_texts
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
    columns = file_columns(contract)
    known = aliased(contract, names)
    check_names(contract, known, path)
    index = {name: position for position, name in enumerate(known)}
    present = [column for column in columns if source_name(column) in index]
    return Layout(len(known), tuple(_target(contract, column, index[source_name(column)]) for column in present))


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
    return Target(column, index, scaling(column), null_texts(contract, column))

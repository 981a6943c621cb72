"""Columns that come from the batch's path and not from its bytes: `path:NAME` sources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from tapehouse.contracts.model import Column, Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource

PREFIX = "path:"


def file_columns(contract: Contract) -> tuple[Column, ...]:
    """The contract's columns that are read from the bytes, in contract order."""
    return tuple(column for column in contract.columns if not column.source.startswith(PREFIX))


def source_name(column: Column) -> str:
    """The column's name in the batch."""
    return column.source or column.name


def path_values(contract: Contract, source: BatchSource) -> dict[str, str | None]:
    """Text of each `path:` column, by column name; an optional group that took no part is null.

    Raises FeedError when `feed.path` does not match the batch's origin, or lacks a group a column asks for.
    """
    wanted = {c.name: c.source.removeprefix(PREFIX) for c in contract.columns if c.source.startswith(PREFIX)}
    if not wanted:
        return {}
    pattern = contract.feed.path
    match = re.search(pattern, source.origin) if pattern else None
    if match is None:
        fix = "correct feed.path in the contract, or deliver the batch under a path it matches"
        raise FeedError(f"feed.path {pattern!r} does not match this path", path=source.origin, fix=fix)
    groups = match.groupdict()
    missing = sorted(set(wanted.values()) - set(groups))
    if missing:
        fix = f"name the groups in feed.path, as in (?P<{missing[0]}>...)"
        found = ", ".join(sorted(groups)) or "none"
        raise FeedError(
            f"feed.path {pattern!r} has no group {', '.join(missing)}; groups: {found}", path=source.origin, fix=fix
        )
    return {name: groups[group] for name, group in wanted.items()}


def in_contract_order(
    contract: Contract, columns: Sequence[pl.Series], constants: Mapping[str, str | None]
) -> pl.DataFrame:
    """One frame of the columns read, of the constants from the path, and of nulls for columns that the batch may lack,
    in the order of the contract.
    """
    height = len(columns[0]) if columns else 0
    by_name = {series.name: series for series in columns}
    for name, value in constants.items():
        by_name[name] = pl.repeat(value, height, dtype=pl.String, eager=True).alias(name)
    absent = {column.name for column in file_columns(contract)} - by_name.keys()
    for name in absent:
        by_name[name] = pl.repeat(None, height, dtype=pl.String, eager=True).alias(name)
    return pl.DataFrame([by_name[column.name] for column in contract.columns])

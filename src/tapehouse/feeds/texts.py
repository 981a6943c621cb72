"""Which texts mean null, for every format alike."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import polars as pl

from tapehouse.contracts.model import Column, Contract


def null_texts(contract: Contract, column: Column) -> frozenset[str]:
    """Texts of `column` that mean null: the feed's, the column's own, and the empty one if the feed says so."""
    nulls = {*contract.feed.null_values, *column.null_values}
    if contract.feed.empty_is_null:
        nulls.add("")
    return frozenset(nulls)


def without_nulls(text: pl.Series, nulls: AbstractSet[str]) -> pl.Series:
    """The texts, null where they are one of `nulls`."""
    if "" in nulls and (empty := text == "").any():
        text = text.set(empty.fill_null(value=False), None)
    listed = [null for null in nulls if null]
    return text.set(text.is_in(listed).fill_null(value=False), None) if listed else text

"""Which rows repeat a key: exact, order-independent, and cheap where keys hardly ever repeat.

Each row's key is hashed to 64 bits. A pass over the hashes as plain integers shows the few values that occur more than
once; only rows with such a hash are compared by their real key. A collision of hashes therefore costs a
comparison and never a row. A key with a null part identifies nothing and is never a duplicate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Key
from tapehouse.native import order
from tapehouse.native.columns import series_of

Hashes = npt.NDArray[np.uint64]


def key_hashes(frame: pl.DataFrame, key: Key) -> Hashes:
    """One 64-bit hash per row. Of text columns it is the same in every process of one version of Polars; of categories,
    only in this one.
    """
    parts = [pl.col(name).hash(seed=index) for index, name in enumerate(key.columns)]
    mixed = parts[0]
    for part in parts[1:]:
        mixed = mixed * pl.lit(0x9E3779B97F4A7C15, pl.UInt64) + part
    return frame.select(mixed.alias("h")).to_series().to_numpy()


def repeated(hashes: Sequence[Hashes]) -> Hashes:
    """Hash values that occur more than once over all arrays, sorted ascending."""
    if not hashes:
        return np.empty(0, np.uint64)
    found = order.repeated(hashes)
    if found is not None:
        return found
    merged = np.concatenate(hashes)
    if len(merged) < 2:
        return np.empty(0, np.uint64)
    merged.sort()
    return np.unique(merged[1:][merged[1:] == merged[:-1]])


def candidates(hashes: Hashes, values: Hashes) -> npt.NDArray[np.int64]:
    """Positions whose hash is among `values`, which are ascending."""
    if not len(values):
        return np.empty(0, np.int64)
    found = order.candidates(hashes, values)
    if found is not None:
        return found
    return np.flatnonzero(series_of("", hashes).is_in(series_of("", values).implode()).to_numpy())


def losers(rows: pl.DataFrame, key: Key) -> pl.DataFrame:
    """Of candidate rows, those to drop, each with the row that is kept: `_kept_batch`, `_kept_row`.

    `rows` holds the key and `keep_first_by` columns, `_batch`, `_row` and `_published` (rows that are in the lake
    already always win: what is published is not rewritten by a later arrival).
    """
    complete = rows.drop_nulls(key.columns)
    first = complete.sort(
        [pl.col("_published").not_(), *key.keep_first_by, "_batch", "_row"], maintain_order=True, nulls_last=True
    )
    kept = first.with_columns(
        pl.col("_batch").first().over(key.columns).alias("_kept_batch"),
        pl.col("_row").first().over(key.columns).alias("_kept_row"),
        pl.int_range(pl.len()).over(key.columns).alias("_copy"),
    )
    return kept.filter((pl.col("_copy") > 0) & pl.col("_published").not_()).drop("_copy")

"""Duplicates of a run: among its own rows and against what the lake holds already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract, Key
from tapehouse.engines.embedded import THREADS
from tapehouse.kernel.dedupe import candidates, key_hashes, losers, repeated
from tapehouse.kernel.order import gather
from tapehouse.native.columns import series_of
from tapehouse.runs.stage import Piece

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """`rows` has a row per dropped record: `_batch`, `_row`, `_kept_batch`, `_kept_row` (digests as text) and the
    event time; `positions` says where they lie in each piece, by the piece's identity.
    """

    rows: pl.DataFrame
    positions: Mapping[int, Positions]


_NO_POSITIONS: Positions = np.empty(0, np.int64)


def lost_of(piece: Piece, duplicates: Duplicates | None) -> Positions:
    """Positions of the piece's rows that are dropped."""
    return _NO_POSITIONS if duplicates is None else duplicates.positions.get(id(piece), _NO_POSITIONS)


def find_duplicates(
    contract: Contract, pieces: Sequence[Piece], digests: Sequence[str], published: pl.DataFrame | None
) -> Duplicates | None:
    """Rows of the pieces, whose keys were hashed, that repeat a key; None without a key, or without a repeat.

    `published` holds key, `keep_first_by`, `_batch` (digest) and `_row` of the lake's rows in reach.
    """
    key = contract.key
    if key is None:
        return None
    hashes = [piece.hashes for piece in pieces if piece.hashes is not None]
    known = None
    if published is not None and published.height:
        known = _like(published, pieces[0].frame()) if pieces else published
    if known is not None:
        hashes.append(key_hashes(known, key))
    values = repeated(hashes)
    if not len(values):
        return None

    def copies(index: int) -> pl.DataFrame:
        piece = pieces[index]
        if piece.hashes is None:
            raise AssertionError(f"the key of piece {index} was not hashed")
        return candidate_rows(contract, key, index, piece, candidates(piece.hashes, values), digests)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="dedupe") as pool:
        rows = list(pool.map(copies, range(len(pieces))))
    if known is not None:
        rows.append(published_rows(contract, key, known[candidates(hashes[-1], values)]))
    return settle_duplicates(contract, key, pieces, rows)


def settle_duplicates(
    contract: Contract, key: Key, pieces: Sequence[Piece], rows: Sequence[pl.DataFrame]
) -> Duplicates | None:
    """Which of the candidates are dropped; None when none is. `rows` are of `candidate_rows` and `published_rows`."""
    dropped = losers(pl.concat(rows), key)
    if not dropped.height:
        return None
    positions = {
        int(index): group.get_column("_position").sort().to_numpy()
        for (index,), group in dropped.partition_by("_piece", as_dict=True).items()
    }
    return Duplicates(
        dropped.select("_batch", "_row", "_kept_batch", "_kept_row", contract.event_time.name),
        {id(pieces[index]): where for index, where in positions.items()},
    )


def _like(published: pl.DataFrame, staged: pl.DataFrame) -> pl.DataFrame:
    """Published rows with the staged rows' types: hashes are of the representation."""
    shared = [name for name in published.columns if name in staged.columns and not name.startswith("_")]
    return published.cast({name: staged.schema[name] for name in shared})


def published_rows(contract: Contract, key: Key, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that the lake holds, as candidates: they stay whatever arrives later."""
    return _columns(contract, key, rows, None, None).with_columns(pl.lit(value=True).alias("_published"))


def candidate_rows(
    contract: Contract, key: Key, index: int, piece: Piece, positions: Positions, digests: Sequence[str]
) -> pl.DataFrame:
    """Rows of piece number `index` at these positions, less those that do not count: rejected ones, and those whose key
    has a null part, which identifies nothing.
    """
    positions = positions[~np.isin(positions, piece.bad)]
    if len(positions):
        keys = gather(piece.frame().select(key.columns), positions)
        positions = positions[keys.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()]
    frame = gather(piece.frame().select(*_names(contract, key), "_row"), positions)
    named = frame.with_columns(pl.lit(digests[piece.batch]).alias("_batch"))
    return _columns(contract, key, named, index, positions).with_columns(pl.lit(value=False).alias("_published"))


def _names(contract: Contract, key: Key) -> list[str]:
    return list(dict.fromkeys([*key.columns, *key.keep_first_by, contract.event_time.name]))


def _columns(
    contract: Contract, key: Key, frame: pl.DataFrame, index: int | None, positions: Positions | None
) -> pl.DataFrame:
    """The columns that decide which copy is kept, in one order for all sources."""
    where = series_of("_position", positions) if positions is not None else pl.lit(None, pl.Int64).alias("_position")
    return frame.select(
        *_names(contract, key),
        pl.col("_batch").cast(pl.String),
        pl.col("_row"),
        pl.lit(index, pl.Int64).alias("_piece"),
        where,
    )

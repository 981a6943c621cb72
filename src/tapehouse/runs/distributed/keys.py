"""Repeated keys of a run whose rows lie with many tasks.

Each batch's task parts the hashes of its keys into ranges. A task per range finds the values that occur more than once
in any batch, or in the lake. Then a task per batch picks out the few rows with such a hash, and the driver compares
those by their real key. The driver holds the repeated keys, and the keys of the lake's rows in reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract, Key
from tapehouse.engines.tasks import Tasks
from tapehouse.kernel.dedupe import candidates, key_hashes, repeated
from tapehouse.kernel.distinct import plain
from tapehouse.lake.place import Place
from tapehouse.runs.keys import Duplicates, candidate_rows, published_rows, settle_duplicates
from tapehouse.runs.stage import Hashes, Piece, at_hand

_WORD_BITS = 64


@dataclass(frozen=True, slots=True)
class KeyHashes:
    """Hashes of a batch's keys in a file of 64-bit words, range after range; range n begins at word `starts[n]`."""

    path: Path
    starts: npt.NDArray[np.int64]

    def read(self, number: int, place: Place) -> Hashes:
        """Those of one range."""
        first, last = int(self.starts[number]), int(self.starts[number + 1])
        return np.frombuffer(place.words(self.path, first, last - first), np.uint64)


def hash_keys(contract: Contract, pieces: Sequence[Piece], folder: Path, ranges: int) -> KeyHashes:
    """Hash the keys of a batch's rows into a file."""
    if contract.key is None:
        raise AssertionError("a contract without a key has no hashes")
    hashes = np.concatenate([np.empty(0, np.uint64), *(_hashes(piece.frame(), contract.key) for piece in pieces)])
    parted, starts = _parted(hashes, ranges)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "keys"
    parted.tofile(path)
    return KeyHashes(path, starts)


def find_duplicates(
    tasks: Tasks,
    place: Place,
    contract: Contract,
    key: Key,
    hashed: Sequence[KeyHashes],
    pieces: Sequence[Piece],
    digests: Sequence[str],
    published: pl.DataFrame | None,
) -> Duplicates | None:
    """As `runs.keys.find_duplicates` does it where all rows are in memory."""
    known = plain(published) if published is not None else None
    ours = _hashes(known, key) if known is not None else np.empty(0, np.uint64)
    ranges = len(hashed[0].starts) - 1 if hashed else 1
    parted, starts = _parted(ours, ranges)
    values = np.concatenate(tasks.map(partial(repeated_in_range, place, hashed, parted, starts), range(ranges)))
    if not len(values):
        return None
    by_batch: dict[int, dict[int, Piece]] = {}
    for index, piece in enumerate(pieces):
        by_batch.setdefault(piece.batch, {})[index] = piece
    rows = tasks.map(partial(rows_with_keys, place, contract, digests, values), list(by_batch.values()))
    if known is not None:
        rows.append(published_rows(contract, key, known[candidates(ours, values)]))
    return settle_duplicates(contract, key, pieces, rows)


def repeated_in_range(
    place: Place,
    batches: Sequence[KeyHashes],
    published: Hashes,
    starts: npt.NDArray[np.int64],
    number: int,
    attempt: str,
) -> Hashes:
    """Hashes of one range that occur more than once, ascending; in the batches or among the lake's, whose ranges begin
    at `starts`.
    """
    return repeated([*(batch.read(number, place) for batch in batches), published[starts[number] : starts[number + 1]]])


def rows_with_keys(
    place: Place,
    contract: Contract,
    digests: Sequence[str],
    values: Hashes,
    pieces: Mapping[int, Piece],
    attempt: str,
) -> pl.DataFrame:
    """A batch's rows whose key has one of the hashes; `pieces` by their number in the run."""
    if contract.key is None:
        raise AssertionError("a contract without a key has no candidates")
    with place.task() as here:
        return _with_keys(
            contract,
            contract.key,
            digests,
            values,
            dict(zip(pieces, at_hand(here, list(pieces.values())), strict=True)),
        )


def _with_keys(
    contract: Contract, key: Key, digests: Sequence[str], values: Hashes, pieces: Mapping[int, Piece]
) -> pl.DataFrame:
    found = []
    for index, piece in pieces.items():
        positions = candidates(_hashes(piece.frame(), key), values)
        found.append(plain(candidate_rows(contract, key, index, piece, positions, digests)))
    return pl.concat(found)


def _hashes(frame: pl.DataFrame, key: Key) -> Hashes:
    """Of the texts themselves, not of the codes that this process has for them."""
    return key_hashes(plain(frame.select(key.columns)), key)


def _parted(hashes: Hashes, ranges: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The hashes in order of their range, and where each range begins; one more for the end."""
    number = hashes >> np.uint64(_WORD_BITS - 16)
    number = (number * np.uint64(ranges)) >> np.uint64(16)
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(ranges + 1, dtype=np.uint64))
    return hashes[order], starts.astype(np.int64)

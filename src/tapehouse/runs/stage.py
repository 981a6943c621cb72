"""Rows waiting to be published, by partition: in memory up to a bound, then on disk."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.lake.place import Place

Hashes = npt.NDArray[np.uint64]
MEMORY_BYTES = 1 << 30


@dataclass(slots=True)
class Piece:
    """Rows of one partition from one slice of one batch (`batch` is its ordinal in the run), in record order.

    Those at the positions `bad` were rejected and do not count: whoever reads `frame` leaves them out. `hashes` are of
    the keys of all.
    """

    partition: int
    batch: int
    first_row: int
    rows: int
    held: pl.DataFrame | Path
    bad: npt.NDArray[np.integer]
    hashes: Hashes | None = None

    def frame(self) -> pl.DataFrame:
        """The rows with the bad ones, read back if they were spilled."""
        return self.held if isinstance(self.held, pl.DataFrame) else pl.read_ipc(self.held)

    def good(self) -> pl.DataFrame:
        """The rows without the bad ones."""
        frame = self.frame()
        return frame[np.delete(np.arange(frame.height), self.bad)] if len(self.bad) else frame


class Stage:
    """Pieces of a run. Safe to add to from several threads; iteration order never depends on who came first."""

    def __init__(self, folder: Path, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._in_memory = 0
        self._spilled = 0
        self._pieces: dict[int, list[Piece]] = {}
        self._lock = threading.Lock()

    def add(self, piece: Piece) -> None:
        """Keep a piece; once `memory_bytes` are held, further pieces go to disk as uncompressed Arrow files."""
        frame = piece.frame()
        size = int(frame.estimated_size())
        with self._lock:
            spill = self._in_memory + size > self._memory_bytes
            if spill:
                self._spilled += 1
                name = f"{self._spilled:06d}.arrow"
            else:
                self._in_memory += size
        if spill:
            self._folder.mkdir(parents=True, exist_ok=True)
            frame.write_ipc(self._folder / name)
            piece.held = self._folder / name
        self.put(piece)

    def put(self, piece: Piece) -> None:
        """Keep a piece whose rows lie elsewhere."""
        with self._lock:
            self._pieces.setdefault(piece.partition, []).append(piece)

    @property
    def partitions(self) -> list[int]:
        """Partition values present, ascending."""
        return sorted(self._pieces)

    def rows(self, partition: int) -> int:
        """Rows held of a partition, bad ones included."""
        return sum(piece.rows for piece in self._pieces[partition])

    def pieces(self, partition: int, ranks: npt.NDArray[np.int64]) -> list[Piece]:
        """Pieces of a partition in order of batch rank and record: the order in which ties are resolved."""
        return sorted(self._pieces.get(partition, []), key=lambda piece: (ranks[piece.batch], piece.first_row))

    def release(self, partition: int) -> None:
        """Forget a partition that has been written."""
        for piece in self._pieces.pop(partition, []):
            if isinstance(piece.held, Path):
                piece.held.unlink(missing_ok=True)

    def drop(self, batches: set[int]) -> None:
        """Forget the pieces of some batches."""
        for partition in self.partitions:
            kept = [piece for piece in self._pieces[partition] if piece.batch not in batches]
            if kept:
                self._pieces[partition] = kept
            else:
                del self._pieces[partition]

    def __iter__(self) -> Iterator[Piece]:
        for partition in self.partitions:
            yield from self._pieces[partition]


def at_hand(place: Place, pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, with those that lie in files readable here."""
    where = [piece.held for piece in pieces if isinstance(piece.held, Path)]
    here = dict(zip(where, place.fetch(where), strict=True))
    return [
        dataclasses.replace(piece, held=here[piece.held]) if isinstance(piece.held, Path) else piece for piece in pieces
    ]

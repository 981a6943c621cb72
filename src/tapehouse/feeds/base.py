"""The narrow door between bytes and the kernel: what a feed must hand over, whoever reads it.

A feed turns one batch into `Slice`s: frames of a bounded number of records in the order of the batch. A column of a
slice is either text (`String`, or `Categorical` where a text column has few values; still to be parsed by the kernel)
or already canonical (see `contracts.model.Kind`), in
which case `failed` says where the reader refused a value. Records that could not be split into fields at all never
reach the frame: they are `Malformed`, with their bytes. A compiled reader can replace any feed behind this door.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BatchSource:
    """One landed unit: `path` on local disk holds the untouched bytes, `digest` is their sha256 (hex), `origin` is the
    path or URI it was delivered under, which the contract's `feed.path` expression reads.
    """

    path: Path
    digest: str
    origin: str
    size: int


@dataclass(frozen=True, slots=True)
class RawRecord:
    """Original bytes of one record: `offset` and `length` count bytes of the *decompressed* member."""

    row: int
    offset: int
    length: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that cannot be split into the contract's fields.

    `code` is one of `malformed_columns`, `malformed_encoding`, `malformed_nul`, `malformed_length`, `malformed_quote`,
    `malformed_json`, `malformed_truncated`, `malformed_archive`; `observed` and `bound` say what was seen and allowed.
    """

    record: RawRecord
    code: str
    observed: str
    bound: str


class RawAccess(Protocol):
    """Fetches original records of a slice, lazily: only rejected rows ever pay for it."""

    def __call__(self, positions: Positions) -> Sequence[RawRecord]:
        """Records at `positions` (0-based in the slice's frame), in that order."""
        ...


class TextAccess(Protocol):
    """Fetches what was written in a column, lazily: only refused values ever pay for it."""

    def __call__(self, column: str, positions: Positions) -> pl.Series:
        """Text of the column in the records at `positions` (0-based in the slice's frame), in that order."""
        ...


@dataclass(frozen=True, slots=True)
class Slice:
    """A bounded run of consecutive records of one batch.

    `frame` has one column per contract column that has a `source` in the batch; `rows` gives each frame row's 0-based
    record number in the batch, strictly increasing (None: `first_row`, `first_row + 1`, ...). `records` counts all
    records of the slice, malformed ones included, as counted from the bytes and not from the frame: it is the
    input side of conservation (I1). `written` is there where values were typed by the reader and have a text.
    """

    frame: pl.DataFrame
    first_row: int
    records: int
    raw: RawAccess
    rows: Positions | None = None
    failed: Mapping[str, pl.Series] = field(default_factory=dict)
    malformed: Sequence[Malformed] = ()
    written: TextAccess | None = None


class FeedReader(Protocol):
    """Reads one batch. Implementations register under `tapehouse.feeds` entry points by format name."""

    def __call__(self, contract: Contract, source: BatchSource, *, slice_bytes: int) -> Iterator[Slice]:
        """Yield the batch's slices in order; memory stays proportional to `slice_bytes`.

        Raises FeedError when nothing of the batch can be read (header lacks a required column, not an archive).
        """
        ...

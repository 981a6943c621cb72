"""Order-free fingerprints and exact sums of sets of rows: the arithmetic of conservation (I1).

A row's fingerprint mixes its identity (batch, record number) with every integer-backed canonical value (integers,
decimals, timestamps, dates, booleans), the bits of doubles and the length of texts. The fingerprint of a set is the
sum of its rows' modulo 2^64: it does not depend on order or slicing, adding two disjoint sets adds their fingerprints,
and a row lost, doubled, swapped or altered changes it, except that a text may be altered into another of the same
length: only a deep verification compares texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse import native
from tapehouse.contracts.model import Column, Kind
from tapehouse.kernel.parse import int64_values
from tapehouse.native.columns import series_of
from tapehouse.native.tally import BITS, CODE_LENGTHS, DOUBLE, INT32, INT64, VIEW_LENGTHS, Field, count

_MODULUS = 1 << 64
_GOLDEN = 0x9E3779B97F4A7C15
_BLOCK = 1 << 14
_SUMMED = "_summed_"


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows counted, their measures summed (exact integers in canonical form) and their fingerprint (0..2^64-1)."""

    rows: int = 0
    fingerprint: int = 0
    sums: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        names = {**self.sums, **other.sums}
        return Tally(
            self.rows + other.rows,
            (self.fingerprint + other.fingerprint) % _MODULUS,
            {name: self.sums.get(name, 0) + other.sums.get(name, 0) for name in names},
        )

    def __sub__(self, other: Tally) -> Tally:
        """The tally of a set without a subset of it."""
        return Tally(
            self.rows - other.rows,
            (self.fingerprint - other.fingerprint) % _MODULUS,
            {name: value - other.sums.get(name, 0) for name, value in self.sums.items()},
        )


def total(tallies: Iterable[Tally]) -> Tally:
    """Sum of tallies of disjoint sets."""
    out = Tally()
    for tally in tallies:
        out = out + tally
    return out


def merged(parts: Iterable[Mapping[int, Tally]]) -> dict[int, Tally]:
    """Sum by batch of tallies of disjoint sets."""
    out: dict[int, Tally] = {}
    for part in parts:
        for batch, tally in part.items():
            out[batch] = out.get(batch, Tally()) + tally
    return out


def batch_salt(digest: str) -> int:
    """The part of a row's identity that its batch gives: the first 64 bits of the batch's sha256."""
    return int(digest[:16], 16)


def tally(frame: pl.DataFrame, columns: Iterable[Column], salts: npt.NDArray[np.uint64]) -> Tally:
    """Tally of a kernel frame with `_batch` (ordinals into `salts`) and `_row`."""
    columns = tuple(columns)
    if native.library is not None and frame.height:
        return total(tallies(frame, columns, salts).values())
    measures = [column.name for column in columns if column.measure]
    if not frame.height:
        return Tally(0, 0, dict.fromkeys(measures, 0))
    return Tally(
        frame.height,
        int(row_fingerprints(frame, columns, salts).sum(dtype=np.uint64)),
        {name: exact_sum(frame.get_column(name)) for name in measures},
    )


def tally_by_batch(frame: pl.DataFrame, columns: Iterable[Column], salts: npt.NDArray[np.uint64]) -> dict[int, Tally]:
    """Tally of the rows of each batch (by ordinal) that a frame mixes."""
    columns = tuple(columns)
    if frame.height == 0:
        return {}
    if native.library is not None:
        return tallies(frame, columns, salts)
    batch = frame.get_column("_batch").to_numpy()
    if (batch == batch[0]).all():
        return {int(batch[0]): tally(frame, columns, salts)}
    order = np.argsort(batch, kind="stable")
    first = np.flatnonzero(np.diff(batch[order], prepend=batch[order[0]] + 1))
    prints = np.add.reduceat(row_fingerprints(frame, columns, salts)[order], first)
    counts = np.diff(first, append=len(order))
    sums = {
        column.name: _sums_of_groups(frame.get_column(column.name), order, first)
        for column in columns
        if column.measure
    }
    return {
        int(batch[order[start]]): Tally(
            int(counts[group]), int(prints[group]), {name: values[group] for name, values in sums.items()}
        )
        for group, start in enumerate(first)
    }


def tallies(frame: pl.DataFrame, columns: Sequence[Column], salts: npt.NDArray[np.uint64]) -> dict[int, Tally]:
    """`tally_by_batch` in one pass of the compiled loop over rows."""
    measures = [column.name for column in columns if column.measure]
    fields = [_field(column, frame.schema[column.name]) for column in columns]
    odd = [name for name in measures if frame.schema[name] != pl.Int64]
    texts = [field.name for field in fields if field.kind == VIEW_LENGTHS and frame.schema[field.name] != pl.String]
    if odd or texts:
        sums = [series_of(_SUMMED + name, _summable(frame.get_column(name))) for name in odd]
        frame = frame.with_columns(*sums, pl.col(texts).cast(pl.String))
    summed = [_SUMMED + name if name in odd else name for name in measures]
    totals = count(frame, fields, summed, salts)
    return {
        batch: Tally(
            int(totals.rows[batch]),
            int(totals.prints[batch]),
            {name: totals.sum(batch, place) for place, name in enumerate(measures)},
        )
        for batch in np.flatnonzero(totals.rows).tolist()
    }


def _field(column: Column, kind: pl.DataType) -> Field:
    if column.kind == Kind.STRING:
        read = CODE_LENGTHS if kind == pl.Categorical else VIEW_LENGTHS
    else:
        read = {Kind.DOUBLE: DOUBLE, Kind.BOOLEAN: BITS, Kind.DATE: INT32}.get(column.kind, INT64)
    return Field(column.name, read, int(_multiplier(column.name)))


def _sums_of_groups(series: pl.Series, order: npt.NDArray[np.int64], first: npt.NDArray[np.int64]) -> list[int]:
    values = _summable(series)[order]
    high = np.add.reduceat(values >> 32, first).tolist()
    low = np.add.reduceat(values & 0xFFFFFFFF, first).tolist()
    return [(a << 32) + b for a, b in zip(high, low, strict=True)]


def row_fingerprints(
    frame: pl.DataFrame, columns: Iterable[Column], salts: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """Fingerprint of each row, shape (rows,). Multiplications wrap modulo 2^64 by intent."""
    values = [(_multiplier(column.name), _bits(frame.get_column(column.name), column.kind)) for column in columns]
    batch = frame.get_column("_batch").to_numpy()
    row = frame.get_column("_row").to_numpy().view(np.uint64)
    out = np.empty(frame.height, np.uint64)
    for start in range(0, frame.height, _BLOCK):
        block = slice(start, start + _BLOCK)
        mixed = salts[batch[block]] + row[block] * np.uint64(_GOLDEN)
        for multiplier, bits in values:
            mixed += bits[block] * multiplier
        out[block] = _finish(mixed)
    return out


def _finish(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The SplitMix64 finaliser (Steele, Lea and Flood, 2014)."""
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


@lru_cache(maxsize=1024)
def _multiplier(name: str) -> np.uint64:
    """An odd constant per column name, stable for ever: FNV-1a of the name."""
    code = 0xCBF29CE484222325
    for byte in name.encode():
        code = ((code ^ byte) * 0x100000001B3) % _MODULUS
    return np.uint64(code | 1)


def _bits(series: pl.Series, kind: Kind) -> npt.NDArray[np.uint64]:
    """64 bits per value that determine it (text: its byte length); a null is told apart from zero."""
    if kind == Kind.STRING:
        text = series.cat if series.dtype == pl.Categorical else series.cast(pl.String).str
        bits = text.len_bytes().cast(pl.Int64).fill_null(-1).to_numpy()
    elif kind == Kind.DOUBLE:
        bits = (series.fill_null(float("nan")).to_numpy() + 0.0).view(np.int64)
    else:
        bits = int64_values(series)
        if series.null_count():
            bits = np.where(series.is_null().to_numpy(), np.int64(-0x5A5A5A5A5A5A5A5), bits)
    return np.ascontiguousarray(bits).view(np.uint64)


def _summable(series: pl.Series) -> npt.NDArray[np.int64]:
    """Values to sum exactly: integers as they are, doubles in units of 2^-20."""
    if series.dtype == pl.Float64:
        return (series.fill_null(0.0) * (1 << 20)).round().cast(pl.Int64).to_numpy()
    return int64_values(series)


def exact_sum(series: pl.Series) -> int:
    """Sum of an integer-backed series as an unbounded integer; doubles are summed as 2^-20 fixed point."""
    values = _summable(series)
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())

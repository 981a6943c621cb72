"""Partition and sort: curated rows in the order readers want them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract, Kind
from tapehouse.kernel.timestamps import NS_PER_DAY
from tapehouse.native.columns import series_of
from tapehouse.native.order import argsort

_NS = {"hour": 3600 * 1_000_000_000, "day": NS_PER_DAY}
_PACKED_BITS = 63
_SAMPLE_ROWS = 4096
# A slice with a greater share of bad rows is copied without them, for the memory.
_CARRIED_SHARE_MAX = 0.1
Positions = npt.NDArray[np.integer]
_NONE: Positions = np.empty(0, np.int64)
_IN_ORDER: npt.NDArray[np.int64] = np.empty(0, np.int64)


def compact(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """`frame` with these text columns as categories, and no others: a quarter of the memory, and half the time to sort
    and write.
    """
    kinds = {name: kind for name, kind in frame.schema.items() if kind in (pl.String, pl.Categorical)}
    wanted = {name: pl.Categorical if name in names else pl.String for name in kinds}
    return frame.cast({name: kind for name, kind in wanted.items() if kinds[name] != kind})


def compactable(contract: Contract, frame: pl.DataFrame) -> tuple[str, ...]:
    """Text columns with few distinct values: those that came as categories, and what a sample of rows spread over the
    frame says of the others.
    """
    names = [column.name for column in contract.columns if column.kind == Kind.STRING]
    plain = [name for name in names if frame.schema[name] == pl.String]
    sample = frame.select(plain).gather_every(max(1, frame.height // _SAMPLE_ROWS))
    many = {name for name in plain if sample.get_column(name).n_unique() * 4 > sample.height}
    return tuple(name for name in names if name not in many)


def partition_ids(contract: Contract, event_time: pl.Series) -> pl.Series:
    """Iceberg partition value of each instant: hours or days (or months) since 1970-01-01 UTC, Int64."""
    by = contract.partitioning.by
    if by in _NS:
        return event_time // _NS[by]
    when = event_time.cast(pl.Datetime("ns"))
    return ((when.dt.year().cast(pl.Int64) - 1970) * 12 + when.dt.month().cast(pl.Int64) - 1).alias(event_time.name)


def partition_label(by: str, value: int) -> str:
    """How Iceberg names the partition in paths: `2024-03-04-14`, `2024-03-04`, `2024-03`."""
    if by == "month":
        return f"{1970 + value // 12:04d}-{value % 12 + 1:02d}"
    start = np.datetime64(0, "h") + np.timedelta64(value, "h") if by == "hour" else np.datetime64(value, "D")
    return str(start).replace("T", "-")


def split(contract: Contract, frame: pl.DataFrame, bad: pl.Series) -> Iterator[tuple[int, pl.DataFrame, Positions]]:
    """The frame's rows by partition, in ascending order of partition, each in the frame's own order, with the positions
    of `bad` rows among them: a few of those are cheaper to leave out later than to copy the others now.
    """
    positions = bad.arg_true().to_numpy()
    good = ~bad if len(positions) else bad
    ids = partition_ids(contract, frame.get_column(contract.event_time.name))
    placed = ids.filter(good) if len(positions) else ids
    if not len(placed):
        return
    low, high = placed.min(), placed.max()
    if low == high and len(positions) <= frame.height * _CARRIED_SHARE_MAX:
        yield int(placed[0]), frame, positions
        return
    for value in placed.unique().sort():
        yield int(value), frame.filter((ids == value) & good if len(positions) else ids == value), _NONE


def sort_rows(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Rows ordered by `by`, ties in the frame's order (which the caller makes that of batch digest and record)."""
    order = packed_order([frame.get_column(name) for name in by]) if by and frame.height > 1 else _IN_ORDER
    if order is None:
        return frame.sort(by, maintain_order=True, nulls_last=False)
    return gather(frame, order) if len(order) else frame


def gather(frame: pl.DataFrame, order: npt.NDArray[np.integer]) -> pl.DataFrame:
    """Rows in that order. Positions of the width Polars uses itself: wider ones it would convert for each column."""
    return frame.select(pl.all().gather(series_of("", order.astype(np.uint32, copy=False))))


def stored_order(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    """Curated rows of one partition as one run over all their batches would store them, whichever runs they came in.

    By the contract's order, ties by batch digest and record number; `_batch` holds digests as text.
    """
    return sort_rows(sort_rows(rows, ("_batch", "_row")), contract.partitioning.sort)


def packed_order(keys: Sequence[pl.Series], names: npt.NDArray[np.uint32] | None = None) -> Positions | None:
    """The `names` (positions, if none are given) of rows in the order of `keys`, ties stable; None when the keys do not
    fit one 63-bit integer.

    Strings take the rank of their value, integers their distance from the minimum. Sorting one integer column is an
    order of magnitude cheaper than sorting by several. An empty answer means the rows are in order already.
    """
    if not len(keys[0]):
        return _IN_ORDER
    packed, bits = np.zeros(len(keys[0]), np.int64), 0
    for key in keys:
        text = key.dtype in (pl.String, pl.Categorical)
        if key.null_count() or not (text or key.dtype.is_integer()):
            return None
        values = _ranks(key) if text else key.to_physical().cast(pl.Int64).to_numpy()
        low, high = int(values.min()), int(values.max())
        width = (high - low).bit_length()
        bits += width
        if bits > _PACKED_BITS:
            return None
        packed = (packed << width) | (values - low)
    if (packed[1:] >= packed[:-1]).all():
        return _IN_ORDER
    order = argsort(packed, bits, names)
    if order is not None:
        return order
    positions = _stable_argsort(packed)
    return positions if names is None else names[positions]


def _ranks(text: pl.Series) -> npt.NDArray[np.int64]:
    """Rank of each string among the distinct values, in byte order."""
    if text.dtype == pl.Categorical:
        codes = text.to_physical().to_numpy()
        present = np.flatnonzero(np.bincount(codes)).astype(np.uint32)
        by_code = np.zeros(int(present[-1]) + 1, np.int64)
        by_code[present] = series_of("", present).cat.to(pl.Categorical).cast(pl.String).rank("ordinal").to_numpy()
        return np.take(by_code, codes)
    return text.cast(pl.Enum(text.unique().sort())).to_physical().cast(pl.Int64).to_numpy()


def _stable_argsort(packed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The vectorised sort is not stable, but ties are few: sort first, then order the positions within each tie."""
    order = np.argsort(packed)
    arranged = packed[order]
    equal = arranged[1:] == arranged[:-1]
    if equal.any():
        tied = np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False))
        positions = order[tied]
        order[tied] = positions[np.lexsort((positions, arranged[tied]))]
    return order

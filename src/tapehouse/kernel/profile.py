"""What a run reports of its rows: counts per rule, nulls, extremes, lateness. Mergeable, so slicing never shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract, Kind, Role
from tapehouse.kernel.parse import FAILED

# A double's sign, exponent and top four mantissa bits: buckets one sixteenth of an octave wide.
_BUCKET_SHIFT = 48
_K = TypeVar("_K")
QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """Of one column: rows seen, nulls, values its grammar refused, least and greatest canonical value."""

    rows: int = 0
    nulls: int = 0
    failed: int = 0
    low: int | float | None = None
    high: int | float | None = None

    def __add__(self, other: ColumnProfile) -> ColumnProfile:
        lows = [value for value in (self.low, other.low) if value is not None]
        highs = [value for value in (self.high, other.high) if value is not None]
        return ColumnProfile(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.failed + other.failed,
            min(lows, default=None),
            max(highs, default=None),
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """Of a set of rows: profile per column, rows per broken rule, lateness histogram (bucket -> rows)."""

    columns: Mapping[str, ColumnProfile] = field(default_factory=dict)
    rules: Mapping[str, int] = field(default_factory=dict)
    lateness: Mapping[int, int] = field(default_factory=dict)

    def __add__(self, other: Profile) -> Profile:
        names = {**self.columns, **other.columns}
        return Profile(
            {
                name: self.columns.get(name, ColumnProfile()) + other.columns.get(name, ColumnProfile())
                for name in names
            },
            add_counts(self.rules, other.rules),
            add_counts(self.lateness, other.lateness),
        )

    def lateness_quantiles(self) -> Mapping[float, int]:
        """Receive minus event time in ns by quantile: the lower end of the bucket, exact within one sixteenth."""
        buckets = sorted(self.lateness.items())
        if not buckets:
            return {}
        edges = _edges(np.array([bucket for bucket, _ in buckets], np.int64))
        below = np.cumsum([count for _, count in buckets])
        wanted = (max(1, int(np.ceil(quantile * int(below[-1])))) for quantile in QUANTILES)
        return {q: int(edges[np.searchsorted(below, rank)]) for q, rank in zip(QUANTILES, wanted, strict=True)}


def add_counts(one: Mapping[_K, int], other: Mapping[_K, int]) -> dict[_K, int]:
    """Sum of two counters."""
    out = dict(one)
    for key, count in other.items():
        out[key] = out.get(key, 0) + count
    return out


def profile(contract: Contract, judged: pl.DataFrame) -> Profile:
    """Profile of judged rows (canonical columns, markers, `_broken`)."""
    columns = {}
    for column in contract.columns:
        series = judged.get_column(column.name)
        numeric = column.kind not in (Kind.STRING, Kind.BOOLEAN, Kind.DATE)
        refused = judged.get_column(FAILED + column.name).sum() if FAILED + column.name in judged.columns else 0
        low, high = (series.min(), series.max()) if numeric else (None, None)
        columns[column.name] = ColumnProfile(
            judged.height,
            series.null_count(),
            int(refused),
            low if isinstance(low, (int, float)) else None,
            high if isinstance(high, (int, float)) else None,
        )
    return Profile(columns, rule_counts(contract, judged.get_column("_broken")), _lateness(contract, judged))


def rule_counts(contract: Contract, broken: pl.Series) -> dict[str, int]:
    """Rows per broken rule, only rules that any row broke."""
    return bit_counts((rule.code for rule in contract.rules), broken.to_numpy())


def bit_counts(names: Iterable[str], masks: npt.NDArray[np.uint64]) -> dict[str, int]:
    """How many masks have each bit set, by the bit's name."""
    distinct, times = np.unique(masks[masks != 0], return_counts=True)
    out: dict[str, int] = {}
    for bit, name in enumerate(names):
        count = int(times[(distinct >> np.uint64(bit)) & np.uint64(1) == 1].sum())
        if count:
            out[name] = count
    return out


def _lateness(contract: Contract, judged: pl.DataFrame) -> dict[int, int]:
    receive = contract.role(Role.RECEIVE_TIME)
    if receive is None:
        return {}
    delay = (judged.get_column(receive.name) - judged.get_column(contract.event_time.name)).drop_nulls()
    buckets = np.maximum(delay.to_numpy(), 0).astype(np.float64).view(np.int64) >> _BUCKET_SHIFT
    counts = np.bincount(buckets) if len(buckets) else np.empty(0, np.int64)
    return {int(bucket): int(counts[bucket]) for bucket in np.flatnonzero(counts)}


def _edges(buckets: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return (buckets << _BUCKET_SHIFT).view(np.float64)

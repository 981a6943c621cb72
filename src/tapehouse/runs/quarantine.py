"""Quarantine: rejected records as rows of the lake, with their bytes and every reason (I5)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.feeds.base import Malformed, RawRecord
from tapehouse.kernel.distinct import plain
from tapehouse.kernel.parse import FAILED

FLUSH_BYTES = 256 << 20
# Rejected rows are explained together, this many at a time.
EXPLAINED_ROWS = 20_000

_REASON = pl.Struct(
    {
        "code": pl.String,
        "severity": pl.String,
        "columns": pl.List(pl.String),
        "observed": pl.String,
        "bound": pl.String,
    }
)
_TYPES: dict[str, pl.DataType] = {
    "_batch": pl.UInt32(),
    "_row": pl.Int64(),
    "_offset": pl.Int64(),
    "_length": pl.Int64(),
    "_raw": pl.Binary(),
    "_event_ns": pl.Int64(),
    "reasons": pl.List(_REASON),
}
SCHEMA = pl.Schema(_TYPES)


def unplaced_reason(contract: Contract) -> dict[str, object]:
    """Why a row without an event time cannot be curated even where no rule asks for one."""
    name = contract.event_time.name
    return {
        "code": f"{name}_missing",
        "severity": "reject",
        "columns": [name],
        "observed": None,
        "bound": "an event time, by which rows are partitioned",
    }


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows that broke rules, as the kernel left them, and their bytes."""

    rows: pl.DataFrame
    raw: Sequence[RawRecord]


class Unexplained:
    """Rejected rows of several slices, until there are enough of them: writing reasons costs little for each row and
    much for each call. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._held: list[Rejected] = []
        self._lock = threading.Lock()

    def add(self, rows: pl.DataFrame, raw: Sequence[RawRecord]) -> Rejected | None:
        """Hold these rows; returns all that were held once they are enough to be explained."""
        with self._lock:
            self._held.append(Rejected(plain(rows), raw))
            if sum(len(one.raw) for one in self._held) < EXPLAINED_ROWS:
                return None
        return self.take()

    def take(self) -> Rejected | None:
        """Whatever is held, which is let go."""
        with self._lock:
            held, self._held = self._held, []
        if not held:
            return None
        rows = pl.concat([one.rows for one in held], how="diagonal_relaxed")
        markers = [name for name in rows.columns if name.startswith(FAILED)]
        # A slice in which no value of a column was refused has no marker for it.
        rows = rows.with_columns(pl.col(name).fill_null(value=False) for name in markers)
        return Rejected(rows, [record for one in held for record in one.raw])


def rejected_rows(
    contract: Contract, rejected: pl.DataFrame, reasons: pl.Series, raw: Sequence[RawRecord]
) -> pl.DataFrame:
    """Quarantine rows of records that broke rules. `rejected` must have `_batch`, `_row` and `_unplaced`."""
    if rejected.get_column("_unplaced").any():
        extra = pl.Series([[unplaced_reason(contract)]], dtype=pl.List(_REASON))
        joined = reasons.cast(pl.List(_REASON)).list.concat(extra.new_from_index(0, len(reasons)))
        reasons = reasons.cast(pl.List(_REASON)).zip_with(~rejected.get_column("_unplaced"), joined)
    return pl.DataFrame(
        {
            "_batch": rejected.get_column("_batch"),
            "_row": rejected.get_column("_row"),
            "_offset": [record.offset for record in raw],
            "_length": [record.length for record in raw],
            "_raw": [record.raw for record in raw],
            "_event_ns": rejected.get_column(contract.event_time.name),
            "reasons": reasons,
        },
        schema=SCHEMA,
    )


def malformed_rows(batch: int, malformed: Sequence[Malformed]) -> pl.DataFrame:
    """Quarantine rows of records that could not be split into fields."""
    return pl.DataFrame(
        [
            {
                "_batch": batch,
                "_row": one.record.row,
                "_offset": one.record.offset,
                "_length": one.record.length,
                "_raw": one.record.raw,
                "_event_ns": None,
                "reasons": [
                    {
                        "code": one.code,
                        "severity": "reject",
                        "columns": [],
                        "observed": one.observed,
                        "bound": one.bound,
                    }
                ],
            }
            for one in malformed
        ],
        schema=SCHEMA,
    )


@dataclass(slots=True)
class QuarantineStage:
    """Quarantine rows of a run, kept in memory up to a bound and then in files of `folder`."""

    folder: Path
    flush_bytes: int = FLUSH_BYTES
    _held: list[pl.DataFrame] = field(default_factory=list)
    _bytes: int = 0
    _files: list[Path] = field(default_factory=list)
    _dropped: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def drop(self, batches: set[int]) -> None:
        """Forget the rows of some batches."""
        self._dropped |= batches

    def add(self, rows: pl.DataFrame) -> None:
        """Keep rows of `SCHEMA`; thread-safe."""
        if rows.height == 0:
            return
        with self._lock:
            self._held.append(rows)
            self._bytes += int(rows.estimated_size())
            if self._bytes > self.flush_bytes:
                self._flush()

    def _flush(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"quarantine-{len(self._files):05d}.arrow"
        pl.concat(self._held).write_ipc(path)
        self._files.append(path)
        self._held, self._bytes = [], 0

    def to_files(self) -> list[Path]:
        """All rows in files, for another process."""
        with self._lock:
            if self._held:
                self._flush()
            return list(self._files)

    def add_files(self, paths: Sequence[Path]) -> None:
        """Keep the rows of another process's files, where they are."""
        with self._lock:
            self._files.extend(paths)

    def frames(self) -> list[pl.DataFrame]:
        """All rows, in bounded frames (a frame read from a file is mapped, not loaded)."""
        frames = [pl.read_ipc(path) for path in self._files]
        frames += [pl.concat(self._held)] if self._held else []
        if not self._dropped:
            return frames
        left = (frame.filter(~pl.col("_batch").is_in(list(self._dropped))) for frame in frames)
        return [frame for frame in left if frame.height]

"""Two lakes that one run each made of the same input: what differs between their tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from tapehouse.certificate.digest import bare, bits, frame_digest
from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.lake.spec import TableSpec
from tapehouse.runs.read import read_files
from tapehouse.runs.result import RunResult
from tapehouse.runs.tables import (
    BATCHES,
    HOUSE,
    INTERVALS,
    LINEAGE,
    METRICS,
    RUNS,
    curated_spec,
    derived_spec,
    duplicates_spec,
    quarantine_spec,
)

DIFFERENCES_SHOWN = 5
# What two runs never have in common: who they are, and when. Of tables under contract, only columns that are ours.
_OWN = frozenset({"_knowledge_time", "_run_id"})
_OWN_OF_HOUSE = {
    RUNS.name: frozenset({"run_id", "engine", "started_at", "finished_at", "seconds"}),
    BATCHES.name: frozenset({"run_id", "knowledge_time"}),
    METRICS.name: frozenset({"run_id", "at"}),
    INTERVALS.name: frozenset({"run_id"}),
    LINEAGE.name: frozenset({"run_id", "at", "expires_at"}),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not the same in both lakes: its number in the partition, and the columns that differ."""

    partition: str
    row: int
    one: Mapping[str, Any]
    other: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"partition": self.partition, "row": self.row, "one": dict(self.one), "other": dict(self.other)}


@dataclass(frozen=True, slots=True)
class TableComparison:
    """Rows and digest of a table in both lakes; equal digests are equal rows in equal order, of all columns but those
    `left_out`. `differences` are the first few, in order.
    """

    table: str
    rows: tuple[int, int]
    sha256: tuple[str, str]
    left_out: Sequence[str]
    differences: Sequence[Difference] = field(default_factory=tuple)

    @property
    def equal(self) -> bool:
        """Whether every row is the same."""
        return self.sha256[0] == self.sha256[1]

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "table": self.table,
            "equal": self.equal,
            "rows": list(self.rows),
            "sha256": list(self.sha256),
            "columns_left_out": list(self.left_out),
            "differences": [one.as_dict() for one in self.differences],
        }


def left_out(spec: TableSpec) -> frozenset[str]:
    """Columns of a table that are not compared."""
    return _OWN_OF_HOUSE[spec.name] if spec.namespace == HOUSE else _OWN


def compare_lakes(contract: Contract, one: RunResult, other: RunResult) -> list[TableComparison]:
    """Every table of the two runs: curated, derived, quarantine, duplicates, and what they say of themselves.

    Rows of curated and derived tables count in the order in which they are stored; those of the others have none.
    """
    ordered = [curated_spec(contract), *(derived_spec(contract, derivation) for derivation in contract.derived)]
    others = [quarantine_spec(contract), duplicates_spec(contract), METRICS, INTERVALS, LINEAGE, BATCHES, RUNS]
    stored = [_compare(spec, _partitions(one, spec), _partitions(other, spec)) for spec in ordered]
    return stored + [_compare(spec, _whole(one, spec), _whole(other, spec)) for spec in others]


Parts = Mapping[str, Sequence[Path]]


@dataclass(frozen=True, slots=True)
class _Side:
    """A table in one lake: data files by partition; all as one partition where rows have no order. The lake must live
    as long as its files are read.
    """

    lake: Lake
    spec: TableSpec
    files: Parts
    stored: bool

    def frame(self, partition: str) -> pl.DataFrame:
        rows = read_files(self.files.get(partition, ()), self.spec.schema)
        kept = [name for name in rows.columns if name not in left_out(self.spec)]
        frame = pl.DataFrame([bare(rows.get_column(name)) for name in kept])
        return frame if self.stored else frame.sort(kept)


def _compare(spec: TableSpec, one: _Side, other: _Side) -> TableComparison:
    hashed, rows, found = (hashlib.sha256(), hashlib.sha256()), [0, 0], list[Difference]()
    for partition in sorted({*one.files, *other.files}):
        frames = one.frame(partition), other.frame(partition)
        digests = [frame_digest(frame) for frame in frames]
        for side, frame in enumerate(frames):
            hashed[side].update(f"{partition}\0{digests[side]}\0".encode())
            rows[side] += frame.height
        if digests[0] != digests[1]:
            found.extend(islice(_differences(partition, *frames), DIFFERENCES_SHOWN - len(found)))
    digest = hashed[0].hexdigest(), hashed[1].hexdigest()
    return TableComparison(spec.identifier, (rows[0], rows[1]), digest, sorted(left_out(spec)), tuple(found))


def _differences(partition: str, one: pl.DataFrame, other: pl.DataFrame) -> Iterator[Difference]:
    """Rows at the same place that are not the same; of the longer side, those that have no counterpart."""
    shared = min(one.height, other.height)
    pairs = [(name, bits(one.get_column(name)[:shared]), bits(other.get_column(name)[:shared])) for name in one.columns]
    unequal = {name: left.ne_missing(right) for name, left, right in pairs}
    for row in pl.DataFrame(unequal).select(pl.any_horizontal(pl.all())).to_series().arg_true().to_list():
        columns = [name for name, flags in unequal.items() if flags[row]]
        yield Difference(partition, row, _cells(one, row, columns), _cells(other, row, columns))
    for row in range(shared, max(one.height, other.height)):
        yield Difference(
            partition,
            row,
            _cells(one, row, one.columns) if row < one.height else {},
            _cells(other, row, other.columns) if row < other.height else {},
        )


def _cells(frame: pl.DataFrame, row: int, columns: Sequence[str]) -> dict[str, Any]:
    return frame.select(columns).row(row, named=True)


def _partitions(result: RunResult, spec: TableSpec) -> _Side:
    files: dict[str, list[Path]] = {}
    lake = Lake.open(result.lake, create=False, read_only=True)
    table = lake.table(spec.namespace, spec.name)
    found = sorted(table.files() if table is not None else [], key=lambda file: file.path.name)
    for file, path in zip(found, lake.place.fetch(file.path for file in found), strict=True):
        files.setdefault(file.partition.label, []).append(path)
    return _Side(lake, spec, files, stored=True)


def _whole(result: RunResult, spec: TableSpec) -> _Side:
    side = _partitions(result, spec)
    files = [path for label in sorted(side.files) for path in side.files[label]]
    if not files and spec.name == "quarantine":
        kept = side.lake.place.files(side.lake.stopped / result.run_id, "quarantine-")
        files = side.lake.place.fetch(sorted(one.path for one in kept))
    return _Side(side.lake, spec, {"": files}, stored=False)

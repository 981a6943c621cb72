"""Merging a partition's small files into few, in the contract's order, and proving that no row changed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from tapehouse.errors import LakeError
from tapehouse.lake import disk, files
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import Fault, publish, recover
from tapehouse.lake.read import scan_files
from tapehouse.lake.spec import Staged, TableSpec, safe_label
from tapehouse.lake.table import File, LakeTable

TARGET_BYTES = 128 << 20
MEMORY_BYTES_MAX = 1 << 30
# Sorting holds the rows, their sorted copy and the encoded output at once.
_COPIES = 3


@dataclass(frozen=True)
class CompactedPartition:
    """One partition's change; bytes are those on disk."""

    label: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    rows: int


@dataclass(frozen=True)
class Compaction:
    """What a compaction did; `snapshot_id` is None, and `partitions` empty, when there was nothing worth doing."""

    identifier: str
    snapshot_id: int | None
    partitions: tuple[CompactedPartition, ...] = ()


@dataclass(frozen=True)
class _Fingerprint:
    """Rows, and the sum of their hashes modulo 2^64, which no order of rows changes."""

    rows: int
    hash: int

    def __add__(self, other: _Fingerprint) -> _Fingerprint:
        return _Fingerprint(self.rows + other.rows, (self.hash + other.hash) % (1 << 64))


def compact(
    lake: Lake,
    table: LakeTable,
    target_bytes: int = TARGET_BYTES,
    *,
    min_files: int = 2,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
    run_id: str = "",
    fault: Fault = lambda step: None,
) -> Compaction:
    """Merge files smaller than three quarters of `target_bytes`, partition by partition, in one commit.

    Partitions with fewer than `min_files` such files are left alone. Files whose rows together would take more than
    `memory_bytes_max` to sort are merged in several groups. Takes the lake's lock; works on the table as it is then,
    not as it was loaded. Earlier snapshots stay readable. LakeError, and no change, if a row were lost or altered.
    """
    if target_bytes <= 0 or memory_bytes_max <= 0 or min_files < 2:
        raise LakeError("target_bytes and memory_bytes_max must be positive, min_files at least 2")
    name = run_id or f"compact-{uuid.uuid4().hex}"
    with lake.lock():
        recover(lake)
        current = lake.table(table.namespace, table.name)
        if current is None:
            raise LakeError(f"{table.identifier} no longer exists")
        groups = list(_groups(current, target_bytes, min_files, memory_bytes_max))
        if not groups:
            return Compaction(table.identifier, None)
        with lake.staging(name), disk.guarded("compacting", lake.root):
            staged, partitions = _rewrite(lake, current, groups, name)
            result = publish(lake, name, [staged], {"tapehouse.operation": "compact"}, operation="replace", fault=fault)
    return Compaction(table.identifier, result.tables[0].snapshot_id, partitions)


def _groups(table: LakeTable, target: int, min_files: int, memory: int) -> Iterator[list[File]]:
    """Files to merge into one: of one partition, in path order, within both the size and the memory bound."""
    small: dict[str, list[File]] = {}
    for file in table.files():
        if file.bytes < target * 3 // 4:
            small.setdefault(file.partition.label, []).append(file)
    for _, found in sorted(small.items()):
        if len(found) >= min_files:
            yield from (group for group in _packed(table, found, target, memory) if len(group) > 1)


def _packed(table: LakeTable, found: list[File], target: int, memory: int) -> Iterator[list[File]]:
    group: list[File] = []
    size = held = 0
    for file in found:
        needed = _memory(table.lake.place.metadata(file.path)[0])
        if group and (size + file.bytes > target or held + needed > memory):
            yield group
            group, size, held = [], 0, 0
        group.append(file)
        size, held = size + file.bytes, held + needed
    yield group


def _memory(footer: pq.FileMetaData) -> int:
    """Bytes the file's rows take while being sorted. The footer counts repeated text once, so count it per value."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    sizes = (max(group.total_byte_size, 16 * group.num_rows * group.num_columns) for group in groups)
    return _COPIES * int(sum(sizes))


def _rewrite(
    lake: Lake, table: LakeTable, groups: list[list[File]], run_id: str
) -> tuple[Staged, tuple[CompactedPartition, ...]]:
    spec = spec_of(table)
    add, remove, done = [], [], []
    for number, group in enumerate(groups):
        label = safe_label(group[0].partition.label)
        path = lake.data_file(spec, label, run_id, number)
        rows = _merge(table, spec, group, path)
        add.append(path)
        remove += [str(file.path) for file in group]
        before = sum(file.bytes for file in group)
        done.append(CompactedPartition(group[0].partition.label, len(group), 1, before, path.stat().st_size, rows))
    return Staged(spec, tuple(add), tuple(remove)), _by_partition(done)


def _merge(table: LakeTable, spec: TableSpec, group: list[File], path: Path) -> int:
    rows = scan_files(table.schema, table.lake.place.fetch(file.path for file in group)).collect()
    before = _fingerprint(rows)
    if spec.sort:
        rows = rows.sort(spec.sort, maintain_order=True, nulls_last=False)
    files.write(rows, path, spec.schema)
    del rows
    after = _fingerprint(scan_files(table.schema, [path]).collect())
    stated = sum(file.rows for file in group)
    if before != after or before.rows != stated:
        raise LakeError(
            f"compacting {table.identifier} would change rows (I1): {stated} stated, {before} read, {after} written",
            fix="nothing was changed; verify the lake's data files",
        )
    return before.rows


def _fingerprint(rows: pl.DataFrame) -> _Fingerprint:
    """Sum of row hashes; UInt64 addition wraps, which is the modulus wanted."""
    total = _Fingerprint(0, 0)
    for part in rows.iter_slices(1 << 20):
        total += _Fingerprint(part.height, int(part.hash_rows(seed=1).sum()) % (1 << 64))
    return total


def _by_partition(done: list[CompactedPartition]) -> tuple[CompactedPartition, ...]:
    merged: dict[str, CompactedPartition] = {}
    for one in done:
        other = merged.get(one.label, CompactedPartition(one.label, 0, 0, 0, 0, 0))
        merged[one.label] = CompactedPartition(
            one.label,
            other.files_before + one.files_before,
            other.files_after + one.files_after,
            other.bytes_before + one.bytes_before,
            other.bytes_after + one.bytes_after,
            other.rows + one.rows,
        )
    return tuple(merged.values())


def spec_of(table: LakeTable) -> TableSpec:
    """The spec that describes the table as it is."""
    return TableSpec(table.namespace, table.name, table.schema, table.partition_by, table.sort)

"""Letting go: of snapshots no longer needed (and the files only they name), and of partitions past retention."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake import disk
from tapehouse.lake.compact import spec_of
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import Fault, publish, recover
from tapehouse.lake.spec import Staged
from tapehouse.lake.table import LakeTable, Partition

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot


@dataclass(frozen=True)
class Expiry:
    """Snapshots that can no longer be travelled to, and the files removed with them."""

    identifier: str
    snapshot_ids: tuple[int, ...] = ()
    files_removed: int = 0
    bytes_removed: int = 0


@dataclass(frozen=True)
class PartitionExpiry:
    """Partitions taken out of the table's current state, and those old enough that were protected."""

    identifier: str
    snapshot_id: int | None
    expired: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    rows_removed: int = 0
    files_removed: int = 0


def expire(
    lake: Lake,
    table: LakeTable,
    older_than: datetime | None = None,
    keep_last: int | None = None,
    *,
    fault: Fault = lambda step: None,
) -> Expiry:
    """Forget snapshots committed before `older_than`, but never the `keep_last` latest, and remove their own files.

    With only `keep_last` all others go; with only `older_than` the current one stays. UsageError with neither. Takes
    the lake's lock. The catalogue forgets first: dying in between leaves orphans, never a snapshot without its files.
    """
    if older_than is None and keep_last is None:
        raise UsageError(
            "say what to expire", fix="give an age (--older-than), a number of snapshots to keep (--keep-last), or both"
        )
    if older_than is not None and older_than.tzinfo is None:
        raise UsageError(f"older_than {older_than} has no time zone", fix="add one, for example +00:00")
    if keep_last is not None and keep_last < 1:
        raise UsageError(f"keep_last is {keep_last}", fix="keep at least 1: the current snapshot always stays")
    with lake.lock(), disk.guarded("expiring snapshots", lake.root):
        recover(lake)
        current = _current(lake, table)
        gone = _past(current, older_than, keep_last or 1)
        if not gone:
            return Expiry(table.identifier)
        from tapehouse.lake.iceberg.commits import forget

        ids = [snapshot.snapshot_id for snapshot in gone]
        candidates = reached(current, gone)
        forget(current.ice, ids)
        fault("forgotten")
        left = _current(lake, table)
        removed = lake.place.remove(candidates - reached(left, left.ice.metadata.snapshots))
    return Expiry(table.identifier, tuple(ids), *removed)


def expire_partitions(
    lake: Lake,
    table: LakeTable,
    before: datetime,
    *,
    protect: Callable[[Partition], bool] | Container[str] = (),
    run_id: str = "",
    fault: Fault = lambda step: None,
) -> PartitionExpiry:
    """Take out partitions that end at or before `before` (aware), in one commit.

    `protect` says which must stay whatever their age: labels, or a function; the caller passes those with open
    quarantine. Takes the lake's lock. Earlier snapshots still hold the rows until `expire` forgets them.
    """
    _check_age(table, before)
    kept: Callable[[Partition], bool] = protect if callable(protect) else lambda part: part.label in protect
    with lake.lock():
        recover(lake)
        current = _current(lake, table)
        old = [file for file in current.files() if file.partition.end is not None and file.partition.end <= before]
        partitions = {file.partition.label: file.partition for file in old}
        guarded = {label for label, partition in partitions.items() if kept(partition)}
        going = [file for file in old if file.partition.label not in guarded]
        snapshot = None
        if going:
            staged = Staged(spec_of(current), (), tuple(str(file.path) for file in going))
            name = run_id or f"retention-{uuid.uuid4().hex}"
            summary = {"tapehouse.operation": "retention"}
            snapshot = publish(lake, name, [staged], summary, operation="delete", fault=fault).tables[0].snapshot_id
    return PartitionExpiry(
        table.identifier,
        snapshot,
        tuple(sorted(set(partitions) - guarded)),
        tuple(sorted(guarded)),
        sum(file.rows for file in going),
        len(going),
    )


def _check_age(table: LakeTable, before: datetime) -> None:
    if before.tzinfo is None:
        raise UsageError(f"before {before} has no time zone", fix="add one, for example +00:00")
    by = table.partition_by
    if by is None or by[0] == "identity":
        raise UsageError(f"{table.identifier} is not partitioned by time, so no partition has an age")


def _current(lake: Lake, table: LakeTable) -> LakeTable:
    current = lake.table(table.namespace, table.name)
    if current is None:
        raise LakeError(f"{table.identifier} no longer exists")
    return current


def _past(table: LakeTable, older_than: datetime | None, keep_last: int) -> list[Snapshot]:
    """Snapshots to forget. Branch heads and tags always stay, as does the current snapshot."""
    metadata = table.ice.metadata
    ordered = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
    named = {reference.snapshot_id for reference in metadata.refs.values()}
    limit = None if older_than is None else older_than.timestamp() * 1000
    return [
        snapshot
        for snapshot in ordered[:-keep_last]
        if snapshot.snapshot_id not in named and (limit is None or snapshot.timestamp_ms < limit)
    ]


def reached(table: LakeTable, snapshots: Iterable[Snapshot]) -> set[Path]:
    """Manifest lists, manifests and data files that the snapshots name."""
    place, io = table.lake.place, table.ice.io
    found: set[Path] = set()
    for snapshot in snapshots:
        found.add(place.path(snapshot.manifest_list))
        for manifest in snapshot.manifests(io):
            path = place.path(manifest.manifest_path)
            if path not in found:
                found.add(path)
                entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
                found.update(place.path(entry.data_file.file_path) for entry in entries)
    return found

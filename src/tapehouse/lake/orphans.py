"""Files nobody names, and what a lake takes up."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tapehouse.errors import UsageError
from tapehouse.lake import disk, journal
from tapehouse.lake.expire import reached
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import recover
from tapehouse.lake.spec import written_by
from tapehouse.lake.table import LakeTable


@dataclass(frozen=True)
class Orphans:
    """Files in the warehouse that no snapshot, metadata version, pending journal or live run names."""

    paths: tuple[Path, ...]
    bytes: int
    removed: bool


@dataclass(frozen=True)
class TableUsage:
    """`live_*` is the current snapshot; `history_*` are data files that only earlier ones name; `metadata_bytes` is
    everything else the table keeps.
    """

    identifier: str
    rows: int
    live_files: int
    live_bytes: int
    history_files: int
    history_bytes: int
    metadata_bytes: int
    snapshots: int


@dataclass(frozen=True)
class Usage:
    """Bytes on disk, by what they are for."""

    tables: tuple[TableUsage, ...]
    raw_files: int
    raw_bytes: int
    staging_bytes: int
    stopped_bytes: int
    total_bytes: int


def orphans(lake: Lake, *, older_than: timedelta = timedelta(hours=1), remove: bool = False) -> Orphans:
    """Find, and with `remove` delete, files of the warehouse that nothing names and that are `older_than` old.

    The age spares files of a writer that does not take part in the lake's lock. Finishes interrupted runs first when
    removing, and takes the lake's lock for that.
    """
    if older_than < timedelta(0):
        raise UsageError("older_than is negative")
    if not remove:
        return _found(lake, older_than, removed=False)
    with lake.lock(), disk.guarded("removing orphans", lake.warehouse):
        recover(lake)
        found = _found(lake, older_than, removed=True)
        lake.place.remove(found.paths)
        _prune(lake.warehouse)
    return found


def usage(lake: Lake) -> Usage:
    """What the lake takes up now, from metadata and the folder."""
    raw_files, raw_bytes = _taken(lake, lake.raw.root)
    staging, stopped = (_taken(lake, folder)[1] for folder in (lake.root / "staging", lake.stopped))
    return Usage(
        tables=tuple(_table_usage(table) for table in lake.tables()),
        raw_files=raw_files,
        raw_bytes=raw_bytes,
        staging_bytes=staging,
        stopped_bytes=stopped,
        total_bytes=_taken(lake, lake.root)[1],
    )


def _taken(lake: Lake, folder: Path) -> tuple[int, int]:
    """(files, bytes) below a folder; (0, 0) when it is absent."""
    sizes = [kept.size for kept in lake.place.files(folder)]
    return len(sizes), sum(sizes)


def _found(lake: Lake, older_than: timedelta, *, removed: bool) -> Orphans:
    # Present files are listed before names are read: a file that a commit adds in between is then not even looked at.
    limit = time.time() - older_than.total_seconds()
    present = {kept.path: kept for kept in lake.place.files(lake.warehouse)}
    lake.refresh()
    named = journal.pending_files(lake.journal, lake.root)
    for table in lake.tables():
        named |= _named(table)
    live = lake.live_runs()
    paths = sorted(
        path
        for path, kept in present.items()
        if path not in named and kept.modified <= limit and not any(written_by(path, run_id) for run_id in live)
    )
    return Orphans(tuple(paths), sum(present[path].size for path in paths), removed)


def _named(table: LakeTable) -> set[Path]:
    """Everything the table's catalogue entry leads to."""
    place, metadata = table.lake.place, table.ice.metadata
    versions = [table.ice.metadata_location, *(entry.metadata_file for entry in metadata.metadata_log)]
    statistics = [entry.statistics_path for entry in (*metadata.statistics, *metadata.partition_statistics)]
    return reached(table, metadata.snapshots) | {place.path(name) for name in (*versions, *statistics)}


def _table_usage(table: LakeTable) -> TableUsage:
    live = table.files()
    paths = {file.path for file in live}
    base = table.lake.warehouse / table.namespace / table.name
    named = table.named_data_files() - paths
    history = [kept.size for kept in table.lake.place.files(base / "data") if kept.path in named]
    return TableUsage(
        identifier=table.identifier,
        rows=sum(file.rows for file in live),
        live_files=len(live),
        live_bytes=sum(file.bytes for file in live),
        history_files=len(history),
        history_bytes=sum(history),
        metadata_bytes=_taken(table.lake, base / "metadata")[1],
        snapshots=len(table.ice.metadata.snapshots),
    )


def _prune(folder: Path) -> None:
    """Remove empty partition folders, deepest first; one that fills meanwhile refuses."""
    for path in sorted(folder.glob("*/*/data/**/"), key=lambda path: -len(path.parts)):
        if path.name != "data":
            with suppress(OSError):
                path.rmdir()

"""A table as it was when it was loaded: its snapshots, and the data files of any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake.spec import RUN_ID

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from tapehouse.lake.home import Lake

# A snapshot id, a moment (aware), or a run id.
AsOf = int | datetime | str


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of a table: `label` as in Iceberg's own listings (`2024-01-02-14` for an hour, empty when the table
    is unpartitioned); `start` and `end` bound it in time (UTC, end exclusive) and are None unless it is one of time.
    """

    label: str
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class File:
    """One data file. `low_us` and `high_us` bound the partitioning timestamp (inclusive), None where not known."""

    path: Path
    rows: int
    bytes: int
    partition: Partition
    low_us: int | None = None
    high_us: int | None = None


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One state of a table. `run_id` is empty for commits that other tools made."""

    snapshot_id: int
    parent_id: int | None
    committed: datetime
    operation: str
    run_id: str
    rows_total: int
    files_total: int
    rows_added: int
    rows_removed: int
    summary: dict[str, str]


class LakeTable:
    """A table of a lake. Later commits do not change it: load it again to see them."""

    def __init__(self, lake: Lake, ice: Table) -> None:
        self.lake = lake
        self.ice = ice
        self.namespace, self.name = ice.name()[-2:]

    @property
    def identifier(self) -> str:
        """`namespace.name`."""
        return f"{self.namespace}.{self.name}"

    @property
    def schema(self) -> pa.Schema:
        """Columns now, with nullable flags."""
        from tapehouse.lake.iceberg.schemas import to_arrow

        return to_arrow(self.ice.schema())

    def schema_at(self, as_of: AsOf | None) -> pa.Schema:
        """Columns of that state; the present ones for None and for a state before the first snapshot."""
        from tapehouse.lake.iceberg.schemas import to_arrow

        snapshot = self._snapshot(as_of)
        if as_of is None or snapshot is None or snapshot.schema_id is None:
            return self.schema
        return to_arrow(self.ice.schemas()[snapshot.schema_id])

    @property
    def sort(self) -> tuple[str, ...]:
        """Columns that rows of a partition are sorted by, ascending, nulls first."""
        schema = self.ice.schema()
        names = [schema.find_column_name(field.source_id) for field in self.ice.sort_order().fields]
        return tuple(name for name in names if name is not None)

    @property
    def partition_by(self) -> tuple[str, str] | None:
        """(transform, column), or None when unpartitioned."""
        fields = self.ice.spec().fields
        if not fields:
            return None
        return str(fields[0].transform), self.ice.schema().find_column_name(fields[0].source_id) or ""

    @property
    def properties(self) -> dict[str, str]:
        """Iceberg table properties."""
        return dict(self.ice.properties)

    def snapshot_id(self, as_of: AsOf | None = None) -> int | None:
        """Id of the current snapshot, or of that one; None before the first."""
        snapshot = self._snapshot(as_of)
        return None if snapshot is None else snapshot.snapshot_id

    def snapshot_of_run(self, run_id: str) -> int | None:
        """Id of the snapshot that the run made, or None."""
        from tapehouse.lake.iceberg.commits import run_snapshot

        return run_snapshot(self.ice, run_id)

    def rows(self, as_of: AsOf | None = None) -> int:
        """Rows in that state, from metadata alone."""
        return sum(file.rows for file in self.files(as_of))

    def files(
        self, as_of: AsOf | None = None, *, since_us: int | None = None, until_us: int | None = None
    ) -> list[File]:
        """Data files of that state by path; only those that may hold partitioning times in [since_us, until_us)."""
        found = [self._file(file) for file in self.live(as_of)]
        kept = [file for file in found if _overlaps(file, since_us, until_us)]
        return sorted(kept, key=lambda file: file.path)

    def live(self, as_of: AsOf | None = None) -> list[DataFile]:
        """Iceberg's own record of each data file of that state."""
        snapshot = self._snapshot(as_of)
        return [] if snapshot is None else list(self._entries(snapshot.manifests(self.ice.io)))

    def named_data_files(self) -> set[Path]:
        """Every data file that any snapshot still names."""
        manifests: dict[str, ManifestFile] = {}
        for snapshot in self.ice.metadata.snapshots:
            manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(self.ice.io)}
        return {self.lake.place.path(file.file_path) for file in self._entries(list(manifests.values()))}

    def snapshots(self) -> list[SnapshotInfo]:
        """Every state that can be travelled to, oldest first."""
        ordered = sorted(self.ice.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
        return [_info(snapshot) for snapshot in ordered]

    def _snapshot(self, as_of: AsOf | None) -> Snapshot | None:
        if as_of is None:
            return self.ice.current_snapshot()
        if isinstance(as_of, bool):
            raise UsageError("as_of is a snapshot id, a time or a run id")
        if isinstance(as_of, int):
            found = self.ice.snapshot_by_id(as_of)
            if found is None:
                raise UsageError(f"{self.identifier} has no snapshot {as_of}", fix=f"one of {self._known()}")
            return found
        if isinstance(as_of, str):
            return self._snapshot_of_run(as_of)
        if as_of.tzinfo is None:
            raise UsageError(f"as_of {as_of} has no time zone", fix="add one, for example +00:00")
        return self.ice.snapshot_as_of_timestamp(int(as_of.timestamp() * 1000))

    def _snapshot_of_run(self, run_id: str) -> Snapshot | None:
        found = self.snapshot_of_run(run_id)
        if found is None:
            runs = ", ".join(info.run_id for info in self.snapshots()[-5:])
            raise UsageError(f"{self.identifier} has no snapshot of run {run_id}", fix=f"latest runs: {runs or 'none'}")
        return self.ice.snapshot_by_id(found)

    def _known(self) -> str:
        ids = [str(info.snapshot_id) for info in self.snapshots()]
        return ", ".join(ids[-5:]) or "none yet"

    def _entries(self, manifests: list[ManifestFile]) -> Iterator[DataFile]:
        from pyiceberg.manifest import DataFileContent

        for manifest in manifests:
            for entry in manifest.fetch_manifest_entry(self.ice.io, discard_deleted=True):
                if entry.data_file.content != DataFileContent.DATA:
                    raise LakeError(
                        f"{self.identifier} has delete files, which another engine wrote",
                        fix="rewrite its data files with that engine (copy-on-write), then try again",
                    )
                entry.data_file.spec_id = manifest.partition_spec_id
                yield entry.data_file

    def _file(self, file: DataFile) -> File:
        from pyiceberg.conversions import from_bytes
        from pyiceberg.types import PrimitiveType

        path, size = self.lake.place.path(file.file_path), file.file_size_in_bytes
        spec, schema = self.ice.specs()[file.spec_id], self.ice.schema()
        if not spec.fields:
            return File(path, file.record_count, size, Partition(""))
        part = spec.fields[0]
        kind = schema.find_type(part.source_id)
        assert isinstance(kind, PrimitiveType)  # noqa: S101  (Iceberg partitions by nothing else)
        label = part.transform.to_human_string(part.transform.result_type(kind), file.partition[0])
        partition = _partition(str(part.transform), label, file.partition[0])
        low, high = file.lower_bounds.get(part.source_id), file.upper_bounds.get(part.source_id)
        bounds = (None, None) if partition.start is None or low is None or high is None else (low, high)
        low_us, high_us = (None if bound is None else int(from_bytes(kind, bound)) for bound in bounds)
        return File(path, file.record_count, size, partition, low_us, high_us)

    def __repr__(self) -> str:
        return f"LakeTable({self.identifier}, snapshot={self.snapshot_id()})"


def _overlaps(file: File, since_us: int | None, until_us: int | None) -> bool:
    if file.low_us is None or file.high_us is None:
        return True
    return (since_us is None or file.high_us >= since_us) and (until_us is None or file.low_us < until_us)


def _partition(transform: str, label: str, value: int | None) -> Partition:
    if value is None or transform not in ("hour", "day", "month", "year"):
        return Partition(label)
    return Partition(label, _start(transform, value), _start(transform, value + 1))


def _start(transform: str, value: int) -> datetime:
    """Iceberg counts hours, days, months and years since 1970."""
    if transform in ("hour", "day"):
        return datetime.fromtimestamp(value * (3600 if transform == "hour" else 86400), UTC)
    months = value if transform == "month" else value * 12
    return datetime(1970 + months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _info(snapshot: Snapshot) -> SnapshotInfo:
    summary = {} if snapshot.summary is None else dict(snapshot.summary.additional_properties)
    return SnapshotInfo(
        snapshot_id=snapshot.snapshot_id,
        parent_id=snapshot.parent_snapshot_id,
        committed=datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
        operation="" if snapshot.summary is None else snapshot.summary.operation.value,
        run_id=summary.get(RUN_ID, ""),
        rows_total=int(summary.get("total-records", 0)),
        files_total=int(summary.get("total-data-files", 0)),
        rows_added=int(summary.get("added-records", 0)),
        rows_removed=int(summary.get("deleted-records", 0)),
        summary=summary,
    )

"""Commits to tables that exist: growing their schemas, and the one snapshot that adds and removes a run's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyiceberg.exceptions import NoSuchTableError, ValidationException
from pyiceberg.expressions.visitors import manifest_evaluator
from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update import RemoveSnapshotsUpdate
from pyiceberg.table.update.snapshot import _MergeAppendFiles
from pyiceberg.typedef import Record

from tapehouse.errors import LakeError
from tapehouse.lake.iceberg import schemas
from tapehouse.lake.iceberg.catalogue import LakeCatalog
from tapehouse.lake.iceberg.statistics import FileFacts, describe
from tapehouse.lake.place import Place
from tapehouse.lake.spec import RUN_ID, TableSpec


def run_snapshot(table: Table, run_id: str) -> int | None:
    """Id of the snapshot that carries the run, or None."""
    for snapshot in reversed(table.metadata.snapshots):
        if snapshot.summary is not None and snapshot.summary.get(RUN_ID) == run_id:
            return snapshot.snapshot_id
    return None


def load(catalog: LakeCatalog, spec: TableSpec) -> Table | None:
    """The spec's table, or None when it does not exist; LakeError if it is partitioned in another way."""
    try:
        table = catalog.load_table((spec.namespace, spec.name))
    except NoSuchTableError:
        return None
    schema, wanted = table.schema(), [] if spec.partition_by is None else [spec.partition_by]
    fields = [(str(part.transform), schema.find_column_name(part.source_id)) for part in table.spec().fields]
    have, want = _described(fields), _described(wanted)
    if have != want:
        raise LakeError(
            f"{spec.identifier} is partitioned by {have or 'nothing'} in the lake, not by {want or 'nothing'}",
            fix="keep the partitioning, or use a new lake",
        )
    return table


def begin(spec: TableSpec, table: Table) -> Transaction:
    """A transaction in which the table holds all that the spec asks for."""
    transaction = _RunTransaction(table)
    _grow(transaction, spec)
    return transaction


def fits(table: Table, spec: TableSpec) -> None:
    """LakeError unless the spec's schema can be reached by adding columns."""
    schemas.additions(table.schema(), spec.schema, spec.identifier)


def commit(
    transaction: Transaction,
    add: Sequence[Path],
    remove: Sequence[DataFile],
    summary: Mapping[str, str],
    operation: str,
    place: Place,
) -> int | None:
    """Commit the transaction with one snapshot; returns its id, None when no file is added or removed."""
    if not add and not remove:
        transaction.commit_transaction()
        return None
    metadata = transaction.table_metadata
    schema, spec = metadata.schema(), metadata.spec()
    columns, parts = schemas.columns(schema), schemas.parts(schema, spec)
    snapshot = _RunSnapshot(transaction, transaction._table.io, dict(summary), list(remove), operation)
    for path in add:
        snapshot.append_data_file(_data_file(describe(path, columns, parts, place), spec))
    snapshot.commit()
    transaction.commit_transaction()
    return snapshot.snapshot_id


def forget(table: Table, snapshot_ids: Iterable[int]) -> None:
    """Drop snapshots from the table's metadata, in one commit; none may be the head of a branch or tag.

    pyiceberg's own expiry copies all metadata twice for each snapshot it is given.
    """
    transaction = _RunTransaction(table)
    transaction._stage((RemoveSnapshotsUpdate.model_validate({"snapshot-ids": list(snapshot_ids)}),))
    transaction.commit_transaction()


class _RunTransaction(Transaction):
    """pyiceberg derives the new metadata, copying every snapshot, each time it is asked for; this one remembers."""

    _seen: tuple[TableMetadata, tuple[Any, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        seen = self._seen
        if seen is None or seen[0] is not self._table.metadata or seen[1] != self._updates:
            seen = self._seen = (self._table.metadata, self._updates, super().table_metadata)
        return seen[2]


class _RunSnapshot(_MergeAppendFiles):
    """Adds and removes given files in one snapshot and merges small manifests.

    pyiceberg's own overwrite never merges, finds no file to remove in an unpartitioned table, and cannot say `replace`.
    """

    def __init__(
        self, transaction: Transaction, io: FileIO, summary: dict[str, str], remove: list[DataFile], operation: str
    ) -> None:
        chosen = Operation(operation) if operation else (Operation.OVERWRITE if remove else Operation.APPEND)
        super().__init__(chosen, transaction, io, snapshot_properties=summary)
        self._deleted_data_files = set(remove)
        self._plan: tuple[list[ManifestFile], list[ManifestEntry]] | None = None

    def _refresh_for_retry(self) -> None:
        super()._refresh_for_retry()
        self._plan = None

    def _existing_manifests(self) -> list[ManifestFile]:
        return self._planned()[0]

    def _deleted_entries(self) -> list[ManifestEntry]:
        return self._planned()[1]

    def _planned(self) -> tuple[list[ManifestFile], list[ManifestEntry]]:
        """Manifests to keep (rewritten where they lose a file) and the entries that record the removals."""
        if self._plan is None:
            kept: list[ManifestFile] = []
            deleted: list[ManifestEntry] = []
            for manifest in super()._existing_manifests():
                kept += self._without_removed(manifest, deleted)
            found = {entry.data_file for entry in deleted}
            if missing := sorted(file.file_path for file in self._deleted_data_files - found):
                raise ValidationException(f"files to remove are not in the table: {', '.join(missing)}")
            self._plan = kept, deleted
        return self._plan

    def _without_removed(self, manifest: ManifestFile, deleted: list[ManifestEntry]) -> list[ManifestFile]:
        if manifest.content != ManifestContent.DATA or not self._may_hold_removed(manifest):
            return [manifest]
        entries = manifest.fetch_manifest_entry(io=self._io, discard_deleted=True)
        gone = [entry for entry in entries if entry.data_file in self._deleted_data_files]
        if not gone:
            return [manifest]
        deleted.extend(_marked(entry, ManifestEntryStatus.DELETED, self._snapshot_id) for entry in gone)
        stay = [entry for entry in entries if entry.data_file not in self._deleted_data_files]
        if not stay:
            return []
        with self.new_manifest_writer(self.spec(manifest.partition_spec_id)) as writer:
            for entry in stay:
                writer.add_entry(_marked(entry, ManifestEntryStatus.EXISTING, entry.snapshot_id))
        return [writer.to_manifest_file()]

    def _may_hold_removed(self, manifest: ManifestFile) -> bool:
        """False only where the manifest's partition bounds exclude every removed file."""
        if not self._deleted_data_files:
            return False
        number = manifest.partition_spec_id
        spec = self.spec(number)
        files = [file for file in self._deleted_data_files if file.spec_id == number]
        if spec.is_unpartitioned() or not files:
            return bool(files)
        predicate = self._transaction._build_partition_predicate(
            partition_records={file.partition for file in files}, partition_fields=[field.name for field in spec.fields]
        )
        return manifest_evaluator(spec, self.schema(), predicate, True)(manifest)

    def _summary(self, snapshot_properties: dict[str, str] | None = None) -> Summary:
        """As pyiceberg's, which refuses the operation `replace`: count as for an overwrite, then name it."""
        named, self._operation = self._operation, Operation.OVERWRITE
        try:
            summary = super()._summary(snapshot_properties or {})
        finally:
            self._operation = named
        return Summary(named, **summary.additional_properties)


def _marked(entry: ManifestEntry, status: ManifestEntryStatus, snapshot_id: int | None) -> ManifestEntry:
    return ManifestEntry.from_args(
        status=status,
        snapshot_id=snapshot_id,
        sequence_number=entry.sequence_number,
        file_sequence_number=entry.file_sequence_number,
        data_file=entry.data_file,
    )


def _described(parts: Iterable[tuple[str, str | None]]) -> str:
    return ", ".join(f"{transform}({name})" for transform, name in parts)


def _grow(transaction: Transaction, spec: TableSpec) -> None:
    table = transaction.table_metadata
    new, relaxed = schemas.additions(table.schema(), spec.schema, spec.identifier)
    if new or relaxed:
        with transaction.update_schema() as update:
            for name, kind in new:
                update.add_column(name, kind)
            for name in relaxed:
                update.make_column_optional(name)
    changed = {key: value for key, value in spec.properties.items() if table.properties.get(key) != value}
    if changed:
        transaction.set_properties(changed)


def _data_file(file: FileFacts, spec: PartitionSpec) -> DataFile:
    result = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=file.location,
        file_format=FileFormat.PARQUET,
        partition=Record(*file.partition),
        record_count=file.rows,
        file_size_in_bytes=file.size,
        column_sizes=file.column_sizes,
        value_counts=file.value_counts,
        null_value_counts=file.null_counts,
        nan_value_counts={},
        lower_bounds=file.lower_bounds,
        upper_bounds=file.upper_bounds,
        key_metadata=None,
        split_offsets=file.split_offsets,
        equality_ids=None,
        sort_order_id=None,
    )
    result.spec_id = spec.spec_id
    return result

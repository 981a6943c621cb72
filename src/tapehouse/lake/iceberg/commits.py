"""Creating tables, growing their schemas, and the one snapshot that adds and removes a run's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, ValidationException
from pyiceberg.expressions.visitors import manifest_evaluator
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CreateTableTransaction, Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.table.update import RemoveSnapshotsUpdate
from pyiceberg.table.update.snapshot import _MergeAppendFiles
from pyiceberg.transforms import IdentityTransform, parse_transform

from tapehouse.errors import LakeError
from tapehouse.lake.iceberg import schemas
from tapehouse.lake.iceberg.catalogue import SqliteCatalog
from tapehouse.lake.spec import TableSpec

RUN_ID = "tapehouse.run-id"

# Old metadata files go as new ones come; names map columns, since files carry no ids. Small manifests are merged, but
# only up to some two thousand files: merging costs 0.1 ms a file, and is done again until that size is reached.
_PROPERTIES = {
    "format-version": "2",
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "5",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "commit.manifest.target-size-bytes": str(256 << 10),
}
_NAME_MAPPING = "schema.name-mapping.default"


def run_snapshot(table: Table, run_id: str) -> int | None:
    """Id of the snapshot that carries the run, or None."""
    for snapshot in reversed(table.metadata.snapshots):
        if snapshot.summary is not None and snapshot.summary.get(RUN_ID) == run_id:
            return snapshot.snapshot_id
    return None


def load(catalog: SqliteCatalog, spec: TableSpec) -> Table | None:
    """The spec's table, or None when it does not exist; LakeError if it is partitioned in another way."""
    try:
        table = catalog.load_table((spec.namespace, spec.name))
    except NoSuchTableError:
        return None
    wanted = _partition_spec(schemas.to_iceberg(spec.schema), spec)
    have, want = _described(table.spec(), table.schema()), _described(wanted, schemas.to_iceberg(spec.schema))
    if have != want:
        raise LakeError(
            f"{spec.identifier} is partitioned by {have or 'nothing'} in the lake, not by {want or 'nothing'}",
            fix="keep the partitioning, or use a new lake",
        )
    return table


def begin(catalog: SqliteCatalog, spec: TableSpec, table: Table | None) -> Transaction:
    """A transaction in which the table exists (`table` if it does already) and holds all that the spec asks for."""
    if table is None:
        return _create(catalog, spec)
    transaction = _RunTransaction(table)
    _grow(transaction, spec)
    return transaction


def fits(table: Table, spec: TableSpec) -> None:
    """LakeError unless the spec's schema can be reached by adding columns."""
    schemas.additions(table.schema(), spec.schema, spec.identifier)


def future_schema(spec: TableSpec) -> Schema:
    """The schema a new table will get."""
    return schemas.to_iceberg(spec.schema)


def partition_spec(spec: TableSpec) -> PartitionSpec:
    """The partitioning a new table will get."""
    return _partition_spec(schemas.to_iceberg(spec.schema), spec)


def commit(
    transaction: Transaction,
    describe: Callable[[Schema, PartitionSpec], list[DataFile]],
    remove: Iterable[DataFile],
    summary: Mapping[str, str],
    operation: str,
) -> int | None:
    """Commit the transaction with one snapshot; returns its id, None when no file is added or removed.

    `describe` makes the added files for the schema and partitioning that the transaction arrives at.
    """
    metadata = transaction.table_metadata
    added, removed = describe(metadata.schema(), metadata.spec()), list(remove)
    if not added and not removed:
        transaction.commit_transaction()
        return None
    snapshot = _RunSnapshot(transaction, transaction._table.io, dict(summary), removed, operation)
    for file in added:
        snapshot.append_data_file(file)
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


class _RunCreation(_RunTransaction, CreateTableTransaction):
    """A transaction that also creates its table, so that a new table costs one commit."""


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


def _create(catalog: SqliteCatalog, spec: TableSpec) -> Transaction:
    if not catalog.namespace_exists(spec.namespace):
        with suppress(NamespaceAlreadyExistsError):
            catalog.create_namespace(spec.namespace)
    schema = schemas.to_iceberg(spec.schema)
    staged = catalog._create_staged_table(
        (spec.namespace, spec.name),
        schema,
        partition_spec=_partition_spec(schema, spec),
        sort_order=_sort_order(schema, spec),
        properties={**_PROPERTIES, _NAME_MAPPING: schema.name_mapping.model_dump_json(), **spec.properties},
    )
    return _RunCreation(staged)


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


def _partition_spec(schema: Schema, spec: TableSpec) -> PartitionSpec:
    if spec.partition_by is None:
        return PartitionSpec()
    transform, column = spec.partition_by
    name = column if transform == "identity" else f"{column}_{transform}"
    source = schema.find_field(column).field_id
    return PartitionSpec(PartitionField(source, PARTITION_FIELD_ID_START, parse_transform(transform), name))


def _sort_order(schema: Schema, spec: TableSpec) -> SortOrder:
    fields = [
        SortField(
            source_id=schema.find_field(name).field_id,
            transform=IdentityTransform(),
            direction=SortDirection.ASC,
            null_order=NullOrder.NULLS_FIRST,
        )
        for name in spec.sort
    ]
    return SortOrder(*fields, order_id=1) if fields else SortOrder(order_id=0)


def _described(spec: PartitionSpec, schema: Schema) -> str:
    return ", ".join(f"{part.transform}({schema.find_column_name(part.source_id)})" for part in spec.fields)

"""What a commit from outside must keep, so that the lake's own tools read every row of the table as the engine that
wrote it does, find its runs, and never touch a file that is not the lake's.

The lake reads data files by column name and knows no delete files; its upkeep knows one partition column; expiry
removes files that snapshots name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFileContent, FileFormat, ManifestContent, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import AddSnapshotUpdate, SetLocationUpdate, SetPropertiesUpdate, TableUpdate

from tapehouse.errors import LakeError
from tapehouse.lake.iceberg.fileio import local_path
from tapehouse.lake.iceberg.forms import schema_form
from tapehouse.lake.iceberg.schemas import to_arrow
from tapehouse.lake.serve.failures import bad, forbidden
from tapehouse.lake.spec import RUN_ID, TRANSFORMS, check_name

# Runs, batches, proofs: what `verify` compares the tables with.
BOOKS = "tapehouse"
_FORMAT_VERSION = 2
# They choose code to be loaded, or folders to be written to, in whatever process opens the table next.
_REFUSED_PROPERTIES = (
    "py-io-impl",
    "write.py-location-provider.impl",
    "write.location-provider.impl",
    "write.data.path",
    "write.metadata.path",
    "write.object-storage.path",
    "write.folder-storage.path",
)


def check_writable(namespace: str, name: str = "") -> None:
    """Refuse names that the lake could not hold, and its books."""
    try:
        for part in (namespace, name) if name else (namespace,):
            check_name(part)
    except LakeError as error:
        raise bad(str(error)) from error
    if namespace == BOOKS:
        raise forbidden(f"the tables of {BOOKS} are the lake's books, which only its own runs write")


def check_properties(properties: Mapping[str, str]) -> None:
    """Refuse table properties that lead out of the lake."""
    if refused := [name for name in _REFUSED_PROPERTIES if name in properties]:
        raise bad(f"a table of a lake cannot have the property {', '.join(refused)}")


def check_updates(updates: Iterable[TableUpdate], location: str) -> None:
    """Refuse what must not even be tried on the metadata of the table at `location`."""
    for update in updates:
        if isinstance(update, SetPropertiesUpdate):
            check_properties(update.updates)
        elif isinstance(update, SetLocationUpdate) and normal(update.location) != normal(location):
            raise bad(f"the table lies in {location}, and a lake's tables do not move")
        elif isinstance(update, AddSnapshotUpdate):
            summary = update.snapshot.summary
            if summary is not None and summary.get(RUN_ID) is not None:
                raise bad(f"a snapshot with {RUN_ID} is one that a run of the lake has made")
            _inside(update.snapshot.manifest_list, location)


def check_metadata(before: TableMetadata | None, after: TableMetadata) -> None:
    """Refuse a table that the lake's tools could not read or keep; `before` is None for a new one."""
    if after.format_version != _FORMAT_VERSION:
        raise bad(f"a lake's tables are of Iceberg format {_FORMAT_VERSION}, not {after.format_version}")
    try:
        schema_form(to_arrow(after.schema()))
    except LakeError as error:
        raise bad(str(error)) from error
    parts = after.spec().fields
    if len(parts) > 1 or any(str(part.transform) not in TRANSFORMS for part in parts):
        raise bad(f"a lake's tables are partitioned by at most one column, by one of {', '.join(TRANSFORMS)}")
    if before is not None:
        if before.spec() != after.spec():
            raise bad("a lake's tables keep their partitioning")
        _check_growth(before.schema(), after.schema())


def _check_growth(before: Schema, after: Schema) -> None:
    """Columns may be added and made optional. Data files are read by name, so a name keeps its column for good."""
    now = {field.field_id: field for field in after.fields}
    for field in before.fields:
        same = now.pop(field.field_id, None)
        if same is None or same.name != field.name or same.field_type != field.field_type:
            raise bad(f"column {field.name} would be dropped, renamed or changed; a lake's tables only gain columns")
    if required := [field.name for field in now.values() if field.required]:
        raise bad(f"new column {required[0]} is required, and the rows that are there have no value for it")


def snapshot_files(snapshot: Snapshot, known: set[str], io: FileIO, location: str) -> list[Path]:
    """The files of a snapshot that is about to be committed: its manifest list, manifests that are not `known`, and
    their data files. Refused where one is outside the table's folder, not Parquet, or holds deletes.
    """
    found = [_inside(snapshot.manifest_list, location)]
    try:
        new = [manifest for manifest in snapshot.manifests(io) if manifest.manifest_path not in known]
        for manifest in new:
            found += [_inside(manifest.manifest_path, location), *_data_files(manifest, io, location)]
    except OSError as error:
        raise bad(f"the snapshot names a file that cannot be read here: {error}") from error
    return found


def _data_files(manifest: ManifestFile, io: FileIO, location: str) -> list[Path]:
    if manifest.content != ManifestContent.DATA:
        raise _deletes()
    found = []
    for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
        file = entry.data_file
        if file.content != DataFileContent.DATA:
            raise _deletes()
        if file.file_format != FileFormat.PARQUET:
            raise bad(f"{file.file_path} is not Parquet, which is what a lake's tables are made of")
        found.append(_inside(file.file_path, location))
    return found


def _deletes() -> Exception:
    return bad(
        "the commit holds delete files, which the lake's own tools do not read; rewrite the data files instead "
        "(in Spark: write.delete.mode, write.update.mode and write.merge.mode = copy-on-write)"
    )


def _inside(path: str, location: str) -> Path:
    """The file, which must lie in the table's folder."""
    file = normal(path)
    if not file.is_relative_to(normal(location)):
        raise bad(f"{path} is outside the table's folder {location}")
    return file


def normal(location: str) -> Path:
    """Where a location leads, without the detours that its text may take."""
    return Path(os.path.normpath(local_path(location)))

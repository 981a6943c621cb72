"""The SQLite catalogue: pyiceberg's own table layout, read and written with the standard library.

pyiceberg's `SqlCatalog` opens the same file, and other tools do it with that. It is not used here because it brings
SQLAlchemy, whose import costs half a second of every run; a lake needs five statements on two tables. New tables are
entered by `catalogue_file`.
"""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

from pyiceberg.catalog import Catalog, MetastoreCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchNamespaceError, NoSuchTableError
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import CommitTableResponse, StagedTable, Table
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Identifier, Properties

from tapehouse.errors import LakeError
from tapehouse.lake import disk
from tapehouse.lake.catalogue_file import NAME, insert_table, prepare, transaction

_FILE_IO = "tapehouse.lake.iceberg.fileio.DurableFileIO"
_IS_TABLE = "catalog_name = ? AND table_namespace = ? AND table_name = ? AND coalesce(iceberg_type, 'TABLE') = 'TABLE'"


def open_catalog(root: Path, *, read_only: bool) -> SqliteCatalog:
    """The catalogue of the lake in `root`, made when absent unless `read_only`."""
    path = root / "catalog.db"
    if read_only and not path.exists():
        raise LakeError(f"the lake {root} has no catalogue yet", fix="run something into it first")
    catalog = SqliteCatalog(path, root / "warehouse", read_only=read_only)
    if not read_only:
        with disk.guarded("opening the catalogue", path):
            catalog.prepare()
    return catalog


class LakeCatalog(MetastoreCatalog):
    """Tables of one lake, wherever it keeps their pointers. What a lake never does (drop, rename, views) is refused."""

    def commit_table(
        self, table: Table, requirements: tuple[Any, ...], updates: tuple[Any, ...]
    ) -> CommitTableResponse:
        """Swap the table's pointer to new metadata; CommitFailedException when another commit came first."""
        current = self.load_table(table.name())
        staged = self._update_and_stage_table(current, table.name(), requirements, updates)
        if staged.metadata == current.metadata:
            return _answer(current.metadata, current.metadata_location)
        self.swap(current, staged)
        return _answer(staged.metadata, staged.metadata_location)

    @abstractmethod
    def swap(self, current: Table, staged: StagedTable) -> None:
        """Write the metadata and point to it; CommitFailedException when `current` no longer is what it says."""

    def _parts(self, identifier: str | Identifier) -> tuple[str, str]:
        return Catalog.namespace_to_string(Catalog.namespace_from(identifier)), Catalog.table_name_from(identifier)

    def _refused(self, *_: Any, **__: Any) -> NoReturn:
        raise LakeError(
            "a lake's catalogue only loads tables and commits to them",
            fix="for anything else open it with pyiceberg's own catalogue while no run is at work",
        )

    create_table = register_table = drop_table = rename_table = create_namespace = drop_namespace = _refused
    update_namespace_properties = list_views = view_exists = load_view = drop_view = register_view = _refused


class SqliteCatalog(LakeCatalog):
    """Tables of a lake on disk."""

    def __init__(self, path: Path, warehouse: Path, *, read_only: bool) -> None:
        super().__init__(NAME, **{"warehouse": str(warehouse), "py-io-impl": _FILE_IO})
        self._path, self._read_only = path, read_only

    def prepare(self) -> None:
        """Make the catalogue's tables where they are absent."""
        with self._transaction() as connection:
            prepare(connection)

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._path, read_only=self._read_only)

    def load_table(self, identifier: str | Identifier) -> Table:
        """The table as it is now; NoSuchTableError when there is none."""
        namespace, name = self._parts(identifier)
        with self._transaction() as connection:
            query = f"SELECT metadata_location FROM iceberg_tables WHERE {_IS_TABLE}"  # noqa: S608
            row = connection.execute(query, (NAME, namespace, name)).fetchone()
        if row is None or row[0] is None:
            raise NoSuchTableError(f"Table does not exist: {namespace}.{name}")
        metadata = FromInputFile.table_metadata(self._load_file_io(location=row[0]).new_input(row[0]))
        io = self._load_file_io(metadata.properties, row[0])
        return Table((*namespace.split("."), name), metadata, row[0], io, self)

    def swap(self, current: Table, staged: StagedTable) -> None:
        """Write the metadata and point to it; CommitFailedException when `current` no longer is what it says."""
        self._write_metadata(staged.metadata, staged.io, staged.metadata_location)
        namespace, name = self._parts(current.name())
        update = (
            "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? "  # noqa: S608
            f"WHERE {_IS_TABLE} AND metadata_location = ?"
        )
        before = current.metadata_location
        with self._transaction() as connection:
            found = connection.execute(update, (staged.metadata_location, before, NAME, namespace, name, before))
            if found.rowcount != 1:
                raise CommitFailedException(f"Table has been updated by another process: {namespace}.{name}")

    def stage(self, identifier: Identifier, metadata: TableMetadata) -> StagedTable:
        """A table that is not there yet, with the place of its first metadata file."""
        location = load_location_provider(metadata.location, metadata.properties).new_table_metadata_file_location()
        io = self._load_file_io(metadata.properties, location)
        return StagedTable(identifier, metadata, location, io, self)

    def enter(self, staged: StagedTable, *, root: Path) -> bool:
        """Write the metadata of a new table and point to it; False when there is a table of that name."""
        namespace, name = self._parts(staged.name())
        self._write_metadata(staged.metadata, staged.io, staged.metadata_location)
        path = Path(staged.metadata_location)
        disk.sync_files([path], root=root)  # the folders are new, too
        if insert_table(self._path, namespace, name, path):
            return True
        path.unlink()
        return False

    def load_namespace_properties(self, namespace: str | Identifier) -> Properties:
        """Properties of a namespace; NoSuchNamespaceError when there is none."""
        name = Catalog.namespace_to_string(namespace)
        query = (
            "SELECT property_key, property_value FROM iceberg_namespace_properties "
            "WHERE catalog_name = ? AND namespace = ?"
        )
        with self._transaction() as connection:
            rows = connection.execute(query, (NAME, name)).fetchall()
        if not rows:
            raise NoSuchNamespaceError(f"Namespace {name} does not exist")
        return dict(rows)

    def list_namespaces(self, namespace: str | Identifier = ()) -> list[Identifier]:
        """Every namespace; a lake has one level of them."""
        query = "SELECT DISTINCT namespace FROM iceberg_namespace_properties WHERE catalog_name = ? ORDER BY 1"
        with self._transaction() as connection:
            return [(name,) for (name,) in connection.execute(query, (NAME,))]

    def list_tables(self, namespace: str | Identifier) -> list[Identifier]:
        """Tables of a namespace."""
        name = Catalog.namespace_to_string(namespace)
        query = "SELECT table_name FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? ORDER BY 1"
        with self._transaction() as connection:
            return [(name, table) for (table,) in connection.execute(query, (NAME, name))]


def _answer(metadata: TableMetadata, location: str) -> CommitTableResponse:
    return CommitTableResponse(metadata=metadata, **{"metadata-location": location})

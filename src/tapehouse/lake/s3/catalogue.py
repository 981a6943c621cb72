"""The pointers of a lake's tables in one database of the Glue Data Catalog, and Iceberg's files as objects.

pyiceberg's `GlueCatalog` reads the same tables. It is not used to write them because the lake names its files by path,
must know whether its lock still holds before each swap, and must tell a swap that was lost from one whose answer was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyiceberg.exceptions import CommitFailedException, NoSuchNamespaceError, NoSuchTableError
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import StagedTable, Table
from pyiceberg.typedef import EMPTY_DICT, Identifier, Properties

from tapehouse.errors import LakeError
from tapehouse.lake.catalogue_file import NAME
from tapehouse.lake.iceberg.catalogue import LakeCatalog
from tapehouse.lake.iceberg.fileio import DurableFile
from tapehouse.lake.s3.glue import Glue
from tapehouse.lake.s3.place import OnS3
from tapehouse.lake.s3.tables import METADATA, table_input


class _Stored(DurableFile):
    """A new file that is an object once closed."""

    def __init__(self, place: OnS3, path: Path) -> None:
        super().__init__(place.at(path), overwrite=True)
        self._place, self._name = place, path

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._place.keep([self._name])


class _Input(InputFile):
    def __init__(self, location: str, place: OnS3) -> None:
        super().__init__(location)
        self._place = place

    def __len__(self) -> int:
        return self._here.stat().st_size

    def exists(self) -> bool:
        return self._place.holds(self._place.path(self.location))

    def open(self, seekable: bool = True) -> InputStream:
        return self._here.open("rb")

    @property
    def _here(self) -> Path:
        return self._place.fetch([self._place.path(self.location)])[0]


class _Output(OutputFile):
    def __init__(self, location: str, place: OnS3) -> None:
        super().__init__(location)
        self._place = place

    def __len__(self) -> int:
        return len(self.to_input_file())

    def exists(self) -> bool:
        return self.to_input_file().exists()

    def to_input_file(self) -> InputFile:
        return _Input(self.location, self._place)

    def create(self, overwrite: bool = False) -> OutputStream:
        return _Stored(self._place, self._place.path(self.location))


class PlacedFileIO(FileIO):
    """pyiceberg's door to the lake's objects, by way of the working copy."""

    def __init__(self, place: OnS3) -> None:
        super().__init__({})
        self._place = place

    def new_input(self, location: str) -> InputFile:
        return _Input(location, self._place)

    def new_output(self, location: str) -> OutputFile:
        return _Output(location, self._place)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        name = location if isinstance(location, str) else location.location
        self._place.remove([self._place.path(name)])


class GlueTables(LakeCatalog):
    """Tables of a lake in S3. `assure` raises unless the lake's lock still holds."""

    def __init__(self, place: OnS3, glue: Glue, assure: Callable[[], None]) -> None:
        super().__init__(NAME, warehouse=place.address)
        self._io, self._glue, self._assure = PlacedFileIO(place), glue, assure

    def _load_file_io(self, properties: Properties = EMPTY_DICT, location: str | None = None) -> FileIO:
        return self._io

    def load_table(self, identifier: str | Identifier) -> Table:
        """The table as it is now; NoSuchTableError when there is none."""
        namespace, name = self._parts(identifier)
        found = self._glue.get(namespace, name)
        if found is None:
            raise NoSuchTableError(f"Table does not exist: {namespace}.{name}")
        location = found["Parameters"][METADATA]
        metadata = FromInputFile.table_metadata(self._io.new_input(location))
        return Table((*namespace.split("."), name), metadata, location, self._io, self)

    def swap(self, current: Table, staged: StagedTable) -> None:
        """Write the metadata and point to it; CommitFailedException when `current` no longer is what it says."""
        namespace, name = self._parts(current.name())
        before, after = current.metadata_location, staged.metadata_location
        self._write_metadata(staged.metadata, staged.io, after)
        found = self._glue.get(namespace, name)
        if found is None or found["Parameters"][METADATA] != before:
            raise CommitFailedException(f"Table has been updated by another process: {namespace}.{name}")
        form = json.loads(staged.metadata.model_dump_json())
        given = table_input(namespace, name, form, after, previous=before, current=found)
        self._assure()
        if not self._glue.update(namespace, name, given, found["VersionId"]):
            raise CommitFailedException(f"Table has been updated by another process: {namespace}.{name}")

    def load_namespace_properties(self, namespace: str | Identifier) -> Properties:
        """A namespace of a lake in S3 is a part of its tables' names, and has no properties."""
        if (str(namespace) if isinstance(namespace, str) else namespace[0]) not in {
            space for space, _ in self._glue.names()
        }:
            raise NoSuchNamespaceError(f"Namespace {namespace} does not exist")
        return {}

    def list_namespaces(self, namespace: str | Identifier = ()) -> list[Identifier]:
        """Every namespace that has a table."""
        return sorted({(space,) for space, _ in self._glue.names()})

    def list_tables(self, namespace: str | Identifier) -> list[Identifier]:
        """Tables of a namespace."""
        wanted = namespace if isinstance(namespace, str) else namespace[0]
        return [(space, name) for space, name in self._glue.names() if space == wanted]


def metadata_of(path: Path) -> dict[str, Any]:
    """A metadata file of the working copy."""
    form = json.loads(path.read_bytes())
    if not isinstance(form, dict):
        raise LakeError(f"{path} is no metadata of a table", fix="run again")
    return form

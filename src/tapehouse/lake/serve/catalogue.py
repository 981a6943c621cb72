"""What the catalogue answers: namespaces and tables as the lake has them, and commits under the lake's own lock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ValidationError
from pyiceberg.catalog.rest import CreateTableRequest
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.exceptions import ValidationError as Invalid
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableRequest, StagedTable, Table
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import AddSnapshotUpdate, AssertCreate

from tapehouse.errors import UsageError
from tapehouse.lake import disk
from tapehouse.lake.catalogue_file import insert_namespace
from tapehouse.lake.home import Lake
from tapehouse.lake.iceberg.birth import new_properties
from tapehouse.lake.iceberg.catalogue import SqliteCatalog
from tapehouse.lake.publish import recover
from tapehouse.lake.serve import terms
from tapehouse.lake.serve.failures import RefusedError, bad

_Model = TypeVar("_Model")
Form = dict[str, Any]


class ServedCatalogue:
    """One lake's catalogue for other engines. Raises RefusedError and pyiceberg's own exceptions."""

    def __init__(self, lake: Lake) -> None:
        if lake.home != lake.root:
            raise UsageError(f"the tables of {lake.address} are in Glue already", fix="open them there")
        self.lake = lake

    def namespaces(self, parent: str = "") -> Form:
        """All namespaces, in one page; a namespace of a lake has none inside."""
        if parent:
            self.namespace(parent)
        found = self.lake.catalog.list_namespaces() if self._begun and not parent else []
        return {"namespaces": [list(name) for name in found]}

    def namespace(self, name: str) -> Form:
        """A namespace's properties."""
        if not self._begun:
            raise NoSuchNamespaceError(f"Namespace {name} does not exist")
        return {"namespace": [name], "properties": self.lake.catalog.load_namespace_properties(name)}

    def create_namespace(self, body: Form) -> Form:
        """Make a namespace of one level."""
        levels, properties = body.get("namespace"), body.get("properties") or {}
        if not isinstance(levels, list) or len(levels) != 1 or not isinstance(levels[0], str):
            raise bad("a namespace of a lake is a list of one name")
        if not isinstance(properties, dict) or not all(isinstance(value, str) for value in properties.values()):
            raise bad("properties of a namespace are texts by name")
        terms.check_writable(levels[0])
        with self._writing():
            if not insert_namespace(self.lake.catalogue_file, levels[0], properties):
                raise NamespaceAlreadyExistsError(f"Namespace {levels[0]} already exists")
        return {"namespace": levels, "properties": properties}

    def tables(self, namespace: str) -> Form:
        """Tables of a namespace, in one page."""
        self.namespace(namespace)
        found = self.lake.catalog.list_tables(namespace)
        return {"identifiers": [{"namespace": [space], "name": name} for space, name in found]}

    def table(self, namespace: str, name: str) -> Form:
        """A table's metadata as it is now."""
        table = self._load(namespace, name)
        return _loaded(table.metadata, table.metadata_location)

    def create_table(self, namespace: str, body: Form) -> Form:
        """Make an empty table; where the client stages it, only say what it would be."""
        request = _parsed(CreateTableRequest.model_validate, {"location": None, **_OPTIONAL, **body})
        terms.check_writable(namespace, request.name)
        terms.check_properties(request.properties)
        self.namespace(namespace)
        location = self._location(namespace, request.name)
        if request.location is not None and terms.normal(request.location) != terms.normal(location):
            raise bad(f"a table of this name lies in {location}, nowhere else")
        metadata = _parsed(_new_metadata, request, location)
        if request.stage_create:
            if self._exists(namespace, request.name):
                raise TableAlreadyExistsError(f"Table already exists: {namespace}.{request.name}")
            return _loaded(metadata, None)
        with self._writing():
            staged = self._catalog.stage((namespace, request.name), metadata)
            self._enter(staged)
        return _loaded(staged.metadata, staged.metadata_location)

    def commit(self, namespace: str, name: str, body: Form) -> Form:
        """Apply updates to a table, or make it, if all requirements hold."""
        terms.check_writable(namespace, name)
        identifier = {"namespace": [namespace], "name": name}
        request = _parsed(CommitTableRequest.model_validate, {**body, "identifier": identifier})
        creates = any(isinstance(requirement, AssertCreate) for requirement in request.requirements)
        with self._writing():
            current = None if creates and not self._exists(namespace, name) else self._load(namespace, name)
            staged = self._staged(current, (namespace, name), request)
            if current is None:
                self.namespace(namespace)
                self._enter(staged)
            elif staged.metadata != current.metadata:
                self.lake.catalog.swap(current, staged)
                self.lake.catalog._delete_old_metadata(staged.io, current.metadata, staged.metadata)
            else:
                return _loaded(current.metadata, current.metadata_location)
        return _loaded(staged.metadata, staged.metadata_location)

    def _staged(self, current: Table | None, identifier: tuple[str, str], request: CommitTableRequest) -> StagedTable:
        """The table as it will be, everything that it names on disk and in order."""
        location = self._location(*identifier) if current is None else current.location()
        terms.check_updates(request.updates, location)
        catalog = self.lake.catalog
        staged = _parsed(catalog._update_and_stage_table, current, identifier, request.requirements, request.updates)
        terms.check_metadata(None if current is None else current.metadata, staged.metadata)
        known: set[str] = set()
        if current is not None and (snapshot := current.current_snapshot()) is not None:
            known = {manifest.manifest_path for manifest in snapshot.manifests(current.io)}
        added = [update.snapshot for update in request.updates if isinstance(update, AddSnapshotUpdate)]
        files = [path for snapshot in added for path in terms.snapshot_files(snapshot, known, staged.io, location)]
        disk.sync_files(files, root=self.lake.root)
        return staged

    def _enter(self, staged: StagedTable) -> None:
        if not self._catalog.enter(staged, root=self.lake.root):
            raise TableAlreadyExistsError(f"Table already exists: {'.'.join(staged.name())}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone in the lake, and after a run that was decided and not finished: its tables must be as it left them."""
        with self.lake.lock():
            recover(self.lake)
            yield

    def _load(self, namespace: str, name: str) -> Table:
        if not self._begun:
            raise NoSuchTableError(f"Table does not exist: {namespace}.{name}")
        return self.lake.catalog.load_table((namespace, name))

    def _exists(self, namespace: str, name: str) -> bool:
        return self._begun and self.lake.catalog.table_exists((namespace, name))

    def _location(self, namespace: str, name: str) -> str:
        return str(self.lake.warehouse / namespace / name)

    @property
    def _catalog(self) -> SqliteCatalog:
        catalog = self.lake.catalog
        assert isinstance(catalog, SqliteCatalog)  # noqa: S101  (a lake on disk has no other)
        return catalog

    @property
    def _begun(self) -> bool:
        """Whether a lake that may not be written has a catalogue yet."""
        return not self.lake.read_only or self.lake.catalogue_file.exists()


_OPTIONAL: Form = {"partition-spec": None, "write-order": None}


def _new_metadata(request: CreateTableRequest, location: str) -> TableMetadata:
    metadata = new_table_metadata(
        request.table_schema,
        request.partition_spec or UNPARTITIONED_PARTITION_SPEC,
        request.write_order or UNSORTED_SORT_ORDER,
        location,
        dict(request.properties),
    )
    terms.check_metadata(None, metadata)
    # By the numbers that the columns have only now: files that upkeep writes carry none.
    given = new_properties(json.loads(metadata.schema().model_dump_json()))
    return metadata.model_copy(update={"properties": {**given, **metadata.properties}})


def _parsed(make: Callable[..., _Model], *given: Any) -> _Model:
    """What `make` gives; where the client's own words do not fit together, that is told."""
    try:
        return make(*given)
    except (CommitFailedException, RefusedError):
        raise
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        raise bad(told) from error
    except (ValueError, TypeError, KeyError, NotImplementedError, Invalid, ValidationException) as error:
        raise bad(f"{type(error).__name__}: {error}") from error


def _loaded(metadata: TableMetadata, location: str | None) -> Form:
    form = {"metadata": json.loads(metadata.model_dump_json()), "config": {}}
    return form if location is None else {"metadata-location": location, **form}

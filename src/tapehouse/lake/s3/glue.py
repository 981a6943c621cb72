"""Entries of a lake's tables in the Glue Data Catalog, read and swapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse import aws
from tapehouse.errors import LakeError
from tapehouse.lake.s3.tables import METADATA, table_name

_ABSENT = "EntityNotFoundException"
_THERE = "AlreadyExistsException"
_CHANGED = "ConcurrentModificationException"


class Glue:
    """Tables below `warehouse` (`s3://BUCKET/PREFIX/warehouse`) in one database. Trouble is LakeError."""

    def __init__(self, database: str, warehouse: str, region: str = "") -> None:
        self.database, self._warehouse, self._region = database, warehouse, region

    @property
    def _client(self) -> Any:
        return aws.client("glue", self._region)

    def check(self) -> None:
        """LakeError unless the database exists: a deployment makes it, a run has no right to."""
        try:
            with aws.guarded("looking for the Glue database", self.database):
                self._client.get_database(Name=self.database)
        except LakeError as error:
            if _code(error) == _ABSENT:
                raise LakeError(
                    f"there is no Glue database {self.database!r}", fix="make it, or name another"
                ) from error
            raise

    def names(self) -> list[tuple[str, str]]:
        """(namespace, name) of every table of the lake, sorted; others may be in the database."""
        out, start = [], f"{self._warehouse}/"
        with aws.guarded("listing tables", self.database):
            for page in self._client.get_paginator("get_tables").paginate(DatabaseName=self.database):
                for one in page["TableList"]:
                    location = one.get("Parameters", {}).get(METADATA, "")
                    parts = location.removeprefix(start).split("/")
                    if location.startswith(start) and one["Name"] == table_name(*parts[:2]):
                        out.append((parts[0], parts[1]))
        return sorted(out)

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The table as Glue has it, None when there is none; LakeError when another has its name."""
        try:
            with aws.guarded("reading a table", f"{self.database}.{table_name(namespace, name)}"):
                answer = self._client.get_table(DatabaseName=self.database, Name=table_name(namespace, name))
        except LakeError as error:
            if _code(error) == _ABSENT:
                return None
            raise
        table: dict[str, Any] = answer["Table"]
        if not table.get("Parameters", {}).get(METADATA, "").startswith(f"{self._warehouse}/{namespace}/{name}/"):
            raise LakeError(
                f"Glue table {self.database}.{table['Name']} is not {namespace}.{name} of the lake",
                fix="remove it, or use another database",
            )
        return table

    def create(self, namespace: str, name: str, given: Mapping[str, Any]) -> bool:
        """Enter a new table; False when there is one of that name."""
        try:
            with aws.guarded("entering a table", f"{self.database}.{given['Name']}"):
                self._client.create_table(DatabaseName=self.database, TableInput=given)
        except LakeError as error:
            if _code(error) == _THERE:
                return self._is(namespace, name, given)
            raise
        return True

    def update(self, namespace: str, name: str, given: Mapping[str, Any], version: str) -> bool:
        """Change a table that still has that version; False when it has another."""
        try:
            with aws.guarded("swapping a table's pointer", f"{self.database}.{given['Name']}"):
                self._client.update_table(
                    DatabaseName=self.database, TableInput=given, VersionId=version, SkipArchive=True
                )
        except LakeError as error:
            if _code(error) == _CHANGED:
                return self._is(namespace, name, given)
            raise
        return True

    def _is(self, namespace: str, name: str, given: Mapping[str, Any]) -> bool:
        """Whether the table is what we were about to make it: a request that was sent again meets its own effect."""
        there = self.get(namespace, name)
        return there is not None and there["Parameters"][METADATA] == given["Parameters"][METADATA]


def _code(error: LakeError) -> str:
    return aws.code_of(error.__cause__ or error)

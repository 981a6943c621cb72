"""The data catalogue, its tables' partitions, and who queries it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tapehouse.cloud.conformance.registry import absent, check, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import JOB, arguments, bucket_of

DATABASE, TABLE, WORKGROUP = "AWS::Glue::Database", "AWS::Glue::Table", "AWS::Athena::WorkGroup"
ICEBERG = "Custom::IcebergTable"
_IDENTIFIER = re.compile(r"[a-z0-9_]+")
_TIMES = ("year", "month", "day", "hour", "date")


@check("B46")
def the_database_exists(stacks: Stacks) -> Iterator[str]:
    found = {str(one.get("DatabaseInput.Name", one.name)) for one in stacks.of(DATABASE)}
    yield from absent(found, "Glue database")
    for job in stacks.of(JOB):
        named = arguments(job).get("--database")
        if named not in found:
            yield f"{job}: writes to database {named}, which the deployment does not make"


@check("L09")
def query_results_are_bounded_and_encrypted(stacks: Stacks) -> Iterator[str]:
    def judge(group: Resource) -> str | None:
        told = group.get("WorkGroupConfiguration", {})
        result = told.get("ResultConfiguration", {})
        encryption = result.get("EncryptionConfiguration", {})
        if not bucket_of(result.get("OutputLocation")):
            return "no place for results"
        if told.get("EnforceWorkGroupConfiguration") is not True:
            return "clients may choose their own place and encryption"
        if (
            encryption.get("EncryptionOption") not in ("SSE_KMS", "CSE_KMS")
            or stacks.key(encryption.get("KmsKey")) is None
        ):
            return "results are not under a customer key of the deployment"
        return None if int(told.get("BytesScannedCutoffPerQuery", 0)) > 0 else "a query may scan any number of bytes"

    yield from each(stacks.of(WORKGROUP), "Athena workgroup", judge)


@check("L12")
def identifiers_are_plain(stacks: Stacks) -> Iterator[str]:
    named = [
        *((one, str(one.get("DatabaseInput.Name", ""))) for one in stacks.of(DATABASE)),
        *((one, str(one.get("TableInput.Name", ""))) for one in stacks.of(TABLE)),
        *((one, str(one.get("Table", one.get("Name", "")))) for one in stacks.of(ICEBERG)),
        *((one, str(one.get("Database", one.get("DatabaseName", "")))) for one in stacks.of(ICEBERG)),
        *((one, str(one.get("Name", ""))) for one in stacks.of("AWS::Athena::DataCatalog", WORKGROUP)),
    ]
    yield from absent([one for one, _ in named if one.type == DATABASE], "Glue database")
    for one, name in named:
        if not _IDENTIFIER.fullmatch(name):
            yield f"{one}: its name {name!r} is not of [a-z0-9_]"


@check("C45")
def tables_are_partitioned_by_time(stacks: Stacks) -> Iterator[str]:
    """Tables by the metadata or partition keys that make them; each dataset has one that is."""
    tables = [*stacks.of(TABLE), *stacks.of(ICEBERG)]
    yield from absent(tables, "table")
    timed = [one for one in tables if _timed(one)]
    for dataset in stacks.facts.datasets:
        if not any(dataset in _table_name(one) for one in timed):
            yield f"dataset {dataset}: no table partitioned by time"
    for one in stacks.of(TABLE):
        if one not in timed and not one.get("OpenTableFormatInput"):
            yield f"{one}: neither partition keys nor projection by time"


def _table_name(table: Resource) -> str:
    return str(table.get("TableInput.Name") or table.get("Table") or table.get("Name") or "")


def _timed(table: Resource) -> bool:
    if table.type == TABLE:
        names = [str(one.get("Name")) for one in table.get("TableInput.PartitionKeys", [])]
        projected = str((table.get("TableInput.Parameters") or {}).get("projection.enabled", "")).lower() == "true"
        return any(part in name for name in names for part in _TIMES) and (
            projected or table.get("OpenTableFormatInput")
        )
    return any(_time_transform(spec) for spec in _specs(table))


def _specs(table: Resource) -> Iterator[Mapping[str, Any]]:
    """Fields of the partition specs in an Iceberg table's metadata, wherever among the properties it stands."""
    for value in table.properties.values():
        body = _parsed(value)
        if isinstance(body, Mapping):
            for spec in body.get("partition-specs", []):
                yield from spec.get("fields", [])


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return None
    return value


def _time_transform(field: Mapping[str, Any]) -> bool:
    timed = str(field.get("transform")) in ("year", "month", "day", "hour")
    return timed or (field.get("transform") == "identity" and any(one in str(field.get("name")) for one in _TIMES))

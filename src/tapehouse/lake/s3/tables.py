"""A lake's tables as the Glue Data Catalog has them: names, and the form in which a table is written down there.

Needs neither boto3 nor pyiceberg: a deployment declares tables with `table_input`, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse.errors import LakeError

METADATA = "metadata_location"
PREVIOUS = "previous_metadata_location"
_TYPES = {
    "boolean": "boolean",
    "int": "int",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "string": "string",
    "uuid": "string",
    "time": "string",
    "binary": "binary",
}
# What Glue gives back of a table and takes again.
_KEPT = ("Description", "Owner", "Retention", "PartitionKeys", "ViewOriginalText", "ViewExpandedText")


def table_name(namespace: str, name: str) -> str:
    """What a table is called in Glue: lower case, letters, digits and `_`."""
    return f"{namespace}_{name}".lower()


def table_input(
    namespace: str,
    name: str,
    metadata: Mapping[str, Any],
    location: str,
    *,
    previous: str = "",
    current: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The `TableInput` of Glue for a table whose metadata (as JSON has it) lies at `location`.

    `current` is the table as Glue has it now, of which is kept what is not Iceberg's; `previous` is where its metadata
    lies.
    """
    before = current or {}
    parameters = {**before.get("Parameters", {}), "table_type": "ICEBERG", METADATA: location}
    if previous:
        parameters[PREVIOUS] = previous
    return {
        **{key: before[key] for key in _KEPT if before.get(key)},
        "Name": table_name(namespace, name),
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "StorageDescriptor": {"Location": metadata["location"], "Columns": _columns(metadata)},
    }


def _columns(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of the current schema, with what Iceberg's own integration with Glue says of them."""
    schemas = {schema["schema-id"]: schema for schema in metadata["schemas"]}
    return [
        {
            "Name": field["name"],
            "Type": _type(field["type"]),
            "Parameters": {
                "iceberg.field.id": str(field["id"]),
                "iceberg.field.optional": str(not field["required"]).lower(),
                "iceberg.field.current": "true",
            },
        }
        for field in schemas[metadata["current-schema-id"]]["fields"]
    ]


def _type(kind: str | Mapping[str, Any]) -> str:
    if isinstance(kind, str):
        if kind.startswith(("decimal", "fixed")):
            return kind.replace(" ", "") if kind.startswith("decimal") else "binary"
        if kind not in _TYPES:
            raise LakeError(f"type {kind} has no place in Glue", fix="upgrade Tapehouse")
        return _TYPES[kind]
    if kind["type"] == "list":
        return f"array<{_type(kind['element'])}>"
    if kind["type"] == "map":
        return f"map<{_type(kind['key'])},{_type(kind['value'])}>"
    fields = ",".join(f"{field['name']}:{_type(field['type'])}" for field in kind["fields"])
    return f"struct<{fields}>"

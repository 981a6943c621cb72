"""Custom::IcebergTable: a table in Glue's catalogue, with the initial metadata that was made at synthesis.

Properties: Database, Table, Metadata (JSON with the placeholder ${LOCATION}), Location (s3://..), Description, Destroy
("true" lets a delete remove the table and its files).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlparse

from tapehouse.handlers.emptying import remove_objects
from tapehouse.handlers.surroundings import log

LOCATION = "${LOCATION}"
FIRST = "metadata/00000-initial.metadata.json"


def create(glue: Any, s3: Any, properties: Mapping[str, Any]) -> bool:
    """Make the table unless it is there; whether it was made. A table that is there keeps its metadata and data."""
    database, table = properties["Database"], properties["Table"]
    if _location(glue, database, table) is not None:
        log("table is there", database=database, table=table)
        return False
    location = str(properties["Location"]).rstrip("/")
    # A value within JSON text: the same text as a JSON string, without its quotes.
    text = str(properties["Metadata"]).replace(LOCATION, json.dumps(location)[1:-1])
    json.loads(text)
    place = f"{location}/{FIRST}"
    bucket, key = _parts(place)
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json")
    try:
        glue.create_table(
            DatabaseName=database,
            TableInput={
                "Name": table,
                "Description": str(properties.get("Description", ""))[:2048],
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"EXTERNAL": "TRUE", "table_type": "ICEBERG", "metadata_location": place},
                "StorageDescriptor": {"Location": location, "Columns": _columns(json.loads(text))},
            },
        )
    except glue.exceptions.AlreadyExistsException:
        return False  # somebody was quicker
    log("table made", database=database, table=table, metadata=place)
    return True


def remove(glue: Any, s3: Any, properties: Mapping[str, Any], seconds_left: Callable[[], float]) -> bool:
    """Remove table and files if its policy says so; whether it does. What is gone already is removed, and a table that
    meanwhile lies elsewhere is another one.
    """
    if str(properties.get("Destroy", "false")).lower() != "true":
        return False
    database, table = properties["Database"], properties["Table"]
    location = str(properties["Location"]).rstrip("/")
    if _location(glue, database, table) == location:
        try:
            glue.delete_table(DatabaseName=database, Name=table)
        except glue.exceptions.EntityNotFoundException:
            log("table is gone", database=database, table=table)
    bucket, prefix = _parts(f"{location}/")
    try:
        remove_objects(s3, bucket, prefix, seconds_left)
    except s3.exceptions.NoSuchBucket:
        log("bucket is gone", bucket=bucket)
    return True


def _location(glue: Any, database: str, table: str) -> str | None:
    """Where a table's files lie; None when there is no table."""
    try:
        found = glue.get_table(DatabaseName=database, Name=table)["Table"]
    except glue.exceptions.EntityNotFoundException:
        return None
    return str(found.get("StorageDescriptor", {}).get("Location", "")).rstrip("/")


def _parts(place: str) -> tuple[str, str]:
    parts = urlparse(place)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise ValueError(f"{place} is no s3:// address of a folder")
    return parts.netloc, parts.path.lstrip("/")


# Iceberg's types as Glue's catalogue shows them; readers go by the metadata.
_SHOWN = {
    "long": "bigint",
    "timestamptz": "timestamp",
    "timestamptz_ns": "timestamp",
    "timestamp_ns": "timestamp",
    "time": "string",
    "uuid": "string",
}


def _columns(metadata: Mapping[str, Any]) -> list[dict[str, str]]:
    current = metadata.get("current-schema-id", 0)
    schema = next(one for one in metadata["schemas"] if one["schema-id"] == current)
    return [{"Name": field["name"], "Type": _shown(field["type"])} for field in schema["fields"]]


def _shown(kind: Any) -> str:
    if isinstance(kind, str):
        if kind.startswith("fixed"):
            return "binary"
        return _SHOWN.get(kind, kind.replace(" ", ""))
    if kind["type"] == "list":
        return f"array<{_shown(kind['element'])}>"
    if kind["type"] == "map":
        return f"map<{_shown(kind['key'])},{_shown(kind['value'])}>"
    fields = ",".join(f"{field['name']}:{_shown(field['type'])}" for field in kind["fields"])
    return f"struct<{fields}>"

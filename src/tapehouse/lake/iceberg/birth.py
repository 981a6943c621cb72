"""A table's first commit: its metadata and first snapshot, written without pyiceberg, whose import would take longer
than the commits of a small run. Tables that exist grow through `commits`.

Writing and pointing are two steps, so that the files of all new tables of a run reach the disk together.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapehouse.lake import disk
from tapehouse.lake.catalogue_file import insert_table
from tapehouse.lake.iceberg import forms, manifests
from tapehouse.lake.iceberg.statistics import FileFacts, describe
from tapehouse.lake.place import Place
from tapehouse.lake.spec import Staged, TableSpec

# Old metadata files go as new ones come; names map columns, since files carry no ids. Small manifests are merged, but
# only up to some two thousand files: merging costs 0.1 ms a file, and is done again until that size is reached.
_PROPERTIES = {
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "5",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "commit.manifest.target-size-bytes": str(256 << 10),
}
_NAME_MAPPING = "schema.name-mapping.default"


@dataclass(frozen=True, slots=True)
class Newborn:
    """A table whose files are written, and that nobody sees before `reveal`. `files` must be on disk by then."""

    spec: TableSpec
    snapshot_id: int | None
    metadata: Path
    files: tuple[Path, ...]


def new_properties(schema: forms.Form) -> dict[str, str]:
    """What a new table of that schema is given; its own properties go before."""
    return {**_PROPERTIES, _NAME_MAPPING: json.dumps(forms.name_mapping(schema), ensure_ascii=False)}


def facts_of(part: Staged, place: Place) -> list[FileFacts]:
    """What a new table will record of the staged files; LakeError where one does not fit."""
    columns, parts = forms.columns(part.spec.schema), forms.parts(part.spec)
    forms.schema_form(part.spec.schema)  # refuses types that have no place in a table
    return [describe(path, columns, parts, place) for path in part.add]


def write(
    part: Staged, facts: Sequence[FileFacts], warehouse: Path, place: Place, summary: Mapping[str, str], operation: str
) -> Newborn:
    """Write the metadata of a new table that holds the staged files, in one snapshot where there are any."""
    spec = part.spec
    base = warehouse / spec.namespace / spec.name
    folder = base / "metadata"
    folder.mkdir(parents=True, exist_ok=True)
    metadata = folder / f"00000-{uuid.uuid4()}.metadata.json"
    form = initial_metadata(spec, place.location(base), time.time_ns() // 1_000_000, uuid.uuid4())
    files = list[Path]()
    if facts:
        snapshot = 1 + secrets.randbelow((1 << 63) - 1)
        files += _manifests(spec, facts, folder, place, snapshot)
        counted = _summary(facts, summary, operation or "append")
        _add_snapshot(form, snapshot, place.location(files[-1]), counted)
    metadata.write_text(json.dumps(form, ensure_ascii=False), encoding="utf-8")
    return Newborn(spec, form["current-snapshot-id"], metadata, (*files, metadata))


def reveal(catalogue: Path, born: Newborn) -> bool:
    """Point the catalogue to the table; False when there is one of that name."""
    with disk.guarded("committing a new table", catalogue):
        return insert_table(catalogue, born.spec.namespace, born.spec.name, born.metadata)


def _manifests(
    spec: TableSpec, facts: Sequence[FileFacts], folder: Path, place: Place, snapshot: int
) -> tuple[Path, Path]:
    commit = uuid.uuid4()
    manifest = folder / f"{commit}-m0.avro"
    listed = folder / f"snap-{snapshot}-0-{commit}.avro"
    form, fields, parts = forms.schema_form(spec.schema), forms.partition_fields(spec), forms.parts(spec)
    content = manifests.manifest(facts, form, fields, parts, snapshot)
    manifest.write_bytes(content)
    listed.write_bytes(manifests.manifest_list(place.location(manifest), len(content), facts, parts, snapshot))
    return manifest, listed


def initial_metadata(
    spec: TableSpec, location: str, updated_ms: int, table_uuid: uuid.UUID | None = None
) -> dict[str, Any]:
    """The metadata of a table at `location` without a snapshot, as JSON has it; `updated_ms` is since 1970.

    Depends on nothing but its arguments: without a uuid the table gets one that is made of its location, so that a
    deployment can declare the tables of a lake again and again. A first run takes such a table for one that exists.
    """
    schema, fields, order = forms.schema_form(spec.schema), forms.partition_fields(spec), forms.sort_order(spec)
    return {
        "format-version": 2,
        "table-uuid": str(table_uuid if table_uuid is not None else uuid.uuid5(uuid.NAMESPACE_URL, location)),
        "location": location,
        "last-sequence-number": 0,
        "last-updated-ms": updated_ms,
        "last-column-id": forms.highest_number(schema),
        "schemas": [schema],
        "current-schema-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": fields}],
        "default-spec-id": 0,
        "last-partition-id": forms.FIRST_PARTITION_FIELD - 1 + len(fields),
        "properties": {**new_properties(schema), **spec.properties},
        "current-snapshot-id": None,
        "snapshots": [],
        "snapshot-log": [],
        "metadata-log": [],
        "sort-orders": [order],
        "default-sort-order-id": order["order-id"],
        "refs": {},
        "statistics": [],
        "partition-statistics": [],
    }


def _add_snapshot(form: dict[str, Any], number: int, listed: str, summary: Mapping[str, str]) -> None:
    at = form["last-updated-ms"]
    snapshot = {
        "snapshot-id": number,
        "sequence-number": 1,
        "timestamp-ms": at,
        "manifest-list": listed,
        "summary": dict(summary),
        "schema-id": 0,
    }
    form.update(
        {
            "last-sequence-number": 1,
            "current-snapshot-id": number,
            "snapshots": [snapshot],
            "snapshot-log": [{"snapshot-id": number, "timestamp-ms": at}],
            "refs": {"main": {"snapshot-id": number, "type": "branch"}},
        }
    )


def _summary(facts: Sequence[FileFacts], given: Mapping[str, str], operation: str) -> dict[str, str]:
    """What the snapshot says of itself."""
    size, rows = str(sum(one.size for one in facts)), str(sum(one.rows for one in facts))
    partitions = len({one.partition for one in facts})
    return {
        "operation": operation,
        "added-files-size": size,
        "added-data-files": str(len(facts)),
        "added-records": rows,
        **({"changed-partition-count": str(partitions)} if facts[0].partition else {}),
        **given,
        "total-data-files": str(len(facts)),
        "total-delete-files": "0",
        "total-records": rows,
        "total-files-size": size,
        "total-position-deletes": "0",
        "total-equality-deletes": "0",
    }

"""What a run hands over for publication: tables as they should be, and the files that make them so."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapehouse.errors import LakeError
from tapehouse.lake import disk

if TYPE_CHECKING:
    import pyarrow as pa

# What a snapshot names the run in its summary.
RUN_ID = "tapehouse.run-id"
TRANSFORMS = ("identity", "hour", "day", "month", "year")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=:+-]{0,127}\Z")
_FILE = re.compile(r"\d{5}(\.\d+)?\.parquet\Z")


@dataclass(frozen=True)
class TableSpec:
    """A table as a run expects it. Nullable flags of `schema` become required columns where false.

    `partition_by` is (transform, column): `hour`, `day`, `month` or `year` of a timestamp column in microseconds, or
    `identity`; None leaves the table unpartitioned. `sort` names columns, ascending, nulls first; it is kept by
    compaction. `properties` are Iceberg table properties, added to the lake's own.
    """

    namespace: str
    name: str
    schema: pa.Schema
    partition_by: tuple[str, str] | None = None
    sort: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in (self.namespace, self.name):
            check_name(part)
        names = set(self.schema.names)
        used = set(self.sort) | ({self.partition_by[1]} if self.partition_by else set())
        if missing := sorted(used - names):
            raise LakeError(f"{self.identifier}: sorted or partitioned by absent columns {', '.join(missing)}")
        if self.partition_by and self.partition_by[0] not in TRANSFORMS:
            raise LakeError(
                f"{self.identifier}: unknown partition transform {self.partition_by[0]!r}; one of {TRANSFORMS}"
            )

    @property
    def identifier(self) -> str:
        """`namespace.name`."""
        return f"{self.namespace}.{self.name}"

    def to_json(self) -> dict[str, Any]:
        """A form JSON can hold; `from_json` restores an equal spec."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "schema": base64.b64encode(self.schema.serialize().to_pybytes()).decode(),
            "partition_by": list(self.partition_by) if self.partition_by else None,
            "sort": list(self.sort),
            "properties": dict(self.properties),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TableSpec:
        """Inverse of `to_json`."""
        import pyarrow as pa

        by = value["partition_by"]
        return cls(
            namespace=value["namespace"],
            name=value["name"],
            schema=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value["schema"]))),
            partition_by=(by[0], by[1]) if by else None,
            sort=tuple(value["sort"]),
            properties=dict(value["properties"]),
        )


@dataclass(frozen=True)
class Staged:
    """One table's share of a run: `add` are complete Parquet files already under the table's data folder, `remove`
    the paths (as `DataFile.path` gives them) of data files that they replace.
    """

    spec: TableSpec
    add: tuple[Path, ...] = ()
    remove: tuple[str, ...] = ()


def check_name(name: str) -> str:
    """`name` when it can name a table or a namespace; LakeError otherwise."""
    if not _NAME.match(name):
        raise LakeError(
            f"{name!r} cannot name a table or namespace",
            fix="use letters, digits and _, starting with a letter or _, at most 128",
        )
    return name


def check_run_id(run_id: str) -> str:
    """`run_id` when it can name files; LakeError otherwise."""
    if not _RUN.match(run_id):
        raise LakeError(f"{run_id!r} cannot name a run", fix="use letters, digits, '.', '_' and '-', at most 128")
    return run_id


def new_data_file(warehouse: Path, spec: TableSpec, label: str, run_id: str, number: int, attempt: str = "") -> Path:
    """Path for a new data file, its folder made: `warehouse/NAMESPACE/TABLE/data/LABEL/RUNID-NNNNN.parquet`.

    An empty label is the table's data folder; `number` is 0..99999. `attempt` (digits) is there where several processes
    may write the same file, of which one will count: `RUNID-NNNNN.ATTEMPT.parquet`. LakeError if the file exists: data
    files are never written twice, a snapshot may hold the first.
    """
    path = data_file(warehouse, spec, label, run_id, number, attempt)
    if path.exists():
        raise LakeError(f"{path} exists: run id {run_id} was used before", fix="use a fresh run id, or discard the run")
    with disk.guarded("making a partition folder", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def data_file(warehouse: Path, spec: TableSpec, label: str, run_id: str, number: int, attempt: str = "") -> Path:
    """Where that file lies; see `new_data_file`."""
    if label and not _LABEL.match(label):
        raise LakeError(f"{label!r} cannot name a partition folder", fix="use letters, digits and . _ = : + -")
    if not 0 <= number <= 99_999:
        raise LakeError(f"file number {number} of {spec.identifier} is outside 0..99999")
    folder = warehouse / spec.namespace / spec.name / "data" / label
    return folder / f"{check_run_id(run_id)}-{number:05d}{'.' if attempt else ''}{attempt}.parquet"


def safe_label(label: str) -> str:
    """`label` made fit to name a folder. Folders only help people: a file's partition is in the table's metadata."""
    return re.sub(r"[^A-Za-z0-9._=:+-]|^[^A-Za-z0-9_]", "_", label)[:128]


def written_by(path: Path, run_id: str) -> bool:
    """Whether `path` is a data file of `run_id`, judged by its name alone."""
    head, _, tail = path.name.rpartition("-")
    return head == run_id and _FILE.match(tail) is not None

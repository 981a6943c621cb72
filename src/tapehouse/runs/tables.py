"""Which tables a lake has and what their columns are. Arrow schemas; the lake turns them into Iceberg's."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa

from tapehouse.contracts.model import Column, Contract, Derivation, Kind
from tapehouse.kernel.derive import derived_columns
from tapehouse.lake.spec import TableSpec

HOUSE = "tapehouse"
# Table property: name of the contract that the table belongs to.
OWNER = "tapehouse.contract"
TIMESTAMP = pa.timestamp("us", tz="UTC")
REASON = pa.struct(
    [
        pa.field("code", pa.string()),
        pa.field("severity", pa.string()),
        pa.field("columns", pa.list_(pa.string())),
        pa.field("observed", pa.string()),
        pa.field("bound", pa.string()),
    ]
)


def namespace(contract: Contract) -> str:
    """The contract's namespace in the lake."""
    return namespace_of(contract.name)


def namespace_of(name: str) -> str:
    """A contract's name in lower case with everything but ASCII letters, digits and `_` replaced by `_`."""
    return re.sub(r"\W", "_", name.lower(), flags=re.ASCII)


def arrow_type(column: Column) -> pa.DataType:
    """Type of a contract column in the lake."""
    return {
        Kind.INTEGER: pa.int64(),
        Kind.DECIMAL: pa.decimal128(18, column.scale),
        Kind.DOUBLE: pa.float64(),
        Kind.STRING: pa.string(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TIMESTAMP: pa.int64(),
        Kind.DATE: pa.date32(),
    }[column.kind]


def _fields(columns: Iterable[Column]) -> list[pa.Field]:
    return [pa.field(column.name, arrow_type(column)) for column in columns]


def curated_spec(contract: Contract) -> TableSpec:
    """Typed, deduplicated, sorted rows, partitioned by event time."""
    meta = [
        pa.field("_event_time", TIMESTAMP),
        pa.field("_batch", pa.string()),
        pa.field("_row", pa.int64()),
        pa.field("_flags", pa.int64()),
        pa.field("_knowledge_time", TIMESTAMP),
    ]
    return TableSpec(
        namespace(contract),
        "curated",
        pa.schema([*_fields(contract.columns), *meta]),
        (contract.partitioning.by, "_event_time"),
        contract.partitioning.sort,
        {OWNER: contract.name, "comment": contract.description},
    )


def derived_spec(contract: Contract, derivation: Derivation) -> TableSpec:
    """A derived table, partitioned like the curated rows it comes from."""
    columns = derived_columns(contract, derivation)
    schema = pa.schema([*_fields(columns), pa.field("_event_time", TIMESTAMP), pa.field("_knowledge_time", TIMESTAMP)])
    time = (contract.partitioning.by, "_event_time")
    return TableSpec(namespace(contract), derivation.name, schema, time, (), {OWNER: contract.name})


QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("_batch", pa.string()),
        pa.field("_row", pa.int64()),
        pa.field("_offset", pa.int64()),
        pa.field("_length", pa.int64()),
        pa.field("_raw", pa.binary()),
        pa.field("_event_time", TIMESTAMP),
        pa.field("reasons", pa.list_(REASON)),
        pa.field("origin", pa.string()),
        pa.field("contract_version", pa.string()),
        pa.field("contract_digest", pa.string()),
        pa.field("_run_id", pa.string()),
        pa.field("_knowledge_time", TIMESTAMP),
    ]
)


def quarantine_spec(contract: Contract) -> TableSpec:
    """Rejected records with their bytes and every reason (I5)."""
    return TableSpec(
        namespace(contract), "quarantine", QUARANTINE_SCHEMA, ("day", "_knowledge_time"), (), {OWNER: contract.name}
    )


def duplicates_spec(contract: Contract) -> TableSpec:
    """Records dropped because another row with the same key was kept, and which one."""
    schema = pa.schema(
        [
            pa.field("_batch", pa.string()),
            pa.field("_row", pa.int64()),
            pa.field("_kept_batch", pa.string()),
            pa.field("_kept_row", pa.int64()),
            pa.field("_event_time", TIMESTAMP),
            pa.field("_run_id", pa.string()),
            pa.field("_knowledge_time", TIMESTAMP),
        ]
    )
    return TableSpec(namespace(contract), "duplicates", schema, ("day", "_knowledge_time"), (), {OWNER: contract.name})


def _house(name: str, *fields: tuple[str, pa.DataType]) -> TableSpec:
    return TableSpec(HOUSE, name, pa.schema([pa.field(field, kind) for field, kind in fields]), None, (), {})


_TEXT, _LONG, _REAL = pa.string(), pa.int64(), pa.float64()
_COUNTS = (
    ("rows_in", _LONG),
    ("curated", _LONG),
    ("quarantined", _LONG),
    ("duplicates", _LONG),
    ("filtered", _LONG),
)

RUNS = _house(
    "runs",
    ("run_id", _TEXT),
    ("kind", _TEXT),
    ("status", _TEXT),
    ("contract", _TEXT),
    ("contract_version", _TEXT),
    ("contract_digest", _TEXT),
    ("engine", _TEXT),
    ("tapehouse_version", _TEXT),
    ("started_at", TIMESTAMP),
    ("finished_at", TIMESTAMP),
    ("seconds", _REAL),
    ("batches", _LONG),
    *_COUNTS,
    ("rules", _TEXT),
    ("proof", _TEXT),
    ("references", _TEXT),
    ("stopped_because", _TEXT),
)
BATCHES = _house(
    "batches",
    ("contract", _TEXT),
    ("contract_version", _TEXT),
    ("digest", _TEXT),
    ("origin", _TEXT),
    ("bytes", _LONG),
    ("run_id", _TEXT),
    *_COUNTS,
    ("malformed", _LONG),
    ("proof", _TEXT),
    ("first_event", TIMESTAMP),
    ("last_event", TIMESTAMP),
    ("knowledge_time", TIMESTAMP),
)
METRICS = _house(
    "metrics",
    ("run_id", _TEXT),
    ("contract", _TEXT),
    ("metric", _TEXT),
    ("column", _TEXT),
    ("value", _REAL),
    ("at", TIMESTAMP),
)
INTERVALS = _house(
    "intervals",
    ("contract", _TEXT),
    ("channel", _TEXT),
    ("partition", _TEXT),
    ("first_event", TIMESTAMP),
    ("last_event", TIMESTAMP),
    ("rows", _LONG),
    ("run_id", _TEXT),
)
LINEAGE = _house(
    "lineage",
    ("run_id", _TEXT),
    ("contract", _TEXT),
    ("input", _TEXT),
    ("input_kind", _TEXT),
    ("output", _TEXT),
    ("rows", _LONG),
    ("at", TIMESTAMP),
    ("expires_at", TIMESTAMP),
)
MARKS = _house(
    "quarantine_marks",
    ("contract", _TEXT),
    ("batch", _TEXT),
    ("row", _LONG),
    ("mark", _TEXT),
    ("why", _TEXT),
    ("run_id", _TEXT),
    ("at", TIMESTAMP),
)
EXPIRED = _house(
    "expired",
    ("contract", _TEXT),
    ("place", _TEXT),
    ("partition", _TEXT),
    ("batch", _TEXT),
    ("tally", _TEXT),
    ("run_id", _TEXT),
    ("at", TIMESTAMP),
)

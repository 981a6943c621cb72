"""What lineage needs to know of a run: plain facts, filled in by whoever ran it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class LineageColumn:
    """One column of the curated table. `source` is its name in the batch (`path:NAME` for a part of the path).

    `derived` is False where the value is taken as it stands (text to text), True where a grammar turns it into another
    form; `description` then says how ("iso8601 to timestamp").
    """

    name: str
    type: str
    source: str
    derived: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Rows that broke one rule. `column` is empty for a rule over several columns."""

    code: str
    rows: int
    severity: Literal["reject", "warn"] = "reject"
    column: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class LineageInput:
    """A batch that was read: sha256 of its content (hex), the path or URI it came under, rows and bytes.

    `rules` and `nulls` (null values per column) are this batch's own; leave them empty where only totals are known.
    """

    digest: str
    origin: str
    rows: int
    size: int
    rules: tuple[RuleCount, ...] = ()
    nulls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineageOutput:
    """A table the run wrote to: `namespace.table`, the snapshot it made (None if it made none), and the rows added.

    `columns` are (name, type); only the curated table carries column lineage.
    """

    table: str
    snapshot_id: int | None
    rows: int
    size: int | None = None
    files: int | None = None
    columns: tuple[tuple[str, str], ...] = ()
    curated: bool = False


@dataclass(frozen=True, slots=True)
class LineageFailure:
    """Why a run failed: the message a person reads, the kind of error, and a traceback if one helps."""

    message: str
    kind: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class LineageRun:
    """One run. `lake` is the path or URI of the lake; times carry a zone; `ended` is None while it runs.

    `dispositions` are row counts by name (`rows_in`, `curated`, `quarantined`, `duplicates`, `filtered`).
    `proof_closed` is None until the proof was made. `rules` are the totals over all inputs.
    """

    run_id: str
    contract_name: str
    contract_version: str
    contract_digest: str
    lake: str
    started: datetime
    ended: datetime | None = None
    owner: str = ""
    description: str = ""
    engine: str = "embedded"
    engine_version: str = ""
    inputs: tuple[LineageInput, ...] = ()
    outputs: tuple[LineageOutput, ...] = ()
    columns: tuple[LineageColumn, ...] = ()
    dispositions: Mapping[str, int] = field(default_factory=dict)
    rules: tuple[RuleCount, ...] = ()
    proof_closed: bool | None = None
    failure: LineageFailure | None = None

    def __post_init__(self) -> None:
        for name, moment in (("started", self.started), ("ended", self.ended)):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"LineageRun.{name} must carry a time zone, got {moment!r}")

"""The rules of a contract on rows that have landed already: a lake's table as it is, or Parquet files from anywhere.

A curated table lacks the rows that were refused, repeated or filtered. A rule that compares rows in order of arrival is
therefore judged in batches of which every record is in the table, and only there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tapehouse.contracts.expr import Scope
from tapehouse.contracts.model import Contract, Severity
from tapehouse.engines.sql.judge import BrokenRow, Judge, Judgement
from tapehouse.engines.sql.source import BATCH, ROW, Database, Source
from tapehouse.errors import UsageError
from tapehouse.lake.home import Lake
from tapehouse.reference import References
from tapehouse.runs.batches import batches_of
from tapehouse.runs.tables import curated_spec

_OF_ARRIVAL = "it judges a batch when it arrives, by its size, its totals or its age"


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """What became of one rule. `rows` were checked and `broken` of them break it, `first` among them; where not all
    rows could be checked, `not_checked` says why.
    """

    code: str
    kind: str
    severity: Severity
    rows: int = 0
    broken: int = 0
    first: tuple[BrokenRow, ...] = ()
    not_checked: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "severity": self.severity.value, "first": [asdict(row) for row in self.first]}


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The rules of a contract over a table; `references` are the versions of what was looked up."""

    table: str
    contract: str
    contract_version: str
    engine: str
    rows: int
    rules: tuple[RuleCheck, ...]
    references: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether no row was found that breaks a rule of severity `reject`. Rules not checked do not count."""
        return not any(rule.broken and rule.severity == Severity.REJECT for rule in self.rules)

    @property
    def not_checked(self) -> tuple[RuleCheck, ...]:
        """Rules that were not checked, or not on all rows."""
        return tuple(rule for rule in self.rules if rule.not_checked)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "ok": self.ok,
            "table": self.table,
            "contract": self.contract,
            "contract_version": self.contract_version,
            "engine": self.engine,
            "rows": self.rows,
            "rules": [rule.as_dict() for rule in self.rules],
            "references": dict(self.references),
        }


def check(
    contract: Contract,
    name: str,
    source: Source,
    database: Database,
    *,
    batches: Mapping[str, int] | None = None,
    references: Mapping[str, Path] | None = None,
    limit: int = 5,
) -> CheckReport:
    """Judge the rows of a source by the contract, with at most `limit` broken rows shown per rule.

    `batches` are the records of each batch, by digest, where they are known. A reference table without a file leaves
    the rules that need it unchecked. Raises ReferenceDataError for a file that cannot be read.
    """
    given = set(references or {})
    specs = {key: spec for key, spec in contract.references.items() if key in given or spec.path}
    known = References.load(replace(contract, references=specs), references, base=Path(contract.source).parent)
    if not source.paths:
        rows, judged = 0, [Judgement(rule, unchecked="there are no rows") for rule in contract.rules]
    else:
        ordered = any(rule.broken.scope > Scope.ROW for rule in contract.rules)
        if ordered and source.ordered and batches is not None:
            source = replace(source, whole=_whole(source, database, batches))
        rows, judged = Judge(contract, known, source, database).judgements(limit)
    rules = [
        RuleCheck(one.rule.code, one.rule.kind, one.rule.severity, one.rows, one.broken, one.first, one.unchecked)
        for one in judged
    ]
    rules += [RuleCheck(rule.code, rule.kind, rule.severity, not_checked=_OF_ARRIVAL) for rule in contract.batch_rules]
    engine = database.dialect.name
    return CheckReport(name, contract.name, contract.version, engine, rows, tuple(rules), known.versions())


def _whole(source: Source, database: Database, batches: Mapping[str, int]) -> frozenset[str]:
    """Batches of which as many different records are in the source as they had."""
    files = database.files(source.paths, {name: source.schema.field(name).type for name in (BATCH, ROW)})
    counts = database.rows(f"SELECT {BATCH}, count(*), count(DISTINCT {ROW}) FROM {files} GROUP BY {BATCH}")  # noqa: S608
    return frozenset(batch for batch, rows, records in counts if rows == records == batches.get(batch))


def lake_source(lake: Lake, name: str, as_of: dt.datetime | str | None = None) -> Source:
    """A table `namespace.table` of the lake, now or as it was. Raises UsageError where there is none."""
    namespace, _, table_name = name.partition(".")
    table = lake.table(namespace, table_name)
    if table is None:
        known = ", ".join(one.identifier for one in lake.tables()) or "none yet"
        raise UsageError(f"the lake has no table {name}", fix=f"its tables: {known}; or name Parquet files")
    return Source(tuple(lake.place.fetch(file.path for file in table.files(as_of))), table.schema_at(as_of))


def records_of(lake: Lake, contract: Contract, name: str) -> dict[str, int] | None:
    """Records that each batch of the contract had, by digest; None for other tables than the curated one."""
    spec = curated_spec(contract)
    if name != f"{spec.namespace}.{spec.name}":
        return None
    # A replay is an entry of its own, of the rows that it judged again.
    most = batches_of(lake, contract.name).group_by("digest").agg(pl.col("rows_in").max())
    return dict(most.iter_rows())


def file_source(paths: list[Path]) -> Source:
    """Parquet files of one schema; a column that some lack is null there. Raises UsageError for other files."""
    schemas = []
    for path in paths:
        try:
            schemas.append(pq.read_schema(path))
        except (OSError, pa.ArrowInvalid) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{path} is no Parquet file: {reason}", fix="name Parquet files, or a lake's table"
            ) from error
    try:
        schema = pa.unify_schemas([one.remove_metadata() for one in schemas])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UsageError(
            f"the files differ in their columns: {error}", fix="check files of one kind at a time"
        ) from error
    return Source(tuple(path.absolute() for path in paths), schema)

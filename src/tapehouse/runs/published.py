"""Rows and files that the lake holds already, as a run needs them: for duplicates, derived tables and replacement."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.errors import ContractError
from tapehouse.kernel.timestamps import NS_PER_DAY
from tapehouse.lake.home import Lake
from tapehouse.lake.read import read_curated
from tapehouse.lake.spec import TableSpec
from tapehouse.lake.table import File
from tapehouse.runs.contracts import contract_of
from tapehouse.runs.read import house_table, read_files
from tapehouse.runs.tables import RUNS, curated_spec, derived_spec, namespace


class PublishedRows:
    """The curated table of one contract as of now. `replaced` are batches that the run supersedes: their rows count as
    gone, and the partitions that hold them are rewritten. Partitions are named by label.
    """

    def __init__(self, lake: Lake, contract: Contract, replaced: frozenset[str] = frozenset()) -> None:
        self._lake = lake
        self._contract = contract
        self._replaced = replaced
        self._tables: dict[str, list[File]] = {}

    def _files(self, name: str) -> list[File]:
        """Data files of a table of the contract."""
        if name not in self._tables:
            table = self._lake.table(namespace(self._contract), name)
            self._tables[name] = table.files() if table is not None else []
        return self._tables[name]

    def files(self, spec: TableSpec, label: str) -> tuple[Path, ...]:
        """Data files of one partition of a table."""
        return tuple(file.path for file in self._files(spec.name) if file.partition.label == label)

    def partition(self, label: str) -> pl.DataFrame | None:
        """Curated rows of one partition in canonical form, with metadata, without rows of replaced batches; None when
        the lake has no such partition.
        """
        spec = curated_spec(self._contract)
        files = self.files(spec, label)
        return self._without_replaced(read_files(files, spec.schema)) if files else None

    def _without_replaced(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.filter(~pl.col("_batch").is_in(list(self._replaced))) if self._replaced else rows

    @cached_property
    def rewritten(self) -> frozenset[str]:
        """Labels of the partitions that hold rows of replaced batches."""
        if not self._replaced:
            return frozenset()
        return frozenset(
            file.partition.label
            for file in self._files("curated")
            if pl.read_parquet(file.path, columns=["_batch"]).to_series().is_in(list(self._replaced)).any()
        )

    @cached_property
    def underived(self) -> frozenset[str]:
        """Labels of the partitions whose derived rows are not what the contract asks for: all, when the latest run went
        by a contract with other derived tables or columns; else none.
        """
        files = self._files("curated") if self._contract.derived else []
        if not files:
            return frozenset()
        runs = house_table(self._lake, RUNS).filter(contract=self._contract.name, status="published")
        latest = runs.sort("started_at", "run_id").get_column("contract_digest").to_list()[-1:]
        if latest == [self._contract.digest]:
            return frozenset()
        if latest and _derivations(self._lake, latest[0]) == _derivations_of(self._contract):
            return frozenset()
        return frozenset(file.partition.label for file in files)

    def keys_near(self, first_ns: int, last_ns: int) -> pl.DataFrame | None:
        """Key, order and identity columns of published rows within the key's window of an event-time span (ns)."""
        key = self._contract.key
        table = self._lake.table(namespace(self._contract), "curated") if key is not None else None
        if key is None or table is None:
            return None
        reach = key.window_days * NS_PER_DAY
        names = dict.fromkeys([*key.columns, *key.keep_first_by, self._contract.event_time.name, "_batch", "_row"])
        since, until = (first_ns - reach) // 1000, (last_ns + reach) // 1000 + 1
        rows = read_curated(table, list(names), since_us=since, until_us=until)
        return self._without_replaced(rows) if rows.height else None


def _derivations(lake: Lake, digest: str) -> list[tuple[object, ...]] | None:
    """Those of a kept contract; None where it is not kept, or no longer a contract (a rule's plug-in is gone)."""
    try:
        contract = contract_of(lake, digest)
    except ContractError:
        return None
    return None if contract is None else _derivations_of(contract)


def _derivations_of(contract: Contract) -> list[tuple[object, ...]]:
    """All that decides what the derived tables hold, given the curated rows."""
    roles = [(column.name, column.role) for column in contract.columns if column.role is not None]
    return [(one, derived_spec(contract, one).schema, contract.partitioning.sort, roles) for one in contract.derived]

"""Rows and files that the lake holds already, as a run needs them: for duplicates, derived tables and replacement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.errors import ContractError
from tapehouse.kernel.timestamps import NS_PER_DAY
from tapehouse.lake.home import Lake
from tapehouse.lake.place import Place
from tapehouse.lake.read import read_curated
from tapehouse.lake.spec import TableSpec
from tapehouse.runs.contracts import contract_of
from tapehouse.runs.read import house_table, read_files
from tapehouse.runs.tables import RUNS, curated_spec, derived_spec, namespace


@dataclass(frozen=True, slots=True)
class Before:
    """What the lake holds of one partition, by name of the contract's table; can be sent to another process. `rewrite`
    says that rows of `replaced` batches are among them, so that the partition has to be written anew.
    """

    files: Mapping[str, tuple[Path, ...]]
    replaced: frozenset[str]
    rewrite: bool

    def of(self, spec: TableSpec) -> tuple[Path, ...]:
        """Data files of one table."""
        return self.files.get(spec.name, ())

    def rows(self, contract: Contract, place: Place) -> pl.DataFrame | None:
        """Curated rows in canonical form, with metadata, without rows of replaced batches; None when there are none."""
        spec = curated_spec(contract)
        files = self.of(spec)
        return without_replaced(read_files(place.fetch(files), spec.schema), self.replaced) if files else None


def without_replaced(rows: pl.DataFrame, replaced: frozenset[str]) -> pl.DataFrame:
    """Rows of the other batches."""
    return rows.filter(~pl.col("_batch").is_in(list(replaced))) if replaced else rows


class PublishedRows:
    """The curated table of one contract as of now. `replaced` are batches that the run supersedes: their rows count as
    gone, and the partitions that hold them are rewritten. Partitions are named by label.
    """

    def __init__(self, lake: Lake, contract: Contract, replaced: frozenset[str] = frozenset()) -> None:
        self._lake = lake
        self._contract = contract
        self._replaced = replaced
        self._tables: dict[str, Mapping[str, tuple[Path, ...]]] = {}

    def _files(self, name: str) -> Mapping[str, tuple[Path, ...]]:
        """Data files of a table of the contract, by label of the partition."""
        if name not in self._tables:
            table = self._lake.table(namespace(self._contract), name)
            found: dict[str, list[Path]] = {}
            for file in table.files() if table is not None else []:
                found.setdefault(file.partition.label, []).append(file.path)
            self._tables[name] = {label: tuple(paths) for label, paths in found.items()}
        return self._tables[name]

    def before(self, label: str) -> Before:
        """What the lake holds of one partition."""
        specs = [curated_spec(self._contract), *(derived_spec(self._contract, one) for one in self._contract.derived)]
        files = {spec.name: self._files(spec.name).get(label, ()) for spec in specs}
        return Before(files, self._replaced, label in self.rewritten)

    @cached_property
    def rewritten(self) -> frozenset[str]:
        """Labels of the partitions that hold rows of replaced batches."""
        if not self._replaced:
            return frozenset()
        return frozenset(
            label
            for label, paths in self._files("curated").items()
            if any(
                pl.read_parquet(self._lake.place.fetch([path])[0], columns=["_batch"])
                .to_series()
                .is_in(list(self._replaced))
                .any()
                for path in paths
            )
        )

    @cached_property
    def underived(self) -> frozenset[str]:
        """Labels of the partitions whose derived rows are not what the contract asks for: all, when the latest run went
        by a contract with other derived tables or columns; else none.
        """
        files = self._files("curated") if self._contract.derived else {}
        if not files:
            return frozenset()
        runs = house_table(self._lake, RUNS).filter(contract=self._contract.name, status="published")
        latest = runs.sort("started_at", "run_id").get_column("contract_digest").to_list()[-1:]
        if latest == [self._contract.digest]:
            return frozenset()
        if latest and _derivations(self._lake, latest[0]) == _derivations_of(self._contract):
            return frozenset()
        return frozenset(files)

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
        return without_replaced(rows, self._replaced) if rows.height else None


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

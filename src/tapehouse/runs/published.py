"""Rows and files that the lake holds already, as a run needs them: for duplicates, derived tables and replacement."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.kernel.timestamps import NS_PER_DAY
from tapehouse.lake.home import Lake
from tapehouse.lake.read import read_curated
from tapehouse.lake.spec import TableSpec
from tapehouse.lake.table import File
from tapehouse.runs.read import read_files
from tapehouse.runs.tables import curated_spec, namespace


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

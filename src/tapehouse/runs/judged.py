"""Curated rows with the contract they were judged under: a fingerprint covers the columns which that contract had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.runs.read import house_table, read_files
from tapehouse.runs.tables import RUNS, curated_spec


def run_contracts(lake: Lake, contract: str) -> pl.DataFrame:
    """Contract digest of each run of a contract's name, by the knowledge time that its rows carry."""
    mine = house_table(lake, RUNS).filter(pl.col("contract") == contract)
    return mine.select(pl.col("started_at").alias("_knowledge_time"), "contract_digest").unique("_knowledge_time")


def judged_rows(
    path: Path, runs: pl.DataFrame, contract: Callable[[str], Contract | None], latest: str
) -> Iterator[tuple[Contract, pl.DataFrame]]:
    """Rows of one curated data file, parted by contract; `runs` are those of `run_contracts`.

    `contract` finds a contract by digest; rows of one it does not find are left out. Rows that no run names count as
    those of contract `latest`.
    """
    times = pl.read_parquet(path, columns=["_knowledge_time"]).unique()
    named = times.join(runs, on="_knowledge_time", how="left").with_columns(pl.col("contract_digest").fill_null(latest))
    for (digest,), group in named.group_by("contract_digest"):
        made = contract(str(digest))
        if made is not None:
            yield made, read_files([path], curated_spec(made).schema).join(group, on="_knowledge_time", how="semi")

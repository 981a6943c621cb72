"""What the lake knows of batches: which it holds under a contract, and what became of their rows."""

from __future__ import annotations

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.runs.read import house_table
from tapehouse.runs.tables import BATCHES


def batches_of(lake: Lake, contract_name: str) -> pl.DataFrame:
    """Rows of table `batches` for one contract, oldest first."""
    rows = house_table(lake, BATCHES)
    return rows.filter(pl.col("contract") == contract_name).sort("knowledge_time", "run_id", "digest")


def known_digests(lake: Lake, contract: Contract) -> set[str]:
    """Digests of batches already published under the contract's name, whatever its version."""
    return set(batches_of(lake, contract.name).get_column("digest"))

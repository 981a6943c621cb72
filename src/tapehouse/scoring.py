"""What a lake found in generated files, in the form that `synthetic.score` compares with their truth."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.lake.read import scan
from tapehouse.runs.batches import batches_of
from tapehouse.runs.quarantined import quarantined
from tapehouse.runs.tables import namespace_of
from tapehouse.synthetic.score import findings

DUPLICATE = "duplicate"


def found_in(lake: Lake, contract: Contract, folder: Path) -> pl.DataFrame:
    """Findings (`file`, `row`, `code`) of the contract's batches that came from `folder`; of all where none did.

    Reasons of quarantined rows, flags of curated ones, and duplicates under the code `duplicate`.
    """
    origins = _origins(lake, contract, folder)
    parts = [
        _located(quarantined(lake, contract.name, every=True).select("_batch", "_row", code="reasons"), origins),
        _located(_duplicates(lake, contract), origins),
        _located(_flagged(lake, contract), origins),
    ]
    return pl.concat([findings(part, file="file", row="_row", codes="code") for part in parts])


def _origins(lake: Lake, contract: Contract, folder: Path) -> pl.LazyFrame:
    batches = batches_of(lake, contract.name).unique("digest", keep="last")
    here = folder.resolve()
    mine = [Path(origin).resolve().parent == here for origin in batches.get_column("origin")]
    chosen = batches.filter(pl.Series(mine, dtype=pl.Boolean)) if any(mine) else batches
    return chosen.lazy().select(_batch="digest", file="origin")


def _located(rows: pl.LazyFrame, origins: pl.LazyFrame) -> pl.DataFrame:
    return rows.join(origins, on="_batch").select("file", "_row", "code").collect()


def _duplicates(lake: Lake, contract: Contract) -> pl.LazyFrame:
    table = lake.table(namespace_of(contract.name), "duplicates")
    if table is None:
        return pl.LazyFrame(schema={"_batch": pl.String, "_row": pl.Int64, "code": pl.String})
    return scan(table, ["_batch", "_row"]).with_columns(code=pl.lit(DUPLICATE))


def _flagged(lake: Lake, contract: Contract) -> pl.LazyFrame:
    """Broken warning rules of curated rows: bit i of `_flags` is rule i of the contract."""
    table = lake.table(namespace_of(contract.name), "curated")
    if table is None:
        return pl.LazyFrame(schema={"_batch": pl.String, "_row": pl.Int64, "code": pl.String})
    rows = scan(table, ["_batch", "_row", "_flags"]).filter(pl.col("_flags") != 0)
    bits = [
        rows.filter(pl.col("_flags") & (1 << index) != 0).select("_batch", "_row", code=pl.lit(rule.code))
        for index, rule in enumerate(contract.rules)
        if index < 63
    ]
    return pl.concat(bits) if bits else rows.select("_batch", "_row", code=pl.lit(""))

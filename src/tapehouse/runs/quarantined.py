"""Looking at quarantine: what is open, why, the original bytes; taking it out as a file; closing it by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tapehouse.errors import UsageError
from tapehouse.jsonable import json_form
from tapehouse.lake.files import stage_rows
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import publish, recover
from tapehouse.lake.read import scan
from tapehouse.runs.accounts import accounts
from tapehouse.runs.context import new_run_id
from tapehouse.runs.read import house_table
from tapehouse.runs.records import mark_rows
from tapehouse.runs.tables import MARKS, QUARANTINE_SCHEMA, namespace_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class QuarantineList:
    """Quarantined records: `groups` counts records by rule code (a record with two reasons counts under both), `rows`
    holds at most the number asked for, `total` how many there are.
    """

    total: int
    groups: Mapping[str, int]
    rows: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """JSON form; bytes as text where they are UTF-8, else as `{"base64": ...}`."""
        return {"total": self.total, "groups": dict(self.groups), "rows": [plain(row) for row in self.rows.to_dicts()]}

    def to_polars(self) -> pl.DataFrame:
        """The rows."""
        return self.rows

    def to_arrow(self) -> pa.Table:
        """The rows."""
        return self.rows.to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """The rows; needs pandas installed."""
        return self.rows.to_pandas()


def quarantined(lake: Lake, contract: str, *, every: bool = False) -> pl.LazyFrame:
    """Quarantine rows that the present account counts, with `mark` (null while open); `every` keeps closed ones too."""
    table = lake.table(namespace_of(contract), "quarantine")
    known = list(accounts(lake, contract))
    if not known:
        names = ", ".join(sorted({account.contract for account in accounts(lake)}))
        raise UsageError(f"the lake holds no batches of contract {contract!r}", fix=f"it holds: {names or 'none'}")
    if table is None:
        return pl.LazyFrame(schema={**pl.Schema(QUARANTINE_SCHEMA), "mark": pl.String(), "why": pl.String()})
    runs = [(account.digest, run_id) for account in known for run_id in account.run_ids]
    valid = pl.LazyFrame(runs, schema={"_batch": pl.String, "_run_id": pl.String}, orient="row")
    # Run ids sort by time: a mark older than the batch's latest full run was made on rows that run superseded.
    since = pl.LazyFrame({"batch": [one.digest for one in known], "full": [one.run_ids[0] for one in known]})
    marks = (
        house_table(lake, MARKS)
        .lazy()
        .filter(pl.col("contract") == contract)
        .join(since, on="batch")
        .filter(pl.col("run_id") > pl.col("full"))
        .sort("at")
        .group_by("batch", "row", maintain_order=True)
        .agg(pl.col("mark").last(), pl.col("why").last())
        .rename({"batch": "_batch", "row": "_row"})
    )
    rows = scan(table).join(valid, on=["_batch", "_run_id"], how="semi").join(marks, on=["_batch", "_row"], how="left")
    return rows if every else rows.filter(pl.col("mark").is_null())


def select(rows: pl.LazyFrame, *, rule: str | None = None, batch: str | None = None) -> pl.LazyFrame:
    """Rows with a reason of that code, of batches whose digest starts with `batch`."""
    if rule is not None:
        codes = pl.col("reasons").list.eval(pl.element().struct.field("code"))
        rows = rows.filter(codes.list.contains(rule))
    return rows if batch is None else rows.filter(pl.col("_batch").str.starts_with(batch))


def list_quarantine(
    lake: Lake,
    contract: str,
    *,
    rule: str | None = None,
    batch: str | None = None,
    every: bool = False,
    limit: int = 100,
) -> QuarantineList:
    """Open quarantine of a contract (with `every`, closed records too), by batch and record number."""
    chosen = select(quarantined(lake, contract, every=every), rule=rule, batch=batch).collect()
    codes = chosen.select(pl.col("reasons").list.eval(pl.element().struct.field("code")).explode().alias("code"))
    groups = codes.drop_nulls().group_by("code").len().sort("len", "code", descending=[True, False])
    return QuarantineList(chosen.height, dict(groups.iter_rows()), chosen.sort("_batch", "_row").head(limit))


def show_quarantined(lake: Lake, contract: str, batch: str, row: int) -> dict[str, Any]:
    """One quarantined record, open or closed, as JSON values. Raises UsageError when there is none."""
    found = select(quarantined(lake, contract, every=True), batch=batch).filter(pl.col("_row") == row).collect()
    if not found.height:
        raise UsageError(
            f"record {row} of batch {batch} is not in quarantine", fix="see `tapehouse quarantine list` for what is"
        )
    return plain(found.row(0, named=True))


def export_quarantine(
    lake: Lake, contract: str, path: Path, *, rule: str | None = None, batch: str | None = None
) -> int:
    """Write open quarantine to `path` (.parquet, .ndjson, .csv by its suffix; `.raw` the original records alone).

    Returns the number of records written.
    """
    rows = select(quarantined(lake, contract), rule=rule, batch=batch).collect().sort("_batch", "_row")
    text = pl.col("_raw").map_elements(readable, return_dtype=pl.String)
    codes = pl.col("reasons").list.eval(pl.element().struct.field("code")).list.join(" ")
    if path.suffix == ".parquet":
        rows.write_parquet(path)
    elif path.suffix == ".ndjson":
        rows.with_columns(text).write_ndjson(path)
    elif path.suffix == ".csv":
        rows.with_columns(text, codes.alias("reasons")).write_csv(path)
    elif path.suffix == ".raw":
        path.write_bytes(b"".join(raw + b"\n" for raw in rows.get_column("_raw")))
    else:
        raise UsageError(f"cannot export to {path.name!r}", fix="use a suffix: .parquet, .ndjson, .csv or .raw")
    return rows.height


def discard(lake: Lake, contract: str, batch: str, rows: Iterable[int], why: str) -> int:
    """Close open quarantined records by hand, with a reason. They stay in the lake, marked, and no replay takes
    them; a backfill judges their whole batch anew, and them with it. Returns how many.

    Raises UsageError without a reason.
    """
    if not why.strip():
        raise UsageError("a discard needs a reason", fix="say why these records will never be curated")
    at = dt.datetime.now(dt.UTC)
    with lake.lock():
        recover(lake)
        chosen = select(quarantined(lake, contract), batch=batch).filter(pl.col("_row").is_in(list(rows))).collect()
        if not chosen.height:
            return 0
        run_id = new_run_id(at)
        marks = mark_rows(contract, run_id, at, chosen, DISCARDED, why)
        with lake.staging(run_id):
            publish(lake, run_id, [stage_rows(lake, MARKS, marks, run_id)], {"tapehouse.contract": contract})
        return chosen.height


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with values JSON can hold."""
    return {name: json_form(value) if isinstance(value, bytes | dt.datetime) else value for name, value in row.items()}


def readable(raw: bytes) -> str:
    """Bytes as text for a column of texts, with what is not UTF-8 escaped."""
    return raw.decode("utf-8", errors="backslashreplace")

"""Retention of what was refused: closed quarantine in the lake, and the records of stopped runs beside it."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.runs.accounts import LEAVING
from tapehouse.runs.quarantined import quarantined
from tapehouse.runs.tables import namespace


@dataclass(frozen=True, slots=True)
class ClosedQuarantine:
    """Data files of quarantine that may go, and how many records in them each batch's account still counts."""

    files: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)


def old_quarantine(lake: Lake, contract: Contract, now: dt.datetime) -> ClosedQuarantine:
    """Quarantine files of days before the retention limit that hold no open record.

    A record that left quarantine by replay is counted where it went; one that was discarded is counted here.
    """
    days = contract.retention.quarantine_days
    table = lake.table(namespace(contract), "quarantine")
    if days is None or table is None:
        return ClosedQuarantine()
    limit = now - dt.timedelta(days=days)
    old = [file for file in table.files() if file.partition.end is not None and file.partition.end <= limit]
    if not old:
        return ClosedQuarantine()
    marks = quarantined(lake, contract.name, every=True).select("_batch", "_row", "_run_id", "mark").collect()
    files, counted = list[str](), dict[str, int]()
    for file in old:
        rows = pl.read_parquet(lake.place.fetch([file.path])[0], columns=["_batch", "_row", "_run_id"])
        held = rows.join(marks, on=["_batch", "_row", "_run_id"], how="inner")
        if held.get_column("mark").null_count():
            continue
        files.append(str(file.path))
        staying = held.filter(~pl.col("mark").is_in(list(LEAVING)))
        for batch, count in staying.group_by("_batch").len().iter_rows():
            counted[batch] = counted.get(batch, 0) + count
    return ClosedQuarantine(tuple(files), counted)


def remove_stopped(lake: Lake, contract: Contract, now: dt.datetime) -> int:
    """Remove what the contract's stopped runs left to be looked at, once it is as old as quarantine may be; returns how
    many runs.
    """
    days = contract.retention.quarantine_days
    if days is None:
        return 0
    limit = f"{now - dt.timedelta(days=days):%Y%m%dT%H%M%S%fZ}"
    files: dict[Path, list[Path]] = {}
    for kept in lake.place.files(lake.stopped):
        files.setdefault(lake.stopped / kept.path.relative_to(lake.stopped).parts[0], []).append(kept.path)
    found = [folder for folder in files if folder.name < limit]  # run ids begin with their time
    old = [folder for folder in found if _contract_of(lake, folder) == contract.name]
    for folder in old:
        lake.place.remove(files[folder])
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)


def _contract_of(lake: Lake, folder: Path) -> str:
    try:
        return str(json.loads(lake.place.fetch([folder / "run.json"])[0].read_bytes())["contract"])
    except (OSError, ValueError, KeyError):
        return ""

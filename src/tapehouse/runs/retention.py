"""Retention: takes rows out of the lake when the contract's time for them is over, and keeps the books.

Whatever is taken out is recorded with its count, sums and fingerprint, so that a batch's account still closes. The
partitions of open quarantined records stay, as does whatever else a replay of them needs; a record without an event
time keeps the partitions that its batch's accepted rows span, or all where there are none.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.kernel.fingerprint import Tally, batch_salt, tally_by_batch
from tapehouse.kernel.order import partition_ids, partition_label
from tapehouse.lake.files import stage_rows
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import publish, recover
from tapehouse.lake.spec import Staged
from tapehouse.lake.table import File
from tapehouse.runs.accounts import BatchAccount, accounts
from tapehouse.runs.batches import batches_of
from tapehouse.runs.context import new_run_id
from tapehouse.runs.contracts import contract_of
from tapehouse.runs.judged import judged_rows, run_contracts
from tapehouse.runs.proof import tally_dict
from tapehouse.runs.quarantined import quarantined
from tapehouse.runs.read import house_table
from tapehouse.runs.records import rows_of
from tapehouse.runs.retention_quarantine import old_quarantine, remove_stopped
from tapehouse.runs.tables import EXPIRED, LINEAGE, curated_spec, derived_spec, namespace, quarantine_spec


@dataclass(frozen=True, slots=True)
class RetentionResult:
    """`expired` are the labels of partitions taken out, `protected` those old enough that open quarantine keeps."""

    expired: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    rows: int = 0
    quarantine_rows: int = 0
    raw_batches: int = 0
    lineage_rows: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "expired": list(self.expired),
            "protected": list(self.protected),
            "rows": self.rows,
            "quarantine_rows": self.quarantine_rows,
            "raw_batches": self.raw_batches,
            "lineage_rows": self.lineage_rows,
        }


def apply_retention(lake: Lake, contract: Contract, *, now: dt.datetime | None = None) -> RetentionResult:
    """Take out what is older than the contract's retention; one run, visible at once. Earlier snapshots still hold the
    rows until they are expired too.
    """
    moment = now if now is not None else dt.datetime.now(dt.UTC)
    with lake.lock():
        recover(lake)
        run_id = new_run_id(dt.datetime.now(dt.UTC))
        with lake.staging(run_id):
            known = list(accounts(lake, contract.name))
            old = _old_partitions(lake, contract, moment)
            protected = _protected(lake, contract, old) if known else frozenset[str]()
            gone = {label: files for label, files in old.items() if label not in protected}
            removed = _tallies(lake, contract, gone)
            closed = old_quarantine(lake, contract, moment)
            raw = _old_batches(lake, contract, known, moment)
            books = _books(contract, run_id, moment, removed, closed.rows, raw)
            lineage, dropped = _lineage(lake, run_id, moment)
            removals = [*_removals(lake, contract, gone), Staged(quarantine_spec(contract), (), closed.files)]
            staged = [*removals, stage_rows(lake, EXPIRED, books, run_id), *lineage]
            staged = [part for part in staged if part.add or part.remove]
            if staged:
                publish(lake, run_id, staged, {"tapehouse.contract": contract.name, "tapehouse.operation": "retention"})
        _remove_raw(lake, contract, {*raw, *(account.digest for account in known if "raw" in account.expired)})
        remove_stopped(lake, contract, moment)
    rows = sum(tally.rows for tallies in removed.values() for tally in tallies.values())
    kept = tuple(label for label in old if label in protected)
    return RetentionResult(tuple(sorted(gone)), kept, rows, sum(closed.rows.values()), len(raw), dropped)


def _remove_raw(lake: Lake, contract: Contract, digests: Iterable[str]) -> None:
    """Remove landed bytes that are booked as gone, but not what another contract of the lake still accounts for.

    Also those booked earlier: a process may have died between booking and removing.
    """
    held = {one.digest for one in accounts(lake) if one.contract != contract.name and "raw" not in one.expired}
    lake.raw.remove(set(digests) - held)


def _old_partitions(lake: Lake, contract: Contract, now: dt.datetime) -> dict[str, list[File]]:
    """Curated partitions that ended before the retention limit, by label."""
    days = contract.retention.curated_days
    table = lake.table(namespace(contract), "curated")
    out: dict[str, list[File]] = {}
    if days is None or table is None:
        return out
    for file in table.files():
        if file.partition.end is not None and file.partition.end <= now - dt.timedelta(days=days):
            out.setdefault(file.partition.label, []).append(file)
    return out


def _protected(lake: Lake, contract: Contract, old: Iterable[str]) -> frozenset[str]:
    """Partitions of open quarantined records; one without event time protects its batch's span, or all of `old`."""
    rows = quarantined(lake, contract.name).select("_batch", "_event_time").collect()
    times = rows.get_column("_event_time").drop_nulls().cast(pl.Int64) * 1000
    ids = set(partition_ids(contract, times))
    unknown = set(rows.filter(pl.col("_event_time").is_null()).get_column("_batch"))
    spans = batches_of(lake, contract.name).filter(pl.col("digest").is_in(list(unknown))).drop_nulls("first_event")
    if unknown - set(spans.get_column("digest")):
        return frozenset(old)
    for first, last in spans.select("first_event", "last_event").iter_rows():
        low, high = (int(moment.timestamp()) * 1_000_000_000 for moment in (first, last))
        bounds = partition_ids(contract, pl.Series([low, high], dtype=pl.Int64))
        ids.update(range(int(bounds[0]), int(bounds[1]) + 1))
    return frozenset(partition_label(contract.partitioning.by, int(value)) for value in ids)


def _tallies(lake: Lake, contract: Contract, gone: Mapping[str, Iterable[File]]) -> dict[str, dict[str, Tally]]:
    """What each partition holds, by batch digest, as the proofs counted it."""
    runs = run_contracts(lake, contract.name)

    def known(digest: str) -> Contract:
        return contract_of(lake, digest) or contract

    out: dict[str, dict[str, Tally]] = {}
    for label, files in gone.items():
        held = out.setdefault(label, {})
        for made, rows in (
            part
            for file in files
            for part in judged_rows(lake.place.fetch([file.path])[0], runs, known, contract.digest)
        ):
            digests = rows.get_column("_batch").cast(pl.String)
            names = digests.unique(maintain_order=True).to_list()
            numbers = {name: index for index, name in enumerate(names)}
            ordinals = digests.replace_strict(numbers, return_dtype=pl.UInt32).alias("_batch")
            salts = np.array([batch_salt(name) for name in names], np.uint64)
            for index, tally in tally_by_batch(rows.with_columns(ordinals), made.columns, salts).items():
                held[names[index]] = held.get(names[index], Tally()) + tally
    return out


def _old_batches(lake: Lake, contract: Contract, known: list[BatchAccount], now: dt.datetime) -> list[str]:
    """Batches whose landed bytes may go: old enough, and nothing of them waits in quarantine."""
    days = contract.retention.raw_days
    if days is None:
        return []
    newest = dict(batches_of(lake, contract.name).group_by("digest").agg(pl.col("knowledge_time").max()).iter_rows())
    waiting = set(quarantined(lake, contract.name).select("_batch").collect().to_series()) if known else set[str]()
    limit = now - dt.timedelta(days=days)
    return [
        account.digest
        for account in known
        if newest[account.digest] < limit and account.digest not in waiting and "raw" not in account.expired
    ]


def _books(
    contract: Contract,
    run_id: str,
    now: dt.datetime,
    removed: Mapping[str, Mapping[str, Tally]],
    quarantine: Mapping[str, int],
    raw: list[str],
) -> pl.DataFrame:
    shared = {"contract": contract.name, "run_id": run_id, "at": now}
    rows = [
        {**shared, "place": "curated", "partition": label, "batch": batch, "tally": json.dumps(tally_dict(tally))}
        for label, tallies in removed.items()
        for batch, tally in tallies.items()
    ]
    rows += [
        {
            **shared,
            "place": "quarantined",
            "partition": "",
            "batch": batch,
            "tally": json.dumps(tally_dict(Tally(count))),
        }
        for batch, count in quarantine.items()
    ]
    empty = json.dumps(tally_dict(Tally()))
    rows += [{**shared, "place": "raw", "partition": "", "batch": digest, "tally": empty} for digest in raw]
    return rows_of(EXPIRED.schema, rows)


def _removals(lake: Lake, contract: Contract, gone: Mapping[str, Iterable[File]]) -> list[Staged]:
    specs = [curated_spec(contract), *(derived_spec(contract, derivation) for derivation in contract.derived)]
    out = []
    for spec in specs:
        table = lake.table(spec.namespace, spec.name)
        files = [] if table is None else [file for file in table.files() if file.partition.label in gone]
        out.append(Staged(spec, (), tuple(str(file.path) for file in files)))
    return out


def _lineage(lake: Lake, run_id: str, now: dt.datetime) -> tuple[list[Staged], int]:
    """The lineage table without rows past their time to live."""
    table = lake.table(LINEAGE.namespace, LINEAGE.name)
    rows = house_table(lake, LINEAGE)
    kept = rows.filter(pl.col("expires_at").is_null() | (pl.col("expires_at") > now))
    if table is None or kept.height == rows.height:
        return [], 0
    written = stage_rows(lake, LINEAGE, kept, run_id)
    return [Staged(LINEAGE, written.add, tuple(str(file.path) for file in table.files()))], rows.height - kept.height

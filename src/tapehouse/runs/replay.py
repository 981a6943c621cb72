"""`replay` and `backfill`: judging landed batches again, after the contract or its reference data was mended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.engines.embedded import Selection
from tapehouse.errors import LakeError, UsageError
from tapehouse.feeds.base import BatchSource
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import recover
from tapehouse.lake.read import scan
from tapehouse.runs.accounts import BatchAccount, accounts
from tapehouse.runs.batches import batches_of
from tapehouse.runs.context import Progress, Silence
from tapehouse.runs.engine import Embedded, Engine
from tapehouse.runs.execute import Intake, execute
from tapehouse.runs.quarantined import list_quarantine, quarantined, select
from tapehouse.runs.result import RunResult
from tapehouse.runs.tables import namespace


def replay(
    contract: Contract,
    *,
    lake: Lake,
    references: Mapping[str, Path] | None = None,
    rules: Sequence[str] = (),
    batches: Sequence[str] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Judge open quarantined records again, in the surroundings of their batch, and curate those that now pass (I6).

    `rules` restricts to records with one of these reasons, `batches` to digests with one of these prefixes. Records
    that still fail stay in quarantine as they are. Replaying again changes nothing: what passed is no longer open.
    With `dry_run` nothing is published and the result says what would be. Other writers of the lake wait meanwhile:
    what is selected must still be open when it is published.
    """
    watch = progress if progress is not None else Silence()
    lake.warm()
    with lake.lock(waiting=lambda: watch.stage("wait")):
        recover(lake)
        _check_known(lake, contract, rules, batches)
        only = _selection(quarantined(lake, contract.name), rules, batches)
        known = {account.digest: account for account in accounts(lake, contract.name)}
        sources = [_source(lake, known[digest]) for digest in only]
        intake = Intake("replay", sources, only=only, dry_run=dry_run)
        return execute(contract, lake, intake, references or {}, watch, Embedded())


def _selection(rows: pl.LazyFrame, rules: Sequence[str], batches: Sequence[str]) -> Selection:
    """Record numbers by batch digest of quarantined rows with one of the rules and batches (all, where none)."""
    chosen = pl.concat(
        [
            select(rows, rule=rule, batch=batch).select("_batch", "_row")
            for rule in (rules or (None,))
            for batch in (batches or (None,))
        ]
    )
    found = chosen.unique().sort("_batch", "_row").collect()
    return {str(digest): group["_row"].to_numpy() for (digest,), group in found.group_by("_batch", maintain_order=True)}


def backfill(
    contract: Contract,
    *,
    lake: Lake,
    references: Mapping[str, Path] | None = None,
    batches: Sequence[str] = (),
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> RunResult:
    """Judge whole landed batches again under `contract` and replace what they gave before, in one run.

    All batches of the contract's name unless `batches` (digest prefixes) or a span of event time [since, until), with
    time zone, restricts them; batches with records that were dropped as copies of theirs are judged again too, as the
    copy may be all that is left. Rows of other batches in the touched partitions are kept as they are. Batches whose
    landed bytes retention removed are left out; rows that it removed of the others come back. Other writers of the lake
    wait meanwhile. Raises UsageError when nothing is selected.
    """
    watch = progress if progress is not None else Silence()
    lake.warm()
    with lake.lock(waiting=lambda: watch.stage("wait")):
        recover(lake)
        chosen = _chosen(lake, contract, batches, since, until)
        if not chosen:
            raise UsageError(
                "no landed batch of that contract is selected", fix="see `tapehouse runs list` for what landed"
            )
        intake = Intake(
            "backfill",
            [_source(lake, account) for account in chosen],
            replaced=frozenset(account.digest for account in chosen),
            dry_run=dry_run,
        )
        return execute(contract, lake, intake, references or {}, watch, engine or Embedded())


def _check_known(lake: Lake, contract: Contract, rules: Sequence[str], batches: Sequence[str]) -> None:
    """A typing error must not look like a replay that had nothing to do."""
    codes = {rule.code for rule in contract.rules}
    if rules:
        codes |= set(list_quarantine(lake, contract.name, every=True, limit=0).groups)
    for rule in rules:
        if rule not in codes:
            raise UsageError(
                f"no rule {rule!r} in the contract or in quarantine", fix=f"one of: {', '.join(sorted(codes))}"
            )
    digests = [account.digest for account in accounts(lake, contract.name)] if batches else []
    for prefix in batches:
        if not _starting(digests, [prefix]):
            raise UsageError(
                f"no batch of contract {contract.name!r} begins with {prefix!r}", fix="see `tapehouse runs show`"
            )


def _source(lake: Lake, account: BatchAccount) -> BatchSource:
    size = lake.raw.size(account.digest)
    if size is None:
        raise LakeError(
            f"the landed bytes of batch {account.digest[:12]} ({account.origin}) are gone",
            fix="choose other batches with --batch, or deliver the file again",
        )
    return BatchSource(lake.raw.path(account.digest), account.digest, account.origin, size)


def _chosen(
    lake: Lake, contract: Contract, prefixes: Sequence[str], since: dt.datetime | None, until: dt.datetime | None
) -> list[BatchAccount]:
    for moment in (since, until):
        if moment is not None and (not isinstance(moment, dt.datetime) or moment.tzinfo is None):
            raise UsageError(f"{moment!r} is no time with a zone", fix="give a datetime with tzinfo, such as UTC")
    spans = batches_of(lake, contract.name).unique("digest", keep="last")
    if since is not None:
        spans = spans.filter(pl.col("last_event") >= since)
    if until is not None:
        spans = spans.filter(pl.col("first_event") < until)
    digests = set(_starting(spans.get_column("digest"), prefixes))
    known = [account for account in accounts(lake, contract.name) if "raw" not in account.expired]
    digests = _with_copies(lake, contract, known, digests)
    return [account for account in known if account.digest in digests]


def _with_copies(lake: Lake, contract: Contract, known: Sequence[BatchAccount], digests: set[str]) -> set[str]:
    """`digests` and, step by step, those of batches with a record that was dropped for one of theirs."""
    table = lake.table(namespace(contract), "duplicates")
    if table is None:
        return digests
    counted = {(account.digest, run_id) for account in known for run_id in account.run_ids}
    pairs = scan(table).select("_kept_batch", "_batch", "_run_id").unique().collect().rows()
    copies = [(kept, batch) for kept, batch, run_id in pairs if (batch, run_id) in counted]
    whole, before = set(digests), 0
    while len(whole) > before:
        before = len(whole)
        whole |= {batch for kept, batch in copies if kept in whole}
    return whole


def _starting(digests: Iterable[str], prefixes: Sequence[str]) -> list[str]:
    return [digest for digest in digests if not prefixes or digest.startswith(tuple(prefixes))]

"""What became of a run and of each of its batches, in the words of the tables and metrics that watch a deployment."""

from __future__ import annotations

import datetime as dt
import os

from tapehouse.contracts.model import Contract
from tapehouse.lake.landing import Arriving
from tapehouse.observe.batch_table import BatchItem
from tapehouse.runs.result import RunResult, Status
from tapehouse.runs.tables import namespace

# Set by the entry point of a job that its service has a name for.
JOB_RUN_ID = "TAPEHOUSE_JOB_RUN_ID"
_STATUS = {Status.PUBLISHED: "published", Status.STOPPED: "stopped"}


def batch_items(contract: Contract, result: RunResult, at: dt.datetime) -> list[BatchItem]:
    """Items of the batches that the run took, and of those that the lake held already."""
    shared = _Shared(contract, at)
    items = [shared.known(digest, origin, size) for digest, (origin, size) in result.known.items()]
    status = _STATUS.get(result.status)
    if status is None:
        return items
    return items + [
        BatchItem(
            shared.dataset,
            batch.digest,
            batch.origin,
            batch.size,
            status,
            at,
            shared.expires_at,
            batch.proof.records,
            dict(batch.rules),
            result.run_id,
            shared.job_run_id,
            sorted(result.snapshots),
        )
        for batch in result.batches
    ]


def failed_items(contract: Contract, arriving: Arriving | None, at: dt.datetime) -> list[BatchItem]:
    """Items of the batches that were to be taken by a run that ended in an error, as far as they are known."""
    shared = _Shared(contract, at)
    return [] if arriving is None else [shared.failed(one.digest, one.origin, one.size) for one in arriving.seen]


class _Shared:
    """What all items of a run have in common."""

    def __init__(self, contract: Contract, at: dt.datetime) -> None:
        days = contract.retention.lineage_days
        self.dataset, self.at = namespace(contract), at
        self.expires_at = None if days is None else int((at + dt.timedelta(days=days)).timestamp())
        self.job_run_id = os.environ.get(JOB_RUN_ID) or None

    def known(self, digest: str, origin: str, size: int) -> BatchItem:
        return BatchItem(self.dataset, digest, origin, size, "published", self.at, self.expires_at)

    def failed(self, digest: str, origin: str, size: int) -> BatchItem:
        status, job = "failed", self.job_run_id
        return BatchItem(self.dataset, digest, origin, size, status, self.at, self.expires_at, job_run_id=job)


def run_metrics(result: RunResult, arriving: Arriving | None, ended: dt.datetime) -> dict[str, float]:
    """Values by name; none for a run that found nothing new. Rows are those of the run's batches; their bytes were
    counted where they landed.

    Freshness is how old the newest event was when its batch landed, latency how long the oldest batch waited from then
    until it was published.
    """
    if result.status not in _STATUS:
        return {}
    counts = result.proof.counts
    rejected, published = counts.get("quarantined", 0), result.status == Status.PUBLISHED
    valid = result.rows_in - rejected
    out: dict[str, float] = {
        "RowsIn": result.rows_in,
        "RowsValid": valid,
        "RowsRejected": rejected,
        "RowsDuplicate": counts.get("duplicates", 0),
        "RowsCurated": counts.get("curated", 0),
        "RowsQuarantined": rejected if published else 0,
        **_ended(result.status),
    }
    if result.rows_in:
        out["Completeness"] = 100.0 * valid / result.rows_in
    landed = ended.timestamp() - result.seconds if arriving is None else arriving.oldest
    newest = max((batch.last_event for batch in result.batches if batch.last_event is not None), default=None)
    if newest is not None:
        out["FreshnessSeconds"] = landed - newest / 1e9
    if published:
        out["LatencySeconds"] = ended.timestamp() - landed
    return out


def failure_metrics() -> dict[str, float]:
    """Of a run that ended in an error."""
    return _ended(None)


def _ended(status: Status | None) -> dict[str, float]:
    return {
        "RunsPublished": float(status == Status.PUBLISHED),
        "RunsStopped": float(status == Status.STOPPED),
        "RunsFailed": float(status is None),
    }

"""What alerts and metrics files say of a run."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

from tapehouse.contracts.model import Contract
from tapehouse.errors import TapehouseError, UsageError
from tapehouse.lake.publish import PublicationPendingError
from tapehouse.observe.alerts import Alert, AlertLevel
from tapehouse.observe.cloudwatch import SCHEME as CLOUDWATCH
from tapehouse.observe.cloudwatch import CloudWatch
from tapehouse.observe.lineage_run import LineageRun
from tapehouse.observe.metrics_text import RunMetrics
from tapehouse.runs.result import RunResult, Status

ENVIRONMENT = "TAPEHOUSE_ENVIRONMENT"
_METRICS_SUFFIXES = (".prom", ".txt", ".json")


def alert_of(result: RunResult) -> Alert | None:
    """CRITICAL when the run stopped; WARNING when it published although a batch rule of severity warn broke."""
    facts = {"contract": result.contract, "version": result.contract_version, "lake": str(result.lake)}
    if result.status == Status.STOPPED:
        because = list(result.stopped_because)
        counts = {"rows_in": result.rows_in, **result.proof.counts, "rules": dict(result.rules)}
        title = f"{result.kind} of {result.contract} stopped, nothing was published"
        return Alert(AlertLevel.CRITICAL, title, result.run_id, {**facts, "because": because, **counts})
    if result.status == Status.PUBLISHED and result.notes:
        title = f"{result.kind} of {result.contract} published with warnings"
        return Alert(AlertLevel.WARNING, title, result.run_id, {**facts, "warnings": list(result.notes)})
    return None


def failure_alert(contract: Contract, run: LineageRun, error: TapehouseError) -> Alert:
    """CRITICAL: the run ended with an error."""
    facts = {"contract": contract.name, "version": contract.version, "lake": run.lake}
    facts |= {"error": type(error).__name__, "message": error.message, "fix": error.fix}
    pending = isinstance(error, PublicationPendingError)
    what = "is only partly committed: the next writer finishes it" if pending else "failed, nothing was published"
    return Alert(AlertLevel.CRITICAL, f"run of {contract.name} {what}", run.run_id, facts)


def metrics_of(result: RunResult, ended: dt.datetime) -> RunMetrics:
    """A finished run's numbers for a file."""
    return metrics_file(
        result.contract,
        result.seconds,
        ended,
        succeeded=result.status != Status.STOPPED,
        proof_closed=result.proof.closed,
        bytes_in=sum(batch.size for batch in result.batches),
        dispositions={"rows_in": result.rows_in, **result.proof.counts},
        rules={**result.rules, **result.warnings},
    )


def metrics_file(contract: str, seconds: float, ended: dt.datetime, **facts: Any) -> RunMetrics:
    """Numbers for a file, in this environment."""
    return RunMetrics(
        contract=contract,
        environment=os.environ.get(ENVIRONMENT, "dev"),
        seconds=seconds,
        ended_seconds=ended.timestamp(),
        **{"bytes_in": 0, **facts},
    )


def metrics_target(target: str | Path | None) -> tuple[Path | None, CloudWatch | None]:
    """The file or the namespace that a target names. Raises UsageError for one that is not understood."""
    if isinstance(target, str) and target.startswith(CLOUDWATCH):
        return None, CloudWatch.of(target)
    file = None if target is None else Path(target)
    if file is not None and file.suffix not in _METRICS_SUFFIXES:
        raise UsageError(
            f"metrics file {str(file)!r} has no known ending",
            fix=f"end it in {', '.join(_METRICS_SUFFIXES)}, or name cloudwatch:NAMESPACE?..",
        )
    return file, None

"""Telling the world what became of a run: OpenLineage events, alerts, a metrics file.

A wrong target is an error before the run starts. After that telling never fails a run: what could not be told is a
note in the result, and lineage events that an HTTP server did not take wait under the lake for the next run.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from tapehouse.contracts.model import Contract, Grammar, RowRule
from tapehouse.errors import TapehouseError
from tapehouse.lake.home import Lake
from tapehouse.lake.landing import Arriving
from tapehouse.lake.publish import PublicationPendingError
from tapehouse.observe.alerts import Alert, Alerter, sinks_for
from tapehouse.observe.batch_table import SCHEME as BATCH_TABLE
from tapehouse.observe.batch_table import BatchItem, BatchTable
from tapehouse.observe.cloudwatch import CloudWatch
from tapehouse.observe.delivery import Patience
from tapehouse.observe.lineage_run import (
    LineageColumn,
    LineageFailure,
    LineageInput,
    LineageOutput,
    LineageRun,
    RuleCount,
)
from tapehouse.observe.metrics_text import RunMetrics, write_metrics
from tapehouse.observe.openlineage import run_event
from tapehouse.observe.transports import HttpTransport, Transport, Waiting, transport_for
from tapehouse.runs.context import new_run_id
from tapehouse.runs.notices import alert_of, failure_alert, metrics_file, metrics_of, metrics_target
from tapehouse.runs.outcomes import batch_items, failed_items, failure_metrics, run_metrics
from tapehouse.runs.result import RunResult, Status
from tapehouse.runs.tables import arrow_type, curated_spec, namespace

API_KEY = "OPENLINEAGE_API_KEY"
# What a dead listener may cost at the end of a run.
PATIENCE = Patience(attempts=3, timeout_seconds=3.0, total_seconds=8.0)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is to be told of a run; by default nobody."""

    transports: tuple[Transport, ...] = ()
    alerter: Alerter = field(default_factory=lambda: Alerter(()))
    metrics: Path | None = None
    tables: tuple[BatchTable, ...] = ()
    cloudwatch: CloudWatch | None = None

    @classmethod
    def of(
        cls,
        lake: Lake,
        *,
        lineage: Iterable[str] = (),
        alerts: Iterable[str] = (),
        metrics: str | Path | None = None,
        patience: Patience = PATIENCE,
    ) -> Listeners:
        """Listeners for targets as the command line takes them. Raises UsageError for one that is not understood."""
        file, cloudwatch = metrics_target(metrics)
        targets = dict.fromkeys(lineage)
        tables = tuple(BatchTable.of(target) for target in targets if target.startswith(BATCH_TABLE))
        transports = tuple(
            transport_for(target, spool=_spool(lake, target), api_key=os.environ.get(API_KEY), patience=patience)
            for target in targets
            if not target.startswith(BATCH_TABLE)
        )
        return cls(transports, Alerter(sinks_for(alerts, patience=patience)), file, tables, cloudwatch)


def _spool(lake: Lake, target: str) -> Path | Waiting:
    """One queue per server: what one did not take must not go to another."""
    name = f"lineage-{hashlib.sha256(target.encode()).hexdigest()[:12]}"
    if lake.home == lake.root:
        return lake.root / "spool" / f"{name}.ndjson"
    from tapehouse.lake.s3.objects import Objects
    from tapehouse.observe.object_spool import ObjectSpool

    return ObjectSpool(Objects.at(lake.address), f"spool/{name}")


def told(
    contract: Contract,
    lake: Lake,
    listeners: Listeners,
    work: Callable[[], RunResult],
    arriving: Arriving | None = None,
) -> RunResult:
    """Do the work and tell its outcome; the result carries a note for everything that could not be told. `arriving` are
    the inputs, for work that has some.

    Errors of the work are told too and raised again, unchanged.
    """
    started = dt.datetime.now(dt.UTC)
    if arriving is not None and listeners.tables:
        arriving.thorough()
    try:
        result = work()
    except TapehouseError as error:
        tell_failure(contract, lake, listeners, error, started, arriving)
        raise
    return tell(contract, lake, listeners, result, arriving)


def tell(
    contract: Contract, lake: Lake, listeners: Listeners, result: RunResult, arriving: Arriving | None = None
) -> RunResult:
    """Tell a finished run; one that found nothing new is told to nobody but the metrics file and, that the lake holds
    these batches, to tables of batches.
    """
    notes = _deliver_all(_tell(contract, lake, listeners, result, arriving))
    return dataclasses.replace(result, notes=(*result.notes, *notes)) if notes else result


def tell_failure(
    contract: Contract,
    lake: Lake,
    listeners: Listeners,
    error: TapehouseError,
    started: dt.datetime,
    arriving: Arriving | None = None,
) -> list[str]:
    """Tell a run that ended with an error; returns what could not be told."""
    failure = LineageFailure(error.message, type(error).__name__)
    base = _lineage_base(contract, lake, new_run_id(started), started)
    ended = dt.datetime.now(dt.UTC)
    # What is pending will be published, by whoever writes to the lake next.
    items = [] if isinstance(error, PublicationPendingError) else failed_items(contract, arriving, ended)
    run = dataclasses.replace(base, ended=ended, failure=failure)
    warnings = [
        _send_lineage(listeners, run),
        _send_alert(listeners, failure_alert(contract, run, error)),
        _send_to_aws(listeners, contract, items, failure_metrics(), ended),
    ]
    if listeners.metrics is not None:
        seconds = (ended - started).total_seconds()
        metrics = metrics_file(contract.name, seconds, ended, succeeded=False, proof_closed=False)
        warnings.append(_write_metrics(listeners.metrics, metrics))
    return _deliver_all(chain.from_iterable(warnings))


def _tell(
    contract: Contract, lake: Lake, listeners: Listeners, result: RunResult, arriving: Arriving | None
) -> Iterator[str]:
    ended = dt.datetime.now(dt.UTC)
    if listeners.transports and result.status in (Status.PUBLISHED, Status.STOPPED):
        yield from _send_lineage(listeners, _lineage_of(contract, lake, result))
    alert = alert_of(result)
    if alert is not None:
        yield from _send_alert(listeners, alert)
    if listeners.metrics is not None:
        yield from _write_metrics(listeners.metrics, metrics_of(result, ended))
    items, values = batch_items(contract, result, ended), run_metrics(result, arriving, ended)
    yield from _send_to_aws(listeners, contract, items, values, ended)


def _send_to_aws(
    listeners: Listeners,
    contract: Contract,
    items: Sequence[BatchItem],
    values: Mapping[str, float],
    at: dt.datetime,
) -> Iterator[str]:
    for table in listeners.tables:
        yield table.tell(items).warning
    if listeners.cloudwatch is not None and values:
        yield listeners.cloudwatch.tell(namespace(contract), values, at).warning


def _deliver_all(warnings: Iterable[str]) -> list[str]:
    """Warnings of all deliveries, each once; a fault of telling itself is one of them, for the run is over by now."""
    found: dict[str, None] = {}
    try:
        found.update((f"not told: {warning}", None) for warning in warnings if warning)
    except Exception as error:
        found[f"not told: {type(error).__name__}: {error}"] = None
    return list(found)


# ---- lineage -----------------------------------------------------------------------------------------------------


def _send_lineage(listeners: Listeners, run: LineageRun) -> Iterator[str]:
    """START, and COMPLETE or FAIL, to every transport; after a server's first refusal the rest waits in its spool."""
    last = run_event("COMPLETE" if run.failure is None else "FAIL", run)
    # START tells what was known when the run began.
    start = run_event(
        "START", dataclasses.replace(run, failure=None, outputs=(), rules=(), dispositions={}, ended=None)
    )
    for transport in listeners.transports:
        waiting = isinstance(transport, HttpTransport) and transport.resend().kept > 0
        if waiting:
            yield "the lineage server still does not answer; events wait in the lake for the next run"
        for event in (start, last):
            if waiting and isinstance(transport, HttpTransport):
                transport.spool.add(event)
                continue
            delivery = transport.emit(event)
            waiting = delivery.spooled
            yield delivery.warning


def _lineage_of(contract: Contract, lake: Lake, result: RunResult) -> LineageRun:
    started = started_at(result.run_id)
    failure = None
    if result.status == Status.STOPPED:
        failure = LineageFailure("; ".join(result.stopped_because), "Stopped")
    return dataclasses.replace(
        _lineage_base(contract, lake, result.run_id, started),
        ended=started + dt.timedelta(seconds=result.seconds),
        inputs=tuple(
            LineageInput(batch.digest, batch.origin, batch.proof.records, batch.size) for batch in result.batches
        ),
        outputs=tuple(_outputs(contract, lake, result)),
        dispositions={"rows_in": result.rows_in, **result.proof.counts},
        rules=tuple(_rule_counts(contract, result)),
        proof_closed=result.proof.closed,
        failure=failure,
    )


def _lineage_base(contract: Contract, lake: Lake, run_id: str, started: dt.datetime) -> LineageRun:
    return LineageRun(
        run_id=run_id,
        contract_name=contract.name,
        contract_version=contract.version,
        contract_digest=contract.digest,
        lake=lake.address,
        started=started,
        owner=contract.owner,
        description=contract.description,
        columns=tuple(
            LineageColumn(
                column.name,
                str(arrow_type(column)),
                column.source,
                derived=column.grammar != Grammar.TEXT,
                description="" if column.grammar == Grammar.TEXT else f"{column.grammar} to {column.kind}",
            )
            for column in contract.columns
        ),
    )


def started_at(run_id: str) -> dt.datetime:
    """When a run started: its id begins with the instant."""
    return dt.datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=dt.UTC)


def _outputs(contract: Contract, lake: Lake, result: RunResult) -> Iterator[LineageOutput]:
    curated = curated_spec(contract).identifier
    for identifier, snapshot in sorted(result.snapshots.items()):
        table = lake.table(*identifier.split(".", 1))
        infos = [] if table is None else [info for info in table.snapshots() if info.snapshot_id == snapshot]
        yield LineageOutput(identifier, snapshot, infos[0].rows_added if infos else 0, curated=identifier == curated)


def _rule_counts(contract: Contract, result: RunResult) -> Iterator[RuleCount]:
    rules = {rule.code: rule for rule in contract.rules}
    for code, count in {**result.rules, **result.warnings}.items():
        rule = rules.get(code)
        yield RuleCount(
            code,
            count,
            "warn" if code in result.warnings else "reject",
            _only_column(rule),
            rule.description if rule is not None else "",
        )


def _only_column(rule: RowRule | None) -> str:
    return rule.columns[0] if rule is not None and len(rule.columns) == 1 else ""


def _send_alert(listeners: Listeners, alert: Alert) -> Iterator[str]:
    for delivery in listeners.alerter.send(alert):
        yield delivery.warning


def _write_metrics(path: Path, metrics: RunMetrics) -> Iterator[str]:
    try:
        write_metrics(metrics, path)
    except OSError as error:
        yield f"metrics {path}: {error.strerror or error}"

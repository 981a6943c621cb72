"""Dashboards: enough of them, of every component and dataset."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.conformance.metrics import alarms, on_widgets, shown, widgets
from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Stacks
from tapehouse.cloud.conformance.uses import FUNCTION, JOB, QUEUE, STREAM, TABLE

_LEAST = 20
_ELAPSED = "glue.driver.aggregate.elapsedTime"
_FAILED = "glue.driver.aggregate.numFailedTasks"
_INPUT = ("RowsIn", "BytesIn", "IncomingBytes", "IncomingRecords")
_LATENCY = ("LatencySeconds",)
_ERRORS = ("Errors", "RowsRejected", "PoisonRecords", "RunsFailed", "RowsQuarantined")
# One of each must be watched for every dataset.
QUALITY = (("RowsValid",), ("RowsRejected", "RowsQuarantined"), ("Completeness",), ("FreshnessSeconds", "Freshness"))


@check("C13")
def a_dashboard_shows_everything(stacks: Stacks) -> Iterator[str]:
    boards = stacks.of("AWS::CloudWatch::Dashboard")
    yield from absent(boards, "dashboard")
    largest = max((len({(one.metrics, one.expressions) for one in widgets(board)}) for board in boards), default=0)
    if largest < _LEAST:
        yield f"the largest dashboard has {largest} distinct metric widgets, fewer than {_LEAST}"
    names = {metric.name for widget in shown(stacks) for metric in widget.metrics}
    for what, wanted in (("ingestion rate", _INPUT), ("latency to commit", _LATENCY), ("errors", _ERRORS)):
        if not names & set(wanted):
            yield f"no widget shows {what} ({', '.join(wanted)})"
    values = {value for widget in shown(stacks) for metric in widget.metrics for value in metric.values}
    for owner in stacks.of(STREAM, FUNCTION, JOB, QUEUE, TABLE):
        if owner.name not in values:
            yield f"{owner}: no widget shows it"
    for dataset in stacks.facts.datasets:
        if dataset not in values:
            yield f"dataset {dataset}: no widget shows it"


@check("C16")
def jobs_are_shown(stacks: Stacks) -> Iterator[str]:
    yield from absent(stacks.of(JOB), "job")
    for job in stacks.of(JOB):
        for metric in (_ELAPSED, _FAILED):
            if not on_widgets(stacks, metric, job.name):
                yield f"{job}: no widget shows {metric}"
        if not any(
            ("executors" in metric.name.lower() or "worker" in metric.name.lower() or "dpu" in metric.name.lower())
            and job.name in metric.values
            for widget in shown(stacks)
            for metric in widget.metrics
        ):
            yield f"{job}: no widget shows its workers"


@check("C17")
def quality_of_each_dataset_is_watched(stacks: Stacks) -> Iterator[str]:
    names = stacks.facts.datasets
    yield from absent(names, "dataset")
    drawn = {(metric.name, metric.of("Dataset")) for one in shown(stacks) for metric in one.metrics if metric.custom}
    watched = {(metric.name, metric.of("Dataset")) for one in alarms(stacks) for metric in one.metrics if metric.custom}
    for dataset in names:
        for metric in QUALITY:
            if not any((one, dataset) in drawn for one in metric):
                yield f"dataset {dataset}: no widget shows {' or '.join(metric)}"
        if not any((one, dataset) in watched for metric in QUALITY for one in metric):
            yield f"dataset {dataset}: no alarm on its quality"

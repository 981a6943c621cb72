"""Alarms: on what, that each does something, and that every component has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tapehouse.cloud.conformance.event_patterns import fires
from tapehouse.cloud.conformance.metrics import Metric, Watch, alarmed, alarms, on_widgets, shown
from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import (
    CONSUMER,
    FUNCTION,
    JOB,
    MACHINE,
    QUEUE,
    RULE,
    SOURCE,
    STREAM,
    TABLE,
    function_of,
    listed,
    source_of,
    targets,
)

_AGE, _BEHIND = "GetRecords.IteratorAgeMilliseconds", "SubscribeToShardEvent.MillisBehindLatest"
_ELAPSED = "glue.driver.aggregate.elapsedTime"
_INPUT = ("RowsIn", "BytesIn", "IncomingBytes", "IncomingRecords")
_FIRED = ("MatchedEvents", "TriggeredRules", "Invocations")


def _both(stacks: Stacks, owner: Resource, metric: str, value: str) -> Iterator[str]:
    if not on_widgets(stacks, metric, value):
        yield f"{owner}: no widget shows {metric}"
    if not alarmed(stacks, metric, value):
        yield f"{owner}: no alarm on {metric}"


@check("C14")
def how_far_readers_are_behind_is_watched(stacks: Stacks) -> Iterator[str]:
    """Of shared readers the iterator's age, of fan-out ones the milliseconds behind, of functions both ways' age."""
    yield from absent(stacks.of(STREAM), "stream")
    for consumer in stacks.of(CONSUMER):
        yield from _both(stacks, consumer, _BEHIND, consumer.get("ConsumerName", consumer.name))
    for mapping in stacks.of(SOURCE):
        stream, function = source_of(stacks, mapping), function_of(stacks, mapping)
        if stream is None or function is None or stream.type != STREAM:
            continue
        if mapping.get("EventSourceArn") == stream.arn:
            yield from _both(stacks, stream, _AGE, stream.name)
        yield from _both(stacks, function, "IteratorAge", function.name)


@check("C15")
def throttles_of_functions_are_watched(stacks: Stacks) -> Iterator[str]:
    yield from absent(stacks.of(FUNCTION), "function")
    for function in stacks.of(FUNCTION):
        yield from _both(stacks, function, "Throttles", function.name)


def _run_ended(stacks: Stacks, job: Resource, state: str) -> dict[str, Any]:
    """The event that Glue sends, whether or not Spark had started."""
    return {
        "source": "aws.glue",
        "detail-type": "Glue Job State Change",
        "account": stacks.place.account,
        "region": stacks.place.region,
        "detail": {"jobName": job.name, "state": state, "severity": "ERROR", "jobRunId": "jr_1", "message": "any"},
    }


def _state_rules(stacks: Stacks, job: Resource) -> list[Resource]:
    """Rules that fire when a run of the job fails, times out or could not be started, and not when it succeeds."""
    bad = [_run_ended(stacks, job, state) for state in ("FAILED", "TIMEOUT")]
    good = _run_ended(stacks, job, "SUCCEEDED")
    return [one for one in stacks.of(RULE) if all(fires(one, event) for event in bad) and not fires(one, good)]


@check("C18")
def failed_runs_raise_an_alarm(stacks: Stacks) -> Iterator[str]:
    """By the events of the service, which also tell of runs that failed before Spark started."""
    yield from absent(stacks.of(JOB), "job")
    for job in stacks.of(JOB):
        rules = _state_rules(stacks, job)
        if not rules:
            yield f"{job}: no rule on its runs that are FAILED or TIMEOUT"
        elif not any(_fires(stacks, rule) for rule in rules):
            yield f"{job}: no alarm on the rule of its failed runs"
        if rules and not any(targets(rule) for rule in rules):
            yield f"{job}: the rule of its failed runs has no target"


def _fires(stacks: Stacks, rule: Resource) -> bool:
    """By a metric of the rule itself, or of the log group or topic that it sends to."""
    sent = {str(target.get("Arn")).rpartition(":")[2] for target in targets(rule)}
    return any(
        (metric.namespace == "AWS/Events" and metric.name in _FIRED and metric.of("RuleName") == rule.name)
        or (metric.namespace == "AWS/Logs" and metric.of("LogGroupName") in sent)
        for watch in alarms(stacks)
        for metric in watch.metrics
    )


@check("C19")
def input_is_watched_at_both_ends(stacks: Stacks) -> Iterator[str]:
    """Too little is an alarm in market hours only, so its expression must know hour and day."""
    names = stacks.facts.datasets
    yield from absent(names, "dataset")
    for name in names:
        found = [one for one in alarms(stacks) if any(_input_of(metric, name) for metric in one.metrics)]
        low = [one for one in found if one.comparison.startswith("LessThan")]
        high = [one for one in found if one.comparison.startswith("GreaterThan")]
        if not low:
            yield f"dataset {name}: no alarm on too little input"
        if not high:
            yield f"dataset {name}: no alarm on too much input"
        for watch in low:
            text = " ".join(watch.expressions)
            if not (re.search(r"\bHOUR\(", text) and re.search(r"\bDAY\(", text)):
                yield f"{watch.resource}: too little input is an alarm outside market hours too"


def _input_of(metric: Metric, dataset: str) -> bool:
    named = metric.of("Dataset") == dataset or dataset.replace("_", "-") in (metric.of("StreamName") or "")
    return metric.name in _INPUT and named


@check("C20")
def custom_metrics_carry_the_environment(stacks: Stacks) -> Iterator[str]:
    label = stacks.facts.label
    found = [(str(one.resource), metric) for one in alarms(stacks) for metric in one.metrics if metric.custom]
    found += [(f"widget {one.title!r}", metric) for one in shown(stacks) for metric in one.metrics if metric.custom]
    yield from absent(found, "custom metric")
    for where, metric in found:
        if metric.of("Environment") != label:
            yield f"{where}: {metric.name} has Environment {metric.of('Environment')!r}, not {label!r}"
    for watch in alarms(stacks):
        if label not in str(watch.resource.get("AlarmName", "")):
            yield f"{watch.resource}: the environment is not in its name"


@check("B39")
def custom_metrics_carry_environment_pipeline_and_dataset(stacks: Stacks) -> Iterator[str]:
    found = [(str(one.resource), metric) for one in alarms(stacks) for metric in one.metrics if metric.custom]
    found += [(f"widget {one.title!r}", metric) for one in shown(stacks) for metric in one.metrics if metric.custom]
    yield from absent(found, "custom metric")
    for where, metric in found:
        missing = [one for one in ("Environment", "Pipeline", "Dataset") if metric.of(one) is None]
        if missing:
            yield f"{where}: {metric.namespace} {metric.name} without {', '.join(missing)}"


@check("B40")
def alarms_act(stacks: Stacks) -> Iterator[str]:
    found = stacks.of("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    yield from absent(found, "alarm")
    for alarm in found:
        if alarm.get("ActionsEnabled", True) is not True or not listed(alarm.get("AlarmActions")):
            yield f"{alarm}: does nothing"


@check("C48")
def every_component_has_an_alarm(stacks: Stacks) -> Iterator[str]:
    owners = stacks.of(STREAM, FUNCTION, QUEUE, TABLE, JOB, MACHINE)
    yield from absent(owners, "stream, function, queue, table, job or state machine")
    watched = {value for watch in alarms(stacks) for metric in watch.metrics for value in metric.values}
    for owner in owners:
        rules = {rule.name for rule in _state_rules(stacks, owner)} if owner.type == JOB else set()
        if not watched & {owner.name, owner.arn, *rules}:
            yield f"{owner}: no alarm"


@check("L15")
def duration_of_jobs_is_watched(stacks: Stacks) -> Iterator[str]:
    yield from absent(stacks.of(JOB), "job")
    for job in stacks.of(JOB):
        if str((job.get("DefaultArguments") or {}).get("--enable-metrics", "false")).lower() == "false":
            yield f"{job}: job metrics are not enabled"
        found = [watch for watch in alarms(stacks) if any(_elapsed(metric, job) for metric in watch.metrics)]
        if not found:
            yield f"{job}: no alarm on {_ELAPSED} with JobRunId=ALL and Type=count"
        if not any(_elapsed(metric, job) for widget in shown(stacks) for metric in widget.metrics):
            yield f"{job}: no widget shows {_ELAPSED} with JobRunId=ALL and Type=count"
        yield from (f"{one.resource}: not an upper bound" for one in found if not _upper(one))


def _elapsed(metric: Metric, job: Resource) -> bool:
    return (
        metric.name == _ELAPSED
        and metric.namespace == "Glue"
        and metric.of("JobName") == job.name
        and (metric.of("JobRunId"), metric.of("Type")) == ("ALL", "count")
    )


def _upper(watch: Watch) -> bool:
    return watch.comparison.startswith("GreaterThan")

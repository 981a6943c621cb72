"""Dashboards and alarms."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .draft import MUTANTS, Draft, Mutant, mutant, simple

ALARM, BOARD, RULE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule"
Json = dict[str, Any]
Text = Callable[[str], str]


def _says(*words: str) -> Callable[[Json], bool]:
    return lambda one: any(word in json.dumps(one) for word in words)


def _rewritten(draft: Draft, kind: str, change: Text) -> None:
    """Changes the text of every resource of a type."""
    for resource in draft.resources(kind):
        resource["Properties"] = json.loads(change(json.dumps(resource["Properties"])))


def unwatched(row: str, *metrics: str) -> None:
    """Two mutants: no alarm on these metrics, and no widget that shows them."""

    def no_alarm(draft: Draft) -> None:
        draft.drop(ALARM, _says(*metrics))

    def no_widget(draft: Draft) -> None:
        for metric in metrics:
            _rewritten(draft, BOARD, lambda text, metric=metric: text.replace(metric, "Nothing"))  # type: ignore[misc]

    MUTANTS.append(Mutant(row, f"no alarm on {', '.join(metrics)}", no_alarm))
    MUTANTS.append(Mutant(row, f"no widget of {', '.join(metrics)}", no_widget))


unwatched("C14", "MillisBehindLatest")
unwatched("C14", "IteratorAge")
unwatched("C15", "Throttles")
unwatched("L15", "glue.driver.aggregate.elapsedTime")


@mutant("C13")
def an_empty_dashboard(draft: Draft) -> None:
    for properties in draft.properties(BOARD):
        properties["DashboardBody"] = json.dumps({"widgets": []})


@mutant("C13")
def only_texts(draft: Draft) -> None:
    _rewritten(draft, BOARD, lambda text: text.replace('\\"metric\\"', '\\"text\\"'))


@mutant("C13")
def latency_is_not_shown(draft: Draft) -> None:
    _rewritten(draft, BOARD, lambda text: text.replace("LatencySeconds", "Nothing"))


@mutant("C16")
def elapsed_time_is_not_shown(draft: Draft) -> None:
    _rewritten(draft, BOARD, lambda text: text.replace("elapsedTime", "Nothing"))


@mutant("C16")
def failed_tasks_are_not_shown(draft: Draft) -> None:
    _rewritten(draft, BOARD, lambda text: text.replace("numFailedTasks", "Nothing"))


@mutant("C16")
def workers_are_not_shown(draft: Draft) -> None:
    def change(text: str) -> str:
        for word in ("xecutors", "orker", "DPU", "dpu"):
            text = text.replace(word, "nothing")
        return text

    _rewritten(draft, BOARD, change)


@mutant("C17")
def completeness_is_not_shown(draft: Draft) -> None:
    _rewritten(draft, BOARD, lambda text: text.replace("Completeness", "Nothing"))


@mutant("C17")
def quality_raises_no_alarm(draft: Draft) -> None:
    quality = ("RowsValid", "RowsRejected", "RowsQuarantined", "Completeness", "FreshnessSeconds")
    draft.drop(ALARM, _says(*quality))


@mutant("C18")
def timeouts_are_not_noticed(draft: Draft) -> None:
    _rewritten(draft, RULE, lambda text: text.replace('"TIMEOUT"', '"STOPPED"'))


@mutant("C18")
def failed_runs_are_told_to_nobody(draft: Draft) -> None:
    for properties in draft.properties(RULE):
        if "aws.glue" in json.dumps(properties):
            properties["Targets"] = []


@mutant("C18")
def failed_runs_raise_no_alarm(draft: Draft) -> None:
    draft.drop(ALARM, _says("AWS/Events", "AWS/Logs"))


@mutant("C19")
def too_little_is_no_alarm(draft: Draft) -> None:
    draft.drop(ALARM, _says("LessThan"))


@mutant("C19")
def too_much_is_no_alarm(draft: Draft) -> None:
    draft.drop(ALARM, lambda one: _says("GreaterThan")(one) and _says("RowsIn", "BytesIn", "Incoming")(one))


@mutant("C19")
def too_little_by_night_as_well(draft: Draft) -> None:
    _rewritten(draft, ALARM, lambda text: text.replace("HOUR(", "FLOOR("))


@mutant("C20", "B39")
def metrics_without_environment(draft: Draft) -> None:
    _rewritten(draft, ALARM, lambda text: text.replace('"Environment"', '"Other"'))


@mutant("C20")
def widgets_of_another_environment(draft: Draft) -> None:
    _rewritten(draft, BOARD, lambda text: text.replace('\\"Environment\\"', '\\"Other\\"'))


simple("C20", ALARM, "AlarmName", "too high")


@mutant("B39")
def metrics_without_dataset(draft: Draft) -> None:
    _rewritten(draft, ALARM, lambda text: text.replace('"Dataset"', '"Other"'))


simple("B40", ALARM, "AlarmActions", [])
simple("B40", ALARM, "ActionsEnabled", False)


def unwatched_component(space: str) -> None:
    """A mutant: the alarms of one service are gone."""

    def change(draft: Draft) -> None:
        draft.drop(ALARM, _says(f'"{space}"'))

    MUTANTS.append(Mutant("C48", f"no alarm of {space}", change))


for _space in ("AWS/Lambda", "AWS/SQS", "AWS/DynamoDB"):
    unwatched_component(_space)


@mutant("C48")
def no_alarm_at_all(draft: Draft) -> None:
    draft.drop(ALARM)


@mutant("L15")
def metrics_of_jobs_are_off(draft: Draft) -> None:
    for properties in draft.properties("AWS::Glue::Job"):
        properties["DefaultArguments"].pop("--enable-metrics", None)


@mutant("L15")
def duration_of_one_run(draft: Draft) -> None:
    _rewritten(draft, ALARM, lambda text: text.replace('"ALL"', '"jr_1"'))


@mutant("L15")
def executor_time_instead(draft: Draft) -> None:
    wrong = "glue.driver.ExecutorTimeAllExecutors"
    _rewritten(draft, ALARM, lambda text: text.replace("glue.driver.aggregate.elapsedTime", wrong))

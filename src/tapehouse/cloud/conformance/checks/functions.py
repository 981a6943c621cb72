"""Functions: their runtime, their logs, how they take batches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from tapehouse.cloud.conformance.registry import absent, check, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import FUNCTION, LOGS, SOURCE
from tapehouse.cloud.releases.catalogue import catalogue


def today(stacks: Stacks) -> date:
    """The day that support is judged on."""
    return stacks.facts.as_of or date.today()


@check("L07")
def runtimes_are_the_newest_supported(stacks: Stacks) -> Iterator[str]:
    """The catalogue's newest is never within six months of its end."""
    newest = catalogue().newest("lambda-python", today(stacks))

    def judge(function: Resource) -> str | None:
        runtime = function.get("Runtime")
        return None if runtime == newest.version else f"runs on {runtime}, and {newest.version} is supported"

    yield from each(stacks.of(FUNCTION), "function", judge)


@check("C22")
def batches_fail_in_part(stacks: Stacks) -> Iterator[str]:
    def judge(mapping: Resource) -> str | None:
        if int(mapping.get("BatchSize", 1)) <= 1:
            return "takes one record at a time"
        kinds = mapping.get("FunctionResponseTypes", [])
        return None if "ReportBatchItemFailures" in kinds else "one bad record fails its whole batch"

    yield from each(stacks.of(SOURCE), "event source of a function", judge)


@check("L06")
def functions_leave_no_logs_behind(stacks: Stacks) -> Iterator[str]:
    """Without a log group of the stack, Lambda makes one that outlives it. That all else goes is shown by deploying."""
    groups = {one.ref: one for one in stacks.of(LOGS)}

    def judge(function: Resource) -> str | None:
        group = groups.get(function.get("LoggingConfig.LogGroup") or f"/aws/lambda/{function.name}")
        if group is None:
            return "its log group is not of the deployment, and outlives it"
        kept = group.removed == "Retain" and not stacks.facts.production
        return f"its log group {group.id} is retained" if kept else None

    yield from each(stacks.of(FUNCTION), "function", judge)


@check("L06", where="test")
def nothing_is_retained(stacks: Stacks) -> Iterator[str]:
    yield from absent(stacks.all, "resource")
    for one in stacks.all:
        if one.removed in ("Retain", "RetainExceptOnCreate", "Snapshot"):
            yield f"{one}: DeletionPolicy {one.removed} leaves it behind"

"""From an object in a bucket to a started job."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import (
    BUCKET,
    FUNCTION,
    JOB,
    QUEUE,
    RULE,
    SOURCE,
    TABLE,
    TOPIC,
    function_of,
    object_buckets,
    role_of,
    source_of,
    targets,
)
from tapehouse.cloud.policy import Caller


def paths(stacks: Stacks) -> list[tuple[Resource, Resource, Resource, Resource]]:
    """(bucket, rule, queue, function) of every way on which an object's event reaches a function."""
    found = []
    for rule in stacks.of(RULE):
        for name in object_buckets(rule):
            bucket = stacks.find(name, BUCKET)
            for target in targets(rule):
                queue = stacks.find(target.get("Arn"), QUEUE)
                for mapping in stacks.of(SOURCE):
                    function = function_of(stacks, mapping)
                    if bucket and queue and function and source_of(stacks, mapping) is queue:
                        found.append((bucket, rule, queue, function))
    return found


@check("C21", "B35")
def objects_reach_the_validator_through_a_queue(stacks: Stacks) -> Iterator[str]:
    found = paths(stacks)
    yield from absent(found, "way from a bucket's objects by event and queue to a function")
    for bucket, rule, queue, _ in found:
        enabled = bucket.get("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled")
        if str(enabled).lower() != "true":
            yield f"{bucket}: sends no events to EventBridge, which {rule} waits for"
        if rule.get("State", "ENABLED") != "ENABLED":
            yield f"{rule}: disabled"
        events = Caller.of_service("events.amazonaws.com")
        context = {"aws:SourceArn": rule.arn, "aws:SourceAccount": stacks.place.account}
        if not stacks.account.admits(events, "sqs:SendMessage", queue.arn, context):
            yield f"{queue}: its policy does not let {rule} send to it"
        other = {"aws:SourceArn": f"{rule.arn}-other", "aws:SourceAccount": "999900001111"}
        if stacks.account.admits(events, "sqs:SendMessage", queue.arn, other):
            yield f"{queue}: its policy lets any account's rule send to it"


@check("L20", "B35")
def validated_objects_start_the_job_once(stacks: Stacks) -> Iterator[str]:
    """Whoever starts the job can write an item under a condition first; that it does is shown by its tests."""
    found = paths(stacks)
    yield from absent(found, "way from a bucket's objects by event and queue to a function")
    yield from absent(stacks.of(JOB), "job")
    for _, _, _, function in found:
        role = role_of(stacks, function)
        if not role:
            yield f"{function}: its role is not of the deployment"
            continue
        if not any(stacks.account.allows(role, "glue:StartJobRun", job.arn) for job in stacks.of(JOB)):
            yield f"{function}: may not start a job"
        tables = [table for table in stacks.of(TABLE) if may_write(stacks, role, table)]
        if not tables:
            yield f"{function}: no table to claim an object in, so one delivered twice starts two runs"


def may_write(stacks: Stacks, role: str, table: Resource) -> bool:
    """Whether a role may write an item, whole or in part."""
    return any(stacks.account.allows(role, one, table.arn) for one in ("dynamodb:PutItem", "dynamodb:UpdateItem"))


def fed_functions(stacks: Stacks) -> list[Resource]:
    """Functions that a queue or stream feeds."""
    found = {one.id: one for mapping in stacks.of(SOURCE) if (one := function_of(stacks, mapping))}
    return [one for one in stacks.of(FUNCTION) if one.id in found]


@check("C23")
def validators_can_alert(stacks: Stacks) -> Iterator[str]:
    """Functions that are fed and every job are told an encrypted topic and may publish to it."""
    topics = stacks.of(TOPIC)
    yield from absent(topics, "topic")
    fed = fed_functions(stacks)
    yield from absent(fed, "function that is fed by a queue or stream")
    for function in fed:
        named = [topic for topic in topics if topic.arn in (function.get("Environment.Variables") or {}).values()]
        yield from _may_publish(stacks, function, named)
    for job in stacks.of(JOB):
        named = [topic for topic in topics if topic.arn in (job.get("DefaultArguments") or {}).values()]
        yield from _may_publish(stacks, job, named)


def _may_publish(stacks: Stacks, worker: Resource, topics: list[Resource]) -> Iterator[str]:
    role = role_of(stacks, worker)
    if not topics:
        yield f"{worker}: is told no topic for alerts"
    for topic in topics:
        if not role or not stacks.account.allows(role, "sns:Publish", topic.arn):
            yield f"{worker}: may not publish to {topic}"

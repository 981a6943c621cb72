"""Retries with an end, and where what failed then goes."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import FUNCTION, QUEUE, RULE, SOURCE, STREAM, dead_letters, source_of, targets

_MOST_RETRIES, _MOST_RECEIVES = 100, 50
_LONGEST_SECONDS = 1_209_600


@check("C24")
def what_failed_is_kept(stacks: Stacks) -> Iterator[str]:
    """Each way on which nobody waits for the answer ends in a queue, and some role may take messages out of it."""
    mappings, rules = stacks.of(SOURCE), [one for one in stacks.of(RULE) if targets(one)]
    yield from absent([*mappings, *rules], "way on which nobody waits for the answer")
    for mapping in mappings:
        yield from _mapping(stacks, mapping)
    for rule in rules:
        for target in targets(rule):
            if stacks.find((target.get("DeadLetterConfig") or {}).get("Arn"), QUEUE) is None:
                yield f"{rule}: what cannot be delivered to {target.get('Id')} is lost"
    for function in _invoked(stacks):
        named = function.get("DeadLetterConfig.TargetArn") or _on_failure(stacks, function)
        if stacks.find(named, QUEUE) is None:
            yield f"{function}: is invoked by events, and what failed is lost"
    queues = dead_letters(stacks)
    yield from absent(queues, "dead-letter queue")
    for queue in queues:
        if int(queue.get("MessageRetentionPeriod", 345_600)) < _LONGEST_SECONDS:
            yield f"{queue}: keeps dead letters for less than fourteen days"
        takers = [role for role in stacks.account.roles if stacks.account.allows(role, "sqs:ReceiveMessage", queue.arn)]
        if not takers:
            yield f"{queue}: no role may take messages out of it, so none can be redriven"


def _mapping(stacks: Stacks, mapping: Resource) -> Iterator[str]:
    source = source_of(stacks, mapping)
    if source is None:
        yield f"{mapping}: its source is not of the deployment"
    elif source.type == QUEUE:
        if stacks.find(source.get("RedrivePolicy.deadLetterTargetArn"), QUEUE) is None:
            yield f"{source}: feeds a function, and has no dead-letter queue"
    elif stacks.find(mapping.get("DestinationConfig.OnFailure.Destination"), QUEUE) is None:
        yield f"{mapping}: the position of what failed is lost"


def _invoked(stacks: Stacks) -> list[Resource]:
    """Functions that are a rule's target."""
    arns = {target.get("Arn") for rule in stacks.of(RULE) for target in targets(rule)}
    return [one for one in stacks.of(FUNCTION) if one.arn in arns]


def _on_failure(stacks: Stacks, function: Resource) -> object:
    for config in stacks.of("AWS::Lambda::EventInvokeConfig"):
        if config.get("FunctionName") in (function.ref, function.arn):
            return config.get("DestinationConfig.OnFailure.Destination")
    return None


@check("C25")
def retries_end(stacks: Stacks) -> Iterator[str]:
    mappings = stacks.of(SOURCE)
    yield from absent(mappings, "event source of a function")
    for mapping in mappings:
        source = source_of(stacks, mapping)
        if source is not None and source.type == STREAM:
            yield from (f"{mapping}: {one}" for one in _endless(mapping))
        elif source is not None:
            count = int(source.get("RedrivePolicy.maxReceiveCount", 0))
            if not 1 <= count <= _MOST_RECEIVES:
                yield f"{source}: gives a message {count or 'any number of'} times"


def _endless(mapping: Resource) -> Iterator[str]:
    # Absent or -1 is for ever: one bad record then stops its shard until it ages out.
    if not 0 <= int(mapping.get("MaximumRetryAttempts", -1)) <= _MOST_RETRIES:
        yield "retries without bound"
    if int(mapping.get("MaximumRecordAgeInSeconds", -1)) < 60:
        yield "has no greatest age of records"
    if mapping.get("BisectBatchOnFunctionError") is not True:
        yield "does not bisect a batch that failed"

"""Kinesis streams and their readers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tapehouse.cloud.conformance.registry import absent, check, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import CONSUMER, FUNCTION, SOURCE, STREAM, function_of, role_of, source_of


def on_demand(stream: Resource) -> bool:
    """Whether the service chooses the shards."""
    return bool(stream.get("StreamModeDetails.StreamMode") == "ON_DEMAND")


def shards(stream: Resource) -> int:
    """Declared shards; 0 for an on-demand stream."""
    return 0 if on_demand(stream) else int(stream.get("ShardCount", 0))


@check("C36")
def streams_are_encrypted_kept_and_sized(stacks: Stacks) -> Iterator[str]:
    def judge(stream: Resource) -> str | None:
        encryption = stream.get("StreamEncryption", {})
        if encryption.get("EncryptionType") != "KMS" or stacks.key(encryption.get("KeyId")) is None:
            return "not under a customer key of the deployment"
        if int(stream.get("RetentionPeriodHours", 0)) < 24:
            return "retention is not set"
        return None if on_demand(stream) or shards(stream) >= 1 else "neither on-demand nor with shards"

    yield from each(stacks.of(STREAM), "stream", judge)


@check("C37")
def streams_have_a_consumer_of_their_own(stacks: Stacks) -> Iterator[str]:
    def judge(stream: Resource) -> str | None:
        consumers = [one for one in stacks.of(CONSUMER) if one.get("StreamARN") == stream.arn]
        if not consumers:
            return "no enhanced fan-out consumer is registered"
        read = {mapping.get("EventSourceArn") for mapping in stacks.of(SOURCE)}
        return None if any(one.arn in read for one in consumers) else "nothing reads through its registered consumer"

    yield from each(stacks.of(STREAM), "stream", judge)


@check("C38")
def streams_scale(stacks: Stacks) -> Iterator[str]:
    """On demand, or a function that may change the number of shards and that something calls."""
    called = {str(one.get("FunctionName")) for one in stacks.of("AWS::Lambda::Permission")}
    called |= {str(one.get("FunctionName")) for one in stacks.of(SOURCE)}
    called |= {
        str(one.get("Endpoint")) for one in stacks.of("AWS::SNS::Subscription") if one.get("Protocol") == "lambda"
    }
    called |= {str(one.get("Target.Arn")) for one in stacks.of("AWS::Scheduler::Schedule")}

    def judge(stream: Resource) -> str | None:
        if on_demand(stream):
            return None
        for function in stacks.of(FUNCTION):
            role = role_of(stacks, function)
            scales = role and stacks.account.allows(role, "kinesis:UpdateShardCount", stream.arn)
            if scales and called & {function.arn, function.ref, function.name}:
                return None
        return "provisioned, and nothing that is called may change its number of shards"

    yield from each(stacks.of(STREAM), "stream", judge)


def _readers(stacks: Stacks) -> dict[str, list[tuple[Resource, Resource]]]:
    """Function id -> its (mapping, stream) pairs."""
    found: dict[str, list[tuple[Resource, Resource]]] = {}
    for mapping in stacks.of(SOURCE):
        function, source = function_of(stacks, mapping), source_of(stacks, mapping)
        if function is not None and source is not None and source.type == STREAM:
            found.setdefault(function.id, []).append((mapping, source))
    return found


@check("C34")
def reserved_concurrency_is_shards_times_parallelization(stacks: Stacks) -> Iterator[str]:
    readers = _readers(stacks)
    yield from absent(readers, "function that reads a stream")
    told = [f"{value.get('Value')} {value.get('Description')}" for _, _, _, value in stacks.outputs()]
    for function in stacks.of(FUNCTION):
        pairs = readers.get(function.id)
        if not pairs:
            continue
        reserved = function.get("ReservedConcurrentExecutions")
        needed = sum(shards(stream) * int(mapping.get("ParallelizationFactor", 1)) for mapping, stream in pairs)
        flexible = any(on_demand(stream) for _, stream in pairs)
        if reserved is None:
            yield f"{function}: reserves no concurrency"
        elif (reserved < needed) if flexible else (reserved != needed):
            yield f"{function}: reserves {reserved}, and shards x parallelization is {needed}"
        formula = [one for one in told if re.search("shards", one, re.I) and re.search("paralleli[sz]ation", one, re.I)]
        if not any(re.search(rf"\b{reserved}\b", one.replace(",", "")) for one in formula):
            yield f"{function}: no output tells how its {reserved} reserved executions were computed"


@check("C47")
def shards_carry_the_peak(stacks: Stacks) -> Iterator[str]:
    """A shard takes 1 MB a second."""
    streams = stacks.of(STREAM)
    yield from absent(streams, "stream")
    peak = stacks.facts.volume / 86_400 * stacks.facts.peak_factor
    declared = sum(shards(one) for one in streams)
    if not any(on_demand(one) for one in streams) and declared * 1_000_000 < peak:
        yield f"{declared} shards take {declared} MB/s, and the peak is {peak / 1e6:.0f} MB/s"
    if stacks.facts.peak_factor < 1 or not stacks.facts.volume:
        yield "neither volume nor peak factor is stated"

"""What deletion leaves: nothing outside production, all data within."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.conformance.registry import absent, check, compare, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import BUCKET, JOB, KEY, LOGS, QUEUE, STREAM, TABLE

# What holds data that is nowhere else.
STATEFUL = (BUCKET, KEY, TABLE, STREAM, "AWS::RDS::DBCluster", "AWS::DynamoDB::GlobalTable")
EMPTIES = "Custom::S3AutoDeleteObjects"


@check("L01", where="test")
def buckets_are_deleted(stacks: Stacks) -> Iterator[str]:
    def judge(bucket: Resource) -> str | None:
        wrong = [one for one in (bucket.removed, bucket.replaced) if one != "Delete"]
        return f"policy {wrong[0] or 'of CloudFormation, which is not said,'} instead of Delete" if wrong else None

    yield from each(stacks.of(BUCKET), "bucket", judge)


@check("L02")
def buckets_are_emptied_exactly_when_deleted(stacks: Stacks) -> Iterator[str]:
    emptied = {str(value) for one in stacks.of(EMPTIES) for value in one.properties.values()}

    def judge(bucket: Resource) -> str | None:
        if bucket.removed == "Delete" and bucket.name not in emptied:
            return "deleted with the stack, which fails unless something empties it"
        if bucket.removed != "Delete" and bucket.name in emptied:
            return "kept, and emptied with the stack"
        return None

    yield from each(stacks.of(BUCKET), "bucket", judge)


@check("L03", where="test")
def keys_go_in_seven_days(stacks: Stacks) -> Iterator[str]:
    def judge(key: Resource) -> str | None:
        if key.removed != "Delete":
            return f"DeletionPolicy is {key.removed or 'not said'}"
        days = key.get("PendingWindowInDays")
        return None if days == 7 else f"waits for {days or 30} days"

    yield from each(stacks.of(KEY), "customer key", judge)


@check("L04", where="prod")
def data_is_retained(stacks: Stacks) -> Iterator[str]:
    def judge(one: Resource) -> str | None:
        wrong = [name for name in (one.removed, one.replaced) if name not in ("Retain", "Snapshot")]
        if wrong:
            return f"policy {wrong[0] or 'not said'} instead of Retain"
        unprotected = one.type == TABLE and one.get("DeletionProtectionEnabled") is not True
        return "deletion protection is off" if unprotected else None

    yield from each(stacks.of(*STATEFUL), "resource that holds data", judge)


@check("L05")
def queues_and_log_groups_say_what_becomes_of_them(stacks: Stacks) -> Iterator[str]:
    for kind, what in ((QUEUE, "queue"), (LOGS, "log group")):
        yield from each(stacks.of(kind), what, lambda one: None if one.removed else "no DeletionPolicy")
    for group in stacks.of(LOGS):
        if not group.get("RetentionInDays"):
            yield f"{group}: keeps logs for ever"


@compare("B45")
def environments_differ_as_they_should(test: Stacks, prod: Stacks) -> Iterator[str]:
    gateways = [len(one.of("AWS::EC2::NatGateway")) for one in (test, prod)]
    if not 1 <= gateways[0] < gateways[1]:
        yield f"{gateways[0]} NAT gateways in test and {gateways[1]} in prod"
    workers = [sum(int(job.get("NumberOfWorkers", 0)) for job in one.of(JOB)) for one in (test, prod)]
    if not 1 <= workers[0] < workers[1]:
        yield f"{workers[0]} workers in test and {workers[1]} in prod"
    for kind, stacks in (("Delete", test), ("Retain", prod)):
        found = {one.removed for one in stacks.of(*STATEFUL)}
        if found != {kind}:
            yield f"what holds data is {', '.join(sorted(found)) or 'absent'}, not {kind}"
    days = [min((int(one.get("RetentionInDays", 0)) for one in stacks.of(LOGS)), default=0) for stacks in (test, prod)]
    if not 1 <= days[0] < days[1]:
        yield f"logs are kept for {days[0]} days in test and {days[1]} in prod"
    protected = [all(one.get("DeletionProtectionEnabled") is True for one in s.of(TABLE)) for s in (test, prod)]
    yield from absent(test.of(TABLE), "table")
    if protected != [False, True]:
        yield "deletion protection of tables is the same in both"

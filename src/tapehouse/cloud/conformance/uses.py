"""What resources are for, read from how others use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tapehouse.cloud.conformance.stacks import Resource, Stacks

BUCKET, FUNCTION, QUEUE = "AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::SQS::Queue"
STREAM, CONSUMER, TABLE = "AWS::Kinesis::Stream", "AWS::Kinesis::StreamConsumer", "AWS::DynamoDB::Table"
JOB, KEY, TOPIC, ROLE = "AWS::Glue::Job", "AWS::KMS::Key", "AWS::SNS::Topic", "AWS::IAM::Role"
SOURCE, RULE, LOGS = "AWS::Lambda::EventSourceMapping", "AWS::Events::Rule", "AWS::Logs::LogGroup"
MACHINE, ALARM = "AWS::StepFunctions::StateMachine", "AWS::CloudWatch::Alarm"


def listed(value: Any) -> list[Any]:
    """A value or a list of them, as a list; empty for None."""
    return [] if value is None else value if isinstance(value, list) else [value]


def bucket_of(location: Any) -> str:
    """Bucket of an s3:// or s3a:// location; empty for anything else."""
    text = str(location)
    return text.partition("://")[2].partition("/")[0] if text.startswith(("s3://", "s3a://")) else ""


def arguments(job: Resource) -> Mapping[str, str]:
    """A Glue job's default arguments."""
    return {name: str(value) for name, value in (job.get("DefaultArguments") or {}).items()}


def stage(stacks: Stacks, name: str) -> list[Resource]:
    """Buckets by the stage of data they hold: raw, curated, scripts, results, logs. Where nothing reads or writes a
    bucket in a way that a template shows, its name tells (the purpose is a part of it)."""
    wanted = {one for one in _USES[name](stacks) if one}
    purposes = {"curated": ("-curated-", "-processed-")}.get(name, (f"-{name}-",))
    found = [one for one in stacks.of(BUCKET) if one.name in wanted]
    return found or [one for one in stacks.of(BUCKET) if any(part in f"-{one.name}-" for part in purposes)]


def _raw(stacks: Stacks) -> Iterator[str]:
    for job in stacks.of(JOB):
        yield bucket_of(arguments(job).get("--raw"))
    for rule in stacks.of(RULE):
        yield from object_buckets(rule)


def _curated(stacks: Stacks) -> Iterator[str]:
    for job in stacks.of(JOB):
        yield bucket_of(arguments(job).get("--lake"))


def _scripts(stacks: Stacks) -> Iterator[str]:
    for job in stacks.of(JOB):
        yield bucket_of(job.get("Command.ScriptLocation"))


def _results(stacks: Stacks) -> Iterator[str]:
    for group in stacks.of("AWS::Athena::WorkGroup"):
        yield bucket_of(group.get("WorkGroupConfiguration.ResultConfiguration.OutputLocation"))


def _log_buckets(stacks: Stacks) -> Iterator[str]:
    yield from (str(one.get("LoggingConfiguration.DestinationBucketName")) for one in stacks.of(BUCKET))
    for job in stacks.of(JOB):
        yield bucket_of(arguments(job).get("--spark-event-logs-path"))


_USES = {"raw": _raw, "curated": _curated, "scripts": _scripts, "results": _results, "logs": _log_buckets}


def takes_access_logs(stacks: Stacks, bucket: Resource) -> bool:
    """Whether S3 delivers access logs of other buckets to it; S3 cannot deliver to one with a key of ours."""
    return any(one.get("LoggingConfiguration.DestinationBucketName") == bucket.name for one in stacks.of(BUCKET))


def default_key(stacks: Stacks, bucket: Resource) -> Resource | None:
    """The key that objects are encrypted with when the upload says nothing; None for SSE-S3 and AWS's own key."""
    for rule in bucket.get("BucketEncryption.ServerSideEncryptionConfiguration", []):
        default = rule.get("ServerSideEncryptionByDefault", {})
        if default.get("SSEAlgorithm") == "aws:kms":
            return stacks.key(default.get("KMSMasterKeyID"))
    return None


def object_buckets(rule: Resource) -> list[str]:
    """Buckets whose new objects an EventBridge rule waits for."""
    pattern = rule.get("EventPattern") or {}
    if "aws.s3" not in listed(pattern.get("source")) or "Object Created" not in listed(pattern.get("detail-type")):
        return []
    return [one for one in listed(pattern.get("detail", {}).get("bucket", {}).get("name")) if isinstance(one, str)]


def targets(rule: Resource) -> list[Mapping[str, Any]]:
    """Targets of an EventBridge rule."""
    return listed(rule.get("Targets"))


def source_of(stacks: Stacks, mapping: Resource) -> Resource | None:
    """The queue or stream that an event source mapping reads; of a fan-out consumer, its stream."""
    arn = mapping.get("EventSourceArn")
    consumer = stacks.find(arn, CONSUMER)
    if consumer is not None:
        arn = consumer.get("StreamARN")
    return stacks.find(arn, QUEUE, STREAM)


def function_of(stacks: Stacks, mapping: Resource) -> Resource | None:
    """The function that an event source mapping calls."""
    return stacks.find(mapping.get("FunctionName"), FUNCTION)


def role_of(stacks: Stacks, owner: Resource) -> str:
    """ARN of the role that a function, job or the like acts with; empty when it is not of these stacks."""
    role = stacks.find(owner.get("Role") or owner.get("RoleArn"), ROLE)
    return role.arn if role else ""


def dead_letters(stacks: Stacks) -> list[Resource]:
    """Queues that take what others gave up."""
    arns = [one.get("RedrivePolicy.deadLetterTargetArn") for one in stacks.of(QUEUE)]
    arns += [one.get("DestinationConfig.OnFailure.Destination") for one in stacks.of(SOURCE)]
    arns += [target.get("DeadLetterConfig", {}).get("Arn") for rule in stacks.of(RULE) for target in targets(rule)]
    return [one for one in stacks.of(QUEUE) if one.arn in arns]

"""Permissions suffice: what AWS does on behalf of functions and jobs, and what their environment tells them to use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import (
    BUCKET,
    CONSUMER,
    FUNCTION,
    JOB,
    QUEUE,
    SOURCE,
    STREAM,
    TABLE,
    TOPIC,
    arguments,
    bucket_of,
    default_key,
    function_of,
    listed,
    role_of,
    source_of,
)


@dataclass(frozen=True, slots=True)
class Need:
    """One call that a worker, or AWS with the worker's role, has to make; each of `instead` does as well."""

    worker: Resource
    action: str
    resource: str
    why: str
    context: Mapping[str, str] = field(default_factory=dict)
    instead: tuple[str, ...] = ()


@check("B48")
def permissions_suffice(stacks: Stacks) -> Iterator[str]:
    """The calls that a template alone implies. What the code itself calls is recorded when it runs."""
    found = list(needs(stacks))
    yield from absent(found, "function or job that calls anything")
    for need in found:
        role = role_of(stacks, need.worker)
        if not role:
            yield f"{need.worker}: its role is not of the deployment"
            continue
        decision = stacks.account.allows(role, need.action, need.resource, need.context)
        others = (stacks.account.allows(role, one, need.resource, need.context) for one in need.instead)
        if not decision and not any(others):
            yield f"{need.worker}: may not {need.action} on {need.resource} ({need.why}): {decision.reason}"


def needs(stacks: Stacks) -> Iterator[Need]:
    """All of them, from event sources, logs, networks, job arguments and environments."""
    for mapping in stacks.of(SOURCE):
        yield from _reading(stacks, mapping)
    for function in stacks.of(FUNCTION):
        yield from _running(stacks, function)
        yield from _environment(stacks, function)
    for job in stacks.of(JOB):
        yield from _job(stacks, job)


def _via(stacks: Stacks, service: str) -> dict[str, str]:
    return {"kms:ViaService": f"{service}.{stacks.place.region}.{stacks.place.suffix}"}


def _with_key(stacks: Stacks, worker: Resource, key: Resource | None, service: str, *actions: str) -> Iterator[Need]:
    if key is not None:
        context = _via(stacks, service)
        if service == "s3":
            context["kms:EncryptionContext:aws:s3:arn"] = "any"
        yield from (
            Need(worker, f"kms:{one}", key.arn, f"what {service} keeps is under it", context) for one in actions
        )


def _reading(stacks: Stacks, mapping: Resource) -> Iterator[Need]:
    function, source = function_of(stacks, mapping), source_of(stacks, mapping)
    if function is None or source is None:
        return
    if source.type == QUEUE:
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            yield Need(function, f"sqs:{action}", source.arn, "its event source reads the queue")
        yield from _with_key(stacks, function, stacks.key(source.get("KmsMasterKeyId")), "sqs", "Decrypt")
    if source.type == STREAM:
        consumer = stacks.find(mapping.get("EventSourceArn"), CONSUMER)
        if consumer is not None:
            yield Need(function, "kinesis:SubscribeToShard", consumer.arn, "its event source subscribes")
        else:
            yield Need(function, "kinesis:GetRecords", source.arn, "its event source reads the stream")
            yield Need(function, "kinesis:GetShardIterator", source.arn, "its event source reads the stream")
        yield Need(function, "kinesis:DescribeStreamSummary", source.arn, "its event source reads the stream")
        yield Need(function, "kinesis:ListShards", source.arn, "its event source reads the stream")
        yield from _with_key(stacks, function, stacks.key(source.get("StreamEncryption.KeyId")), "kinesis", "Decrypt")
    given_up = stacks.find(mapping.get("DestinationConfig.OnFailure.Destination"), QUEUE)
    if given_up is not None:
        yield from _sending(stacks, function, given_up, "its event source sends what it gave up")


def _sending(stacks: Stacks, worker: Resource, queue: Resource, why: str) -> Iterator[Need]:
    yield Need(worker, "sqs:SendMessage", queue.arn, why)
    key = stacks.key(queue.get("KmsMasterKeyId"))
    yield from _with_key(stacks, worker, key, "sqs", "Decrypt", "GenerateDataKey")


def _running(stacks: Stacks, function: Resource) -> Iterator[Need]:
    group = function.get("LoggingConfig.LogGroup") or f"/aws/lambda/{function.name}"
    stream = stacks.place.arn("logs", f"log-group:{group}:log-stream:any")
    yield Need(function, "logs:CreateLogStream", stream, "it writes its log")
    yield Need(function, "logs:PutLogEvents", stream, "it writes its log")
    if function.get("VpcConfig"):
        for action in ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface"):
            yield Need(function, f"ec2:{action}", "*", "it runs in a VPC")
    if function.get("TracingConfig.Mode") == "Active":
        yield Need(function, "xray:PutTraceSegments", "*", "it is traced")
    dead = stacks.find(function.get("DeadLetterConfig.TargetArn"), QUEUE)
    if dead is not None:
        yield from _sending(stacks, function, dead, "Lambda sends its dead letters")


def _environment(stacks: Stacks, function: Resource) -> Iterator[Need]:
    """A name in the environment is there to be used: a topic to publish to, a table to write, a job to start."""
    for variable, value in (function.get("Environment.Variables") or {}).items():
        used = stacks.find(value, TOPIC, TABLE, JOB, QUEUE, BUCKET)
        if used is None:
            continue
        why = f"its environment names it in {variable}"
        if used.type == TOPIC:
            yield Need(function, "sns:Publish", used.arn, why)
            key = stacks.key(used.get("KmsMasterKeyId"))
            yield from _with_key(stacks, function, key, "sns", "Decrypt", "GenerateDataKey")
        elif used.type == TABLE:
            yield Need(function, "dynamodb:UpdateItem", used.arn, why, instead=("dynamodb:PutItem", "dynamodb:Scan"))
            key = stacks.key(used.get("SSESpecification.KMSMasterKeyId"))
            yield from _with_key(stacks, function, key, "dynamodb", "Decrypt")
        elif used.type == JOB:
            yield Need(function, "glue:StartJobRun", used.arn, why)
        elif used.type == BUCKET:
            yield Need(function, "s3:GetObject", f"{used.arn}/landing/any/any", why)
            yield from _with_key(stacks, function, default_key(stacks, used), "s3", "Decrypt")


def _job(stacks: Stacks, job: Resource) -> Iterator[Need]:
    given = arguments(job)
    script = str(job.get("Command.ScriptLocation", ""))
    places = {"its script": script, "--raw": given.get("--raw", ""), "--lake": given.get("--lake", "")}
    kept = [(what, location, stacks.find(bucket_of(location), BUCKET)) for what, location in places.items()]
    # A place outside the deployment is another row's concern: C43 for the script, I11 for the rest.
    for what, location, bucket in ((what, location, bucket) for what, location, bucket in kept if bucket):
        path = location.partition("://")[2].partition("/")[2].rstrip("/")
        target = f"{bucket.arn}/{path}" if what == "its script" else f"{bucket.arn}/{path}/any"
        actions = ["GetObject"] if what == "its script" else ["GetObject", "PutObject"]
        for action in actions:
            yield Need(job, f"s3:{action}", target, f"{what} is there")
        keyed = ["Decrypt"] if what == "its script" else ["Decrypt", "GenerateDataKey"]
        yield from _with_key(stacks, job, default_key(stacks, bucket), "s3", *keyed)
    topic = stacks.find(given.get("--alert"), TOPIC)
    if topic is not None:
        yield Need(job, "sns:Publish", topic.arn, "--alert names it")
        yield from _with_key(stacks, job, stacks.key(topic.get("KmsMasterKeyId")), "sns", "Decrypt", "GenerateDataKey")
    table = stacks.find(given.get("--lineage", "").partition("://")[2], TABLE)
    if table is not None:
        yield Need(
            job, "dynamodb:UpdateItem", table.arn, "--lineage names it", instead=("dynamodb:PutItem", "dynamodb:Scan")
        )
    database = given.get("--database")
    if database:
        for action in ("GetTable", "CreateTable", "UpdateTable"):
            for part in ("catalog", f"database/{database}", f"table/{database}/any"):
                yield Need(job, f"glue:{action}", stacks.place.arn("glue", part), "--database names it")
    for name in listed(job.get("Connections.Connections")):
        yield Need(job, "glue:GetConnection", stacks.place.arn("glue", f"connection/{name}"), "it is its connection")

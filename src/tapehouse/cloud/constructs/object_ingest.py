"""From an object in the raw bucket to a started job: event, queue, function; and what redrives that which failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from tapehouse.cloud.constructs.arns import arn, via
from tapehouse.cloud.constructs.functions import FunctionPlatform, PythonFunction, PythonFunctionProps
from tapehouse.cloud.constructs.queues import NAME_LIMIT, EncryptedQueue, WorkQueue, WorkQueueProps, admit_rule
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming

HANDLER = "tapehouse.handlers.object_validator.handler"
REDRIVE_HANDLER = "tapehouse.handlers.redrive.handler"
FUNCTION = "object-validator"
REDRIVE = "redrive"
QUEUE = "objects"
UNDELIVERED = "undelivered"
RULE = "landed"
LANDING = "landing/"
TIMEOUT_SECONDS = 300
MEMORY_MIB = 2_048
# All objects of an invocation go to one run, and a run takes minutes before it does anything: the more, the better.
BATCH = 1_000
PRODUCTION_WINDOW_SECONDS = 60
WINDOW_SECONDS = 1
# Together with the visibility timeout two and a half hours, in which a job that has all its runs gets one free.
RECEIVES = 5
# EventBridge gives up an event that it could not deliver for this long, or so many times.
DELIVERY_SECONDS = 3_600
DELIVERY_ATTEMPTS = 24


@dataclass(frozen=True, slots=True)
class ObjectIngestProps:
    """`concurrency` is what the validator reserves, `statements` and `environment` are its handler's besides what
    reading the queue takes. `rules` are purposes of the deployment's other rules: what they cannot deliver is kept in
    one queue.
    """

    naming: Naming
    lifecycle: Lifecycle
    raw_bucket: s3.IBucket
    key: kms.IKey
    concurrency: int
    rules: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    statements: Sequence[iam.PolicyStatement] = ()


class ObjectIngest(Construct):
    """`rule` sends what lands to `queue.queue`, which the `validator` reads in batches through `mapping`; what it gives
    up, and what the rule could not deliver, goes to `queue.dead_letters`: both are the same event. `undelivered` is for
    events of other kinds.
    """

    rule: events.CfnRule
    queue: WorkQueue
    undelivered: sqs.Queue
    validator: PythonFunction
    mapping: lambda_.CfnEventSourceMapping

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: FunctionPlatform, props: ObjectIngestProps
    ) -> None:
        super().__init__(scope, construct_id)
        naming = props.naming
        self.queue = WorkQueue(
            self,
            "Objects",
            props=WorkQueueProps(naming, props.lifecycle, QUEUE, props.key, TIMEOUT_SECONDS, RECEIVES),
        )
        self.undelivered = EncryptedQueue(
            self,
            "Undelivered",
            name=naming.name(UNDELIVERED, limit=NAME_LIMIT),
            key=props.key,
            lifecycle=props.lifecycle,
        ).queue
        # By name: the rule refers to the queues, and their policies to the rule.
        for queue in (self.queue.queue, self.queue.dead_letters):
            admit_rule(queue, arn("events", f"rule/{naming.text(RULE)}"), sid=title(RULE))
        for purpose in props.rules:
            admit_rule(self.undelivered, arn("events", f"rule/{naming.text(purpose)}"), sid=title(purpose))
        self.rule = self._rule(props)
        self.validator = PythonFunction(
            self,
            "Validator",
            platform=platform,
            props=PythonFunctionProps(
                purpose=FUNCTION,
                handler=HANDLER,
                description="Judges the head of landed objects and starts the job for those not seen before",
                memory_mib=MEMORY_MIB,
                timeout_seconds=TIMEOUT_SECONDS,
                environment=props.environment,
                statements=[*props.statements, *reading(self.queue.queue, props.key)],
                reserved=props.concurrency,
            ),
        )
        self.mapping = self._mapping(props)

    def _rule(self, props: ObjectIngestProps) -> events.CfnRule:
        retries = events.CfnRule.RetryPolicyProperty(
            maximum_event_age_in_seconds=DELIVERY_SECONDS, maximum_retry_attempts=DELIVERY_ATTEMPTS
        )
        rule = events.CfnRule(
            self,
            "Landed",
            name=props.naming.name(RULE),
            description=f"Objects created under {LANDING} in the raw bucket",
            event_pattern={
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [props.raw_bucket.bucket_name]},
                    "object": {"key": [{"prefix": LANDING}]},
                },
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="Objects",
                    arn=self.queue.queue.queue_arn,
                    retry_policy=retries,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self.queue.dead_letters.queue_arn),
                )
            ],
        )
        # The first event must not find a queue that refuses it.
        for queue in (self.queue.queue, self.queue.dead_letters):
            rule.node.add_dependency(queue.node.find_child("Policy"))
        return rule

    def _mapping(self, props: ObjectIngestProps) -> lambda_.CfnEventSourceMapping:
        return lambda_.CfnEventSourceMapping(
            self,
            "Mapping",
            function_name=self.validator.function.function_arn,
            event_source_arn=self.queue.queue.queue_arn,
            batch_size=BATCH,
            maximum_batching_window_in_seconds=(
                PRODUCTION_WINDOW_SECONDS if props.lifecycle.production else WINDOW_SECONDS
            ),
            function_response_types=["ReportBatchItemFailures"],
            # Below what is reserved, so that no message is received for an invocation that would be throttled.
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(maximum_concurrency=props.concurrency),
        )


@dataclass(frozen=True, slots=True)
class RedriveProps:
    """`environment` and `statements` are all that its handler needs: the queues it takes from, and what it does with
    their messages.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    statements: Sequence[iam.PolicyStatement] = ()


class Redrive(Construct):
    """A `function` that an operator invokes when the cause has been removed."""

    function: PythonFunction

    def __init__(self, scope: Construct, construct_id: str, *, platform: FunctionPlatform, props: RedriveProps) -> None:
        super().__init__(scope, construct_id)
        self.function = PythonFunction(
            self,
            "Redrive",
            platform=platform,
            props=PythonFunctionProps(
                purpose=REDRIVE,
                handler=REDRIVE_HANDLER,
                description="Takes dead letters and contents of failed runs: lands records again, queues objects",
                memory_mib=MEMORY_MIB,
                timeout_seconds=TIMEOUT_SECONDS,
                environment=props.environment,
                statements=props.statements,
                # Two operators at once would take each other's messages; one run is enough for either.
                reserved=1,
            ),
        )


def title(purpose: str) -> str:
    """The purpose as part of logical ids."""
    return "".join(word.capitalize() for word in purpose.split("-"))


def reading(queue: sqs.IQueue, key: kms.IKey) -> list[iam.PolicyStatement]:
    """What taking messages from an encrypted queue needs."""
    return [
        iam.PolicyStatement(
            sid="ReadQueue",
            actions=[
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
            ],
            resources=[queue.queue_arn],
        ),
        iam.PolicyStatement(
            sid="QueueKey",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": via("sqs")}},
        ),
    ]

"""A queue and where its failed messages go."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming

# AWS's advice for event sources: six times the function's timeout, so that no message is seen again while it is worked
# on, throttled invocations included. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_FACTOR = 6
NAME_LIMIT = 80
RETENTION_DAYS = 4
# The longest that SQS keeps anything.
DEAD_RETENTION_DAYS = 14


class EncryptedQueue(Construct):
    """One queue under the customer's key that speaks TLS only; `name` is its physical name."""

    queue: sqs.Queue

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        key: kms.IKey,
        lifecycle: Lifecycle,
        retention_days: int = DEAD_RETENTION_DAYS,
        visibility_seconds: int = 30,
        dead_letters: sqs.DeadLetterQueue | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=Duration.minutes(5),
            enforce_ssl=True,
            retention_period=Duration.days(retention_days),
            visibility_timeout=Duration.seconds(visibility_seconds),
            dead_letter_queue=dead_letters,
            removal_policy=lifecycle.transient,
        )


@dataclass(frozen=True, slots=True)
class WorkQueueProps:
    """`consumer_timeout_seconds` is that of the function that reads the queue; a message that it has been given
    `receives` times without success becomes a dead letter.
    """

    naming: Naming
    lifecycle: Lifecycle
    purpose: str
    key: kms.IKey
    consumer_timeout_seconds: int
    receives: int = 5


class WorkQueue(Construct):
    """`queue`, and `dead_letters`, which accepts messages of that queue alone."""

    queue: sqs.Queue
    dead_letters: sqs.Queue

    def __init__(self, scope: Construct, construct_id: str, *, props: WorkQueueProps) -> None:
        super().__init__(scope, construct_id)
        shared = {"key": props.key, "lifecycle": props.lifecycle}
        self.dead_letters = EncryptedQueue(
            self, "DeadLetters", name=props.naming.name(f"{props.purpose}-dlq", limit=NAME_LIMIT), **shared
        ).queue
        self.queue = EncryptedQueue(
            self,
            "Work",
            name=props.naming.name(props.purpose, limit=NAME_LIMIT),
            retention_days=RETENTION_DAYS,
            visibility_seconds=VISIBILITY_FACTOR * props.consumer_timeout_seconds,
            dead_letters=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=props.receives),
            **shared,
        ).queue
        # The dead-letter queue is made first, so the one queue that it serves is told by name.
        served = arn("sqs", props.naming.text(props.purpose, limit=NAME_LIMIT))
        raw: sqs.CfnQueue = self.dead_letters.node.default_child
        raw.redrive_allow_policy = {"redrivePermission": "byQueue", "sourceQueueArns": [served]}


def admit_rule(queue: sqs.Queue, rule_arn: str, *, sid: str) -> None:
    """Let that rule of EventBridge, and no other, send here."""
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            sid=sid,
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": rule_arn}},
        )
    )

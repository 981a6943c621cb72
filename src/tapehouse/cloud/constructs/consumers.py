"""Other accounts that read curated data: by a role here that they take, or directly with their own.

Either way they may read, list what is under their prefixes, and decrypt through S3; nothing else. The role can only be
taken by who says the agreed external id, so that a service which works for many cannot be made to use it for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from tapehouse.cloud.constructs.arns import account_root, via
from tapehouse.cloud.constructs.denies import Denies
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Consumer


@dataclass(frozen=True, slots=True)
class ConsumersProps:
    """`curated` is the bucket they read; their prefixes are within it. `data_key` must admit them: see Encryption."""

    naming: Naming
    consumers: Sequence[Consumer]
    curated: s3.Bucket
    data_key: kms.IKey
    denies: Denies


class Consumers(Construct):
    """A role for each consumer, and a part of the bucket's policy."""

    roles: dict[str, iam.Role]
    """By the consumer's name."""

    def __init__(self, scope: Construct, construct_id: str, *, props: ConsumersProps) -> None:
        super().__init__(scope, construct_id)
        self.roles = {}
        for consumer in props.consumers:
            role = self._role(props, consumer)
            props.denies.attach(role)
            self.roles[consumer.name] = role
            for statement in _reading(consumer, props.curated, [account_root(consumer.account)]):
                props.curated.add_to_resource_policy(statement)

    def _role(self, props: ConsumersProps, consumer: Consumer) -> iam.Role:
        decrypt = iam.PolicyStatement(
            sid="DecryptThroughS3",
            actions=["kms:Decrypt"],
            resources=[props.data_key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": via("s3"), "kms:CallerAccount": Aws.ACCOUNT_ID}},
        )
        statements = [*_reading(consumer, props.curated, None), decrypt]
        return iam.Role(
            self,
            f"Role{consumer.name.capitalize()}",
            role_name=props.naming.name(f"consumer-{consumer.name}"),
            description=f"Read access of {consumer.name} to parts of curated data",
            assumed_by=account_root(consumer.account).with_conditions(
                {"StringEquals": {"sts:ExternalId": consumer.external_id}}
            ),
            max_session_duration=Duration.hours(1),
            inline_policies={"read": iam.PolicyDocument(statements=statements)},
        )


def _reading(
    consumer: Consumer, bucket: s3.Bucket, principals: list[iam.IPrincipal] | None
) -> list[iam.PolicyStatement]:
    """The same for the role (no principals) and for the bucket's policy."""
    name = consumer.name.capitalize()
    return [
        iam.PolicyStatement(
            sid=f"Read{name}",
            principals=principals,
            actions=["s3:GetObject"],
            resources=[bucket.arn_for_objects(f"{prefix}*") for prefix in consumer.prefixes],
        ),
        iam.PolicyStatement(
            sid=f"List{name}",
            principals=principals,
            actions=["s3:ListBucket"],
            resources=[bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in consumer.prefixes]}},
        ),
        iam.PolicyStatement(
            sid=f"Locate{name}",
            principals=principals,
            actions=["s3:GetBucketLocation"],
            resources=[bucket.bucket_arn],
        ),
    ]

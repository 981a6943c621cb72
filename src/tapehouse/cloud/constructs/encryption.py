"""The deployment's two keys: one for data, one for logs.

A key's policy is all there is to it: what is not said there, no IAM policy can allow. The account's administrators may
manage a key. They, and the account's roles, may *use* the data key only through the services that store our data; so
nobody can decrypt bytes that they hold without also being let in by the bucket, table, stream, queue or topic.

Nobody may schedule a key's deletion or disable it. Outside production, CloudFormation may when it removes the stack
with its caller's permissions (the key aws:CalledVia says so), or an environment could never be taken down; a stack
given a role of its own would not be recognised. In production there is no exception: stacks keep their keys, and to
end one somebody must first change its policy, which takes two steps and leaves two records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws, Duration, Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from tapehouse.cloud.constructs.arns import account_root, arn, bucket_arn, this_account, via
from tapehouse.cloud.constructs.denies import KEY_ENDINGS
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Consumer

_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
_USE = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
_EXCHANGE = ("kms:Decrypt", "kms:GenerateDataKey")
# In a key's policy, the resource `*` is the key itself.
_THIS_KEY = ["*"]
# Services that call with their caller's identity. Athena reads and writes S3 as its caller, and so needs no entry.
_THROUGH = ("dynamodb", "glue", "kinesis", "lambda", "s3", "secretsmanager", "sns", "sqs")
# Of these, the ones that hold on to the key by a grant.
_GRANTED = ("dynamodb", "lambda")


@dataclass(frozen=True, slots=True)
class EncryptionProps:
    """`consumers` are accounts that may decrypt what they read from the curated bucket."""

    naming: Naming
    lifecycle: Lifecycle
    consumers: Sequence[Consumer] = ()


class Encryption(Construct):
    """Both keys, rotated each year, with aliases."""

    data: kms.Key
    """Of buckets, tables, streams, queues, topics and query results."""
    logs: kms.Key
    """Of log groups."""
    data_alias: str
    """`alias/...` of the data key."""
    logs_alias: str
    """`alias/...` of the log key."""

    def __init__(self, scope: Construct, construct_id: str, *, props: EncryptionProps) -> None:
        super().__init__(scope, construct_id)
        naming = props.naming
        common = [_administration(), _no_ending(props.lifecycle)]
        consumers = [_consumers(props.consumers, naming)] if props.consumers else []
        self.data_alias = f"alias/{naming.name('data')}"
        self.logs_alias = f"alias/{naming.name('logs')}"
        self.data = self._key(
            "Data",
            "Data of the deployment",
            self.data_alias,
            props.lifecycle,
            [*common, _through_services(), _grants(), *_services(), *consumers],
        )
        self.logs = self._key("Logs", "Log groups", self.logs_alias, props.lifecycle, [*common, _log_groups()])

    def admit_directly(self, role: iam.Role) -> None:
        """Let the role use the data key without a service between: what encrypts in its own process, such as a Glue
        job its bookmarks, needs that. The role's policies must allow it as well.

        By the name that the role was given, for the role comes later than the key, and refers to it.
        """
        name = role.node.default_child.role_name
        self.data.add_to_resource_policy(
            iam.PolicyStatement(
                sid=f"Direct{role.node.addr[-8:]}",
                principals=[iam.AccountRootPrincipal()],
                actions=list(_USE),
                resources=_THIS_KEY,
                conditions={
                    "StringEquals": {"kms:CallerAccount": Aws.ACCOUNT_ID},
                    "ArnEquals": {
                        "aws:PrincipalArn": f"{Fn.sub('arn:${AWS::Partition}:iam::${AWS::AccountId}:role/')}{name}"
                    },
                },
            )
        )

    def _key(
        self,
        construct_id: str,
        description: str,
        alias: str,
        lifecycle: Lifecycle,
        statements: Sequence[iam.PolicyStatement],
    ) -> kms.Key:
        return kms.Key(
            self,
            construct_id,
            alias=alias,
            description=description,
            enable_key_rotation=True,
            rotation_period=Duration.days(365),
            pending_window=Duration.days(lifecycle.key_window_days),
            removal_policy=lifecycle.removal,
            policy=iam.PolicyDocument(statements=list(statements)),
        )


def use_statement(key_arn: str, *, write: bool = True) -> iam.PolicyStatement:
    """What a role needs to read, and unless told otherwise to write, what the data key encrypts."""
    actions = ["kms:Decrypt", "kms:GenerateDataKey"] if write else ["kms:Decrypt"]
    return iam.PolicyStatement(sid="UseKey", actions=actions, resources=[key_arn])


def _administration() -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="AdministerByIam",
        principals=[iam.AccountRootPrincipal()],
        actions=list(_ADMINISTRATION),
        resources=_THIS_KEY,
    )


def _no_ending(lifecycle: Lifecycle) -> iam.PolicyStatement:
    # ForAllValues also holds where the key is absent: for whoever calls by himself.
    but_cloudformation = {"ForAllValues:StringNotEquals": {"aws:CalledVia": ["cloudformation.amazonaws.com"]}}
    return iam.PolicyStatement(
        sid="DenyKeyDeletion",
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=list(KEY_ENDINGS),
        resources=_THIS_KEY,
        conditions=but_cloudformation if lifecycle.destroyable else None,
    )


def _through_services() -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="UseThroughServices",
        principals=[iam.AccountRootPrincipal()],
        actions=list(_USE),
        resources=_THIS_KEY,
        conditions={
            "StringEquals": {"kms:CallerAccount": Aws.ACCOUNT_ID, "kms:ViaService": [via(one) for one in _THROUGH]}
        },
    )


def _grants() -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="GrantToServices",
        principals=[iam.AccountRootPrincipal()],
        actions=["kms:CreateGrant"],
        resources=_THIS_KEY,
        conditions={
            "StringEquals": {"kms:CallerAccount": Aws.ACCOUNT_ID, "kms:ViaService": [via(one) for one in _GRANTED]},
            "Bool": {"kms:GrantIsForAWSResource": "true"},
        },
    )


def _services() -> list[iam.PolicyStatement]:
    """Services that act for themselves: each for this account alone and, where it says on whose behalf, for that."""
    return [
        _service("CloudWatchAlarms", "cloudwatch.amazonaws.com", arn("cloudwatch", "alarm:*")),
        _service("EventBridge", "events.amazonaws.com", arn("events", "rule/*"), silent=True),
        _service("Sns", "sns.amazonaws.com", arn("sns", "*")),
        _service("Sqs", "sqs.amazonaws.com"),
        _service("Kinesis", "kinesis.amazonaws.com"),
        _service("Glue", "glue.amazonaws.com"),
    ]


def _service(sid: str, principal: str, source: str | None = None, *, silent: bool = False) -> iam.PolicyStatement:
    """`silent` services do not say on whose behalf they act in every call; where they do, it is held against it.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html (EventBridge to encrypted topics)
    """
    exists = "IfExists" if silent else ""
    conditions: dict[str, object] = {f"StringEquals{exists}": this_account()}
    if source is not None:
        conditions[f"ArnLike{exists}"] = {"aws:SourceArn": source}
    return iam.PolicyStatement(
        sid=sid,
        principals=[iam.ServicePrincipal(principal)],
        actions=list(_EXCHANGE),
        resources=_THIS_KEY,
        conditions=conditions,
    )


def _log_groups() -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="LogGroups",
        principals=[iam.ServicePrincipal(str(Fn.sub("logs.${AWS::Region}.amazonaws.com")))],
        actions=[*_USE],
        resources=_THIS_KEY,
        conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn("logs", "log-group:*")}},
    )


def _consumers(consumers: Sequence[Consumer], naming: Naming) -> iam.PolicyStatement:
    # With a bucket key the context is the bucket; without one, as some writers ask, it is the object.
    curated = [bucket_arn(naming, "curated"), bucket_arn(naming, "curated", "*")]
    accounts = sorted({one.account for one in consumers})
    return iam.PolicyStatement(
        sid="ConsumersThroughS3",
        principals=[account_root(account) for account in accounts],
        actions=["kms:Decrypt"],
        resources=_THIS_KEY,
        conditions={
            "StringEquals": {"kms:CallerAccount": accounts, "kms:ViaService": via("s3")},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": curated},
        },
    )

"""What no role of a deployment may do, whatever else it is allowed: store objects in the clear or under another key,
delete keys, make data public, speak without TLS.

Uploads are judged by statements that each have a `Null` condition: one without any encryption header is allowed, for
the bucket's default then encrypts it with the right key. (`StringNotLikeIfExists` would refuse that one as well.) One
that asks for SSE-KMS and names no key is refused: S3 would take its own key, not the bucket's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from tapehouse.cloud.naming import Naming

ENCRYPTION = "s3:x-amz-server-side-encryption"
KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"
PUBLIC_ACLS = ("public-read", "public-read-write", "authenticated-read")
GRANT_HEADERS = (
    "s3:x-amz-grant-full-control",
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-write-acp",
)
KEY_ENDINGS = ("kms:DeleteImportedKeyMaterial", "kms:DisableKey", "kms:ScheduleKeyDeletion")
EXPOSURES = (
    "s3:DeleteBucketPolicy",
    "s3:PutAccountPublicAccessBlock",
    "s3:PutBucketAcl",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutObjectAcl",
)


def wrong_key(key_arn: str, objects: Sequence[str], *, anyone: bool = False) -> list[iam.PolicyStatement]:
    """Uploads that ask for another encryption than SSE-KMS, or for another key. `anyone` is for bucket policies."""
    return [
        _deny(
            "DenyUnencryptedUpload",
            ["s3:PutObject"],
            objects,
            {"StringNotEquals": {ENCRYPTION: "aws:kms"}, "Null": {ENCRYPTION: "false"}},
            anyone=anyone,
        ),
        _deny(
            "DenyWrongKeyUpload",
            ["s3:PutObject"],
            objects,
            {"StringNotEquals": {KEY: key_arn}, "Null": {KEY: "false"}},
            anyone=anyone,
        ),
        _deny(
            "DenyMissingKeyUpload",
            ["s3:PutObject"],
            objects,
            {"StringEquals": {ENCRYPTION: "aws:kms"}, "Null": {KEY: "true"}},
            anyone=anyone,
        ),
    ]


def public_grants(objects: Sequence[str], *, anyone: bool = False) -> list[iam.PolicyStatement]:
    """Uploads with an ACL for the world or for named grantees. ACLs are off in our buckets; this says so beforehand."""
    actions = ["s3:PutObject", "s3:PutObjectAcl"]
    canned = _deny(
        "DenyPublicAcl", actions, objects, {"StringEquals": {"s3:x-amz-acl": list(PUBLIC_ACLS)}}, anyone=anyone
    )
    grants = [
        _deny(f"Deny{_camel(header)}", actions, objects, {"Null": {header: "false"}}, anyone=anyone)
        for header in GRANT_HEADERS
    ]
    return [canned, *grants]


def exposure() -> list[iam.PolicyStatement]:
    """Changing who may reach a bucket: a deployment does that, the roles in it never do."""
    # Every bucket, and the account's own block, which has no ARN: a deny is the stronger for it.
    return [_deny("DenyPublicGrants", list(EXPOSURES), ["*"], {})]


def key_endings(key_arns: Sequence[str]) -> list[iam.PolicyStatement]:
    """Ways to make what a key encrypted unreadable."""
    return [_deny("DenyKeyDeletion", list(KEY_ENDINGS), key_arns, {})]


def clear_transport() -> list[iam.PolicyStatement]:
    """Calls without TLS, of the services that data passes through."""
    # A deny may name all of a service's actions: it takes away, and what is added to the service later is in it.
    actions = ["dynamodb:*", "kinesis:*", "s3:*", "sns:*", "sqs:*"]
    return [_deny("DenyUnencryptedTransport", actions, ["*"], {"Bool": {"aws:SecureTransport": "false"}})]


@dataclass(frozen=True, slots=True)
class DeniesProps:
    """`objects` are ARNs of objects that the key of `key_arns[0]` encrypts (such as arn:...:::bucket/*)."""

    naming: Naming
    key_arns: Sequence[str]
    objects: Sequence[str]


class Denies(Construct):
    """One managed policy with all denies, for every role of the deployment."""

    policy: iam.ManagedPolicy
    """The policy; `attach` puts it on a role."""

    def __init__(self, scope: Construct, construct_id: str, *, props: DeniesProps) -> None:
        super().__init__(scope, construct_id)
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            managed_policy_name=props.naming.name("denies"),
            description="What no role of this deployment may do",
            statements=[
                *wrong_key(props.key_arns[0], props.objects),
                *public_grants(props.objects),
                *exposure(),
                *key_endings(props.key_arns),
                *clear_transport(),
            ],
        )

    def attach(self, *roles: iam.Role) -> None:
        """Deny to those roles."""
        for role in roles:
            role.add_managed_policy(self.policy)


def _deny(
    sid: str, actions: Sequence[str], resources: Sequence[str], conditions: dict[str, object], *, anyone: bool = False
) -> iam.PolicyStatement:
    principals = [iam.AnyPrincipal()] if anyone else None
    return iam.PolicyStatement(
        sid=sid,
        effect=iam.Effect.DENY,
        actions=list(actions),
        resources=list(resources),
        conditions=conditions or None,
        principals=principals,
    )


def _camel(header: str) -> str:
    return "".join(part.capitalize() for part in header.removeprefix("s3:x-amz-").split("-"))

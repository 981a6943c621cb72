"""What bucket policies deny: uploads under a wrong key, transport without TLS 1.2, public grants; whom they let in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tapehouse.cloud.conformance.checks.keys import ANYTHING, STRANGER, foreign
from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import BUCKET, default_key
from tapehouse.cloud.policy import Caller, Decision, Statement

SSE, KEY_ID = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
_PUBLIC = ("public-read", "public-read-write", "authenticated-read")
_READS = ("s3:getobject", "s3:getobjectversion", "s3:listbucket", "s3:getbucketlocation", "s3:getobjecttagging")


def _asked(stacks: Stacks, bucket: Resource, action: str, context: Mapping[str, Any], key: str = "any/key") -> Decision:
    """A caller of the account who is allowed everything, so that only the bucket's policy can say no."""
    caller = Caller.role(f"arn:{stacks.place.partition}:iam::{stacks.place.account}:role/anybody")
    arn = bucket.arn if action in ("s3:ListBucket", "s3:PutBucketAcl") else f"{bucket.arn}/{key}"
    return stacks.account.admits(caller, action, arn, context, [ANYTHING])


def _encrypted(stacks: Stacks) -> list[tuple[Resource, Resource]]:
    pairs = [(bucket, default_key(stacks, bucket)) for bucket in stacks.of(BUCKET)]
    return [(bucket, key) for bucket, key in pairs if key is not None]


@check("C04")
def wrong_encryption_is_denied_and_none_is_left_to_the_default(stacks: Stacks) -> Iterator[str]:
    found = _encrypted(stacks)
    yield from absent(found, "bucket under a customer key")
    for bucket, key in found:
        for what, headers, allowed in (
            ("without an encryption header", {}, True),
            ("with the bucket's key", {SSE: "aws:kms", KEY_ID: key.arn}, True),
            ("with SSE-S3", {SSE: "AES256"}, False),
            ("with another key", {SSE: "aws:kms", KEY_ID: f"{key.arn}0"}, False),
        ):
            decision = _asked(stacks, bucket, "s3:PutObject", headers)
            if allowed and not decision:
                yield f"{bucket}: an upload {what} is denied"
            if not allowed and decision.reason != "explicit deny":
                yield f"{bucket}: an upload {what} is not denied"


@check("C44")
def wrong_or_missing_key_and_public_grants_are_denied(stacks: Stacks) -> Iterator[str]:
    """Asked with SSE-KMS and no key, S3 takes AWS's own key and not the bucket's: that is a missing key."""
    found = _encrypted(stacks)
    yield from absent(found, "bucket under a customer key")
    for bucket, key in found:
        wrong = {SSE: "aws:kms", KEY_ID: f"{key.arn}0"}
        for what, headers in (("another key", wrong), ("SSE-KMS and no key", {SSE: "aws:kms"})):
            if _asked(stacks, bucket, "s3:PutObject", headers).reason != "explicit deny":
                yield f"{bucket}: no explicit deny of an upload with {what}"
    for bucket in stacks.of(BUCKET):
        for acl in _PUBLIC:
            if _asked(stacks, bucket, "s3:PutObject", {"s3:x-amz-acl": acl}).reason != "explicit deny":
                yield f"{bucket}: no explicit deny of an upload with the ACL {acl}"
        if _asked(stacks, bucket, "s3:GetObject", {"aws:SecureTransport": False}).reason != "explicit deny":
            yield f"{bucket}: no explicit deny of transport without TLS"


@check("C05")
def transport_is_tls_1_2_or_newer(stacks: Stacks) -> Iterator[str]:
    buckets = stacks.of(BUCKET)
    yield from absent(buckets, "bucket")
    for bucket in buckets:
        for action in ("s3:GetObject", "s3:PutObject", "s3:ListBucket"):
            for what, context, allowed in (
                ("without TLS", {"aws:SecureTransport": False}, False),
                ("with TLS 1.1", {"s3:TlsVersion": "1.1"}, False),
                ("with TLS 1.2", {"s3:TlsVersion": "1.2"}, True),
                ("with TLS 1.3", {"s3:TlsVersion": "1.3"}, True),
            ):
                if bool(_asked(stacks, bucket, action, context)) != allowed:
                    yield f"{bucket}: {action} {what} is {'denied' if allowed else 'allowed'}"


@check("C40")
def consumers_read_their_prefixes_only(stacks: Stacks) -> Iterator[str]:
    readers = 0
    for bucket in stacks.of(BUCKET):
        policy = stacks.account.resource_policies.get(bucket.arn)
        for statement in policy.statements if policy else ():
            accounts = foreign(stacks, statement)
            readers += bool(accounts)
            if accounts:
                yield from (f"{bucket}: {statement.label} {wrong}" for wrong in _faults(bucket, statement, accounts))
        stranger = Caller.role(f"arn:{stacks.place.partition}:iam::{STRANGER}:role/any")
        if stacks.account.admits(stranger, "s3:GetObject", f"{bucket.arn}/x/y", identity=[ANYTHING]):
            yield f"{bucket}: any account may read it"
    if not readers:
        yield "no bucket policy lets a consumer's account read"


def _faults(bucket: Resource, statement: Statement, accounts: list[str]) -> Iterator[str]:
    if "*" in accounts:
        yield "names no account"
    more = [one for one in statement.actions if one.lower() not in _READS]
    if more or statement.not_action:
        yield f"allows more than reading: {', '.join(more)}"
    for resource in statement.resources:
        if resource in ("*", f"{bucket.arn}/*", f"{bucket.arn}*"):
            yield "is not limited to a prefix"
    listing = any(one.lower() == "s3:listbucket" for one in statement.actions)
    held = {name.lower() for block in statement.conditions.values() for name in block}
    if listing and "s3:prefix" not in held:
        yield "lists without a condition on s3:prefix"

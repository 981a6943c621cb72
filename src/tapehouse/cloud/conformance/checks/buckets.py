"""Buckets: one for each stage of data, versioned, encrypted, closed; how uploads and transport are judged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from tapehouse.cloud.conformance.registry import absent, check, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import BUCKET, default_key, stage, takes_access_logs

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def _distinct(stacks: Stacks, *stages: str) -> Iterator[str]:
    found = {name: {one.name for one in stage(stacks, name)} for name in stages}
    for name, buckets in found.items():
        yield from absent(buckets, f"bucket for {name}")
    for one, other in combinations(stages, 2):
        for name in sorted(found[one] & found[other]):
            yield f"bucket {name} is both {one} and {other}"


@check("A05")
def raw_curated_and_logs_are_apart(stacks: Stacks) -> Iterator[str]:
    yield from _distinct(stacks, "raw", "curated", "logs")


@check("B31")
def raw_processed_logs_and_scripts_are_apart(stacks: Stacks) -> Iterator[str]:
    yield from _distinct(stacks, "raw", "curated", "logs", "scripts")


@check("C06")
def three_stages_of_data_are_apart(stacks: Stacks) -> Iterator[str]:
    yield from _distinct(stacks, "raw", "curated", "results")


@check("A06")
def buckets_are_versioned(stacks: Stacks) -> Iterator[str]:
    def judge(bucket: Resource) -> str | None:
        status = bucket.get("VersioningConfiguration.Status")
        return None if status == "Enabled" else f"versioning is {status or 'not configured'}"

    yield from each(stacks.of(BUCKET), "bucket", judge)


def _algorithms(bucket: Resource) -> list[str]:
    rules = bucket.get("BucketEncryption.ServerSideEncryptionConfiguration", [])
    return [str(rule.get("ServerSideEncryptionByDefault", {}).get("SSEAlgorithm")) for rule in rules]


@check("A07")
def buckets_are_encrypted_by_default(stacks: Stacks) -> Iterator[str]:
    data = {one.name for name in ("raw", "curated", "results") for one in stage(stacks, name)}

    def judge(bucket: Resource) -> str | None:
        algorithms = _algorithms(bucket)
        if not algorithms or any(one not in ("AES256", "aws:kms", "aws:kms:dsse") for one in algorithms):
            return "no default encryption"
        if bucket.name in data and default_key(stacks, bucket) is None:
            return "holds data, and its default is no customer key of the deployment"
        return None

    yield from each(stacks.of(BUCKET), "bucket", judge)


@check("A08")
def public_access_is_blocked_four_times(stacks: Stacks) -> Iterator[str]:
    def judge(bucket: Resource) -> str | None:
        missing = [one for one in _BLOCKS if bucket.get(f"PublicAccessBlockConfiguration.{one}") is not True]
        return f"{', '.join(missing)} not true" if missing else None

    yield from each(stacks.of(BUCKET), "bucket", judge)


@check("B32")
def stages_are_under_a_customer_key_with_bucket_key(stacks: Stacks) -> Iterator[str]:
    """The four stages, except a bucket that S3 delivers access logs to: S3 cannot write there under a customer key."""
    for name in ("raw", "curated", "logs", "scripts"):
        yield from each(stage(stacks, name), f"bucket for {name}", lambda bucket: _under_key(stacks, bucket))


def _under_key(stacks: Stacks, bucket: Resource) -> str | None:
    if takes_access_logs(stacks, bucket):
        return None if _algorithms(bucket) == ["AES256"] else "takes access logs, which S3 delivers under AES256 only"
    if default_key(stacks, bucket) is None:
        return "not under a customer key of the deployment"
    rules = bucket.get("BucketEncryption.ServerSideEncryptionConfiguration", [])
    return None if all(rule.get("BucketKeyEnabled") is True for rule in rules) else "BucketKeyEnabled is not true"


@check("L13")
def events_are_declared_on_the_bucket(stacks: Stacks) -> Iterator[str]:
    declared = [
        one
        for one in stacks.of(BUCKET)
        if str(one.get("NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled")).lower() == "true"
    ]
    yield from absent(declared, "bucket that declares EventBridge notifications itself")
    for raw in stage(stacks, "raw"):
        if raw.name not in {one.name for one in declared}:
            yield f"{raw}: does not declare EventBridge notifications"
    for custom in stacks.of("Custom::S3BucketNotifications"):
        yield f"{custom}: notifications set by a custom resource"

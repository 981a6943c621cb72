"""The bucket of an assembly's assets, and putting them there."""

from __future__ import annotations

import json
from tempfile import TemporaryFile
from typing import IO, Any

from botocore.exceptions import ClientError

from tapehouse.cloud.deploy.archives import write_zip
from tapehouse.cloud.deploy.assembly import Asset, StackArtifact
from tapehouse.cloud.deploy.errors import DeploymentError
from tapehouse.cloud.deploy.target import Event, Progress, Target

ABORT_DAYS = 1
OLD_VERSION_DAYS = 30
_ABSENT = ("404", "NoSuchBucket", "NoSuchKey", "NotFound")


def ensure_bucket(target: Target, bucket: str, tags: dict[str, str]) -> bool:
    """Make the bucket where it is absent, and set it up in any case (an interrupted deployment may have left it bare):
    versions, encryption, no public access, TLS only, nothing unfinished kept. Whether it was made.

    DeploymentError where the name belongs to another account.
    """
    s3 = target.client("s3")
    made = not bucket_exists(target, bucket)
    if made:
        # Where the default region is named, S3 refuses it.
        place = {} if target.region == "us-east-1" else {"LocationConstraint": target.region}
        s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {}))
    owner = {"Bucket": bucket, "ExpectedBucketOwner": target.account}
    s3.put_public_access_block(
        **owner,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_versioning(**owner, VersioningConfiguration={"Status": "Enabled"})
    encrypted = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(**owner, ServerSideEncryptionConfiguration={"Rules": [encrypted]})
    s3.put_bucket_policy(**owner, Policy=json.dumps(_tls_only(target.partition, bucket)))
    s3.put_bucket_lifecycle_configuration(**owner, LifecycleConfiguration={"Rules": [_lifecycle()]})
    if tags:
        pairs = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        s3.put_bucket_tagging(**owner, Tagging={"TagSet": pairs})
    return made


def bucket_exists(target: Target, bucket: str) -> bool:
    """Whether the account has the bucket; DeploymentError where another account has it."""
    try:
        target.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=target.account)
    except ClientError as error:
        if _code(error) in _ABSENT:
            return False
        raise DeploymentError(
            f"bucket {bucket} cannot be used: {error}",
            fix="choose another suffix if the name is another account's; else give the caller s3:ListBucket on it",
        ) from None
    return True


def publish(target: Target, stack: StackArtifact, progress: Progress) -> int:
    """Put the stack's assets where they are not yet; how many were put. The bucket has to exist."""
    put = 0
    for index, asset in enumerate(stack.assets, 1):
        bucket, key = target.fill(asset.bucket), target.fill(asset.key)
        if _exists(target, bucket, key):
            status = "there"
        else:
            status, put = "uploaded", put + 1
            _upload(target, asset, bucket, key)
        progress(Event(stack.name, key, status, "asset", asset.source.name, index, len(stack.assets)))
    return put


def empty_and_remove(target: Target, bucket: str) -> int:
    """Remove a bucket with every version and every unfinished upload in it; how many of them there were. Zero where
    there is no such bucket."""
    if not bucket_exists(target, bucket):
        return 0
    s3 = target.client("s3")
    owner = {"Bucket": bucket, "ExpectedBucketOwner": target.account}
    removed = 0
    for page in s3.get_paginator("list_object_versions").paginate(**owner):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        doomed = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        if doomed:
            s3.delete_objects(**owner, Delete={"Objects": doomed, "Quiet": True})
            removed += len(doomed)
    for page in s3.get_paginator("list_multipart_uploads").paginate(**owner):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(**owner, Key=upload["Key"], UploadId=upload["UploadId"])
            removed += 1
    s3.delete_bucket(**owner)
    return removed


def _upload(target: Target, asset: Asset, bucket: str, key: str) -> None:
    if asset.zipped and asset.source.is_dir():
        with TemporaryFile() as file:
            write_zip(asset.source, file)
            file.seek(0)
            _put(target, file, bucket, key)
        return
    with asset.source.open("rb") as file:
        _put(target, file, bucket, key)


def _put(target: Target, file: IO[bytes], bucket: str, key: str) -> None:
    s3 = target.client("s3")
    s3.upload_fileobj(file, bucket, key, ExtraArgs={"ExpectedBucketOwner": target.account})


def _exists(target: Target, bucket: str, key: str) -> bool:
    try:
        target.client("s3").head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=target.account)
    except ClientError as error:
        if _code(error) in _ABSENT:
            return False
        raise DeploymentError(
            f"s3://{bucket}/{key} cannot be looked at: {error}", fix="give the caller s3:GetObject on the bucket"
        ) from None
    return True


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _tls_only(partition: str, bucket: str) -> dict[str, Any]:
    arn = f"arn:{partition}:s3:::{bucket}"
    deny = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [deny]}


def _lifecycle() -> dict[str, Any]:
    return {
        "ID": "nothing-unfinished-nothing-replaced",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
        "NoncurrentVersionExpiration": {"NoncurrentDays": OLD_VERSION_DAYS},
    }

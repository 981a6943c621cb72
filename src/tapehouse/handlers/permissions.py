"""The AWS calls that each function makes, as data: roles are written from it, and tests hold recorded calls against it.

What reading an event source takes (`kinesis:SubscribeToShard`, `sqs:ReceiveMessage` of the validators, `logs:*`) is the
service's own doing with the function's role and is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class On(StrEnum):
    """Kinds of resource. `*_OBJECTS` are objects, `*_BUCKET` the bucket itself."""

    RAW_BUCKET = "the raw bucket"
    LANDING_OBJECTS = "objects of the raw bucket under landing/"
    MANIFEST_OBJECTS = "objects of the raw bucket under manifests/"
    LINEAGE_TABLE = "the lineage table"
    ALERT_TOPIC = "the topic of alerts"
    GLUE_JOB = "the job"
    DATA_KEY = "the key of data"
    STREAMS = "the streams"
    OBJECT_QUEUE = "the queue of landed objects"
    OBJECT_DEAD_LETTERS = "the dead-letter queue of landed objects"
    UNDELIVERED = "the queue of events that reached nobody"
    STREAM_DEAD_LETTERS = "the dead-letter queue of streams"
    EMPTIED_BUCKET = "a bucket that is emptied before it is deleted"
    EMPTIED_OBJECTS = "objects of a bucket that is emptied before it is deleted"
    ASSET_OBJECTS = "the release's archive in the bucket of assets"
    RELEASE_BUCKET = "the bucket of scripts"
    RELEASE_OBJECTS = "objects of the bucket of scripts under releases/"
    TABLE_BUCKET = "the curated bucket"
    TABLE_OBJECTS = "objects of the curated bucket under the lake's prefix"
    GLUE_TABLES = "the catalogue, its database and the tables in it"


Permissions = tuple[tuple[str, On], ...]

_TOLD: Permissions = (
    ("dynamodb:PutItem", On.LINEAGE_TABLE),
    ("sns:Publish", On.ALERT_TOPIC),
    ("kms:Decrypt", On.DATA_KEY),
    ("kms:GenerateDataKey", On.DATA_KEY),
)
_LAND: Permissions = (
    ("s3:ListBucket", On.RAW_BUCKET),
    ("s3:GetObject", On.LANDING_OBJECTS),
    ("s3:PutObject", On.LANDING_OBJECTS),
)
_TAKE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")

_SEND_BACK: Permissions = (
    *((action, On.OBJECT_DEAD_LETTERS) for action in _TAKE),
    *((action, On.UNDELIVERED) for action in _TAKE),
    ("sqs:SendMessage", On.OBJECT_QUEUE),
    ("dynamodb:Scan", On.LINEAGE_TABLE),
)

PERMISSIONS: Mapping[str, Permissions] = {
    "stream_validator": (*_LAND, *_TOLD),
    "object_validator": (
        # Without it a deleted object looks like a forbidden one.
        ("s3:ListBucket", On.RAW_BUCKET),
        ("s3:GetObject", On.LANDING_OBJECTS),
        ("s3:GetObjectVersion", On.LANDING_OBJECTS),
        ("s3:PutObject", On.LANDING_OBJECTS),
        ("s3:AbortMultipartUpload", On.LANDING_OBJECTS),
        ("s3:PutObject", On.MANIFEST_OBJECTS),
        ("glue:StartJobRun", On.GLUE_JOB),
        ("dynamodb:GetItem", On.LINEAGE_TABLE),
        ("dynamodb:UpdateItem", On.LINEAGE_TABLE),
        *_TOLD,
    ),
    "redrive": (
        *((action, On.STREAM_DEAD_LETTERS) for action in (*_TAKE, "sqs:SendMessage")),
        *_SEND_BACK,
        ("kinesis:GetShardIterator", On.STREAMS),
        ("kinesis:GetRecords", On.STREAMS),
        *_LAND,
        *_TOLD,
    ),
    # Where there are no streams, nothing is landed.
    "redrive_objects": (
        *_SEND_BACK,
        ("sns:Publish", On.ALERT_TOPIC),
        ("kms:Decrypt", On.DATA_KEY),
        ("kms:GenerateDataKey", On.DATA_KEY),
    ),
    "deployment": (
        ("s3:ListBucketVersions", On.EMPTIED_BUCKET),
        ("s3:ListBucketMultipartUploads", On.EMPTIED_BUCKET),
        ("s3:DeleteObject", On.EMPTIED_OBJECTS),
        ("s3:DeleteObjectVersion", On.EMPTIED_OBJECTS),
        ("s3:AbortMultipartUpload", On.EMPTIED_OBJECTS),
        ("s3:GetObject", On.ASSET_OBJECTS),
        ("s3:ListBucket", On.RELEASE_BUCKET),
        ("s3:ListBucketVersions", On.RELEASE_BUCKET),
        ("s3:PutObject", On.RELEASE_OBJECTS),
        ("s3:AbortMultipartUpload", On.RELEASE_OBJECTS),
        ("s3:DeleteObject", On.RELEASE_OBJECTS),
        ("s3:DeleteObjectVersion", On.RELEASE_OBJECTS),
        ("s3:ListBucket", On.TABLE_BUCKET),
        ("s3:PutObject", On.TABLE_OBJECTS),
        ("s3:DeleteObject", On.TABLE_OBJECTS),
        ("glue:GetTable", On.GLUE_TABLES),
        ("glue:CreateTable", On.GLUE_TABLES),
        ("glue:DeleteTable", On.GLUE_TABLES),
        ("kms:Decrypt", On.DATA_KEY),
        ("kms:GenerateDataKey", On.DATA_KEY),
    ),
}

"""Buckets, the lineage table, the catalogue."""

from __future__ import annotations

import json
from typing import Any

from .parts import CONSUMER, Json, Kind, allow, att, bucket_text, deny, document, made, name, ref, sub

PUBLIC = ["public-read", "public-read-write", "authenticated-read"]
SSE, KEY = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
ALL = {"Id": "all", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


def data(kind: Kind) -> Json:
    raw = _steps((0, "INTELLIGENT_TIERING"), (90, "GLACIER"), (365, "DEEP_ARCHIVE"))
    tables = _steps((0, "INTELLIGENT_TIERING"), (90, "GLACIER_IR"))
    found: Json = {
        "Logs": _bucket(kind, "logs", {**ALL, "ExpirationInDays": 60, **_replaced(7)}),
        "Raw": _bucket(kind, "raw", {**ALL, **raw, **_replaced(120)}),
        "Curated": _bucket(kind, "curated", {**ALL, **tables, **_replaced(120)}),
        "Scripts": _bucket(kind, "scripts", {**ALL, **_steps((90, "GLACIER_IR")), **_replaced(120)}),
        "Results": _bucket(kind, "results", {**ALL, "ExpirationInDays": 30, **_replaced(7)}),
    }
    tier = {"AccessTier": "ARCHIVE_ACCESS", "Days": 90}
    found["Raw"]["Properties"]["IntelligentTieringConfigurations"] = [
        {"Id": "a", "Status": "Enabled", "Tierings": [tier]}
    ]
    events = {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    found["Raw"]["Properties"]["NotificationConfiguration"] = events
    for logical_id in list(found):
        found[f"{logical_id}Door"] = _door(logical_id)
        if not kind.production:
            emptied = {"ServiceToken": att("Deployer"), "Bucket": ref(logical_id)}
            found[f"{logical_id}Emptied"] = made("Custom::S3AutoDeleteObjects", emptied)
    return {**found, **_lineage(kind), **_catalogue(kind)}


def _steps(*steps: tuple[int, str]) -> Json:
    return {"Transitions": [{"TransitionInDays": days, "StorageClass": one} for days, one in steps]}


def _replaced(days: int) -> Json:
    moved = [{"TransitionInDays": 30, "StorageClass": "GLACIER_IR"}] if days > 30 else []
    found: Json = {"NoncurrentVersionExpiration": {"NoncurrentDays": days}}
    return {**found, "NoncurrentVersionTransitions": moved} if moved else found


def _bucket(kind: Kind, purpose: str, rule: Json) -> Json:
    under = (
        {"SSEAlgorithm": "AES256"}
        if purpose == "logs"
        else {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": att("DataKey")}
    )
    default: Json = {"ServerSideEncryptionByDefault": under}
    properties: dict[str, Any] = {
        "BucketName": sub(bucket_text(kind, purpose)),
        "VersioningConfiguration": {"Status": "Enabled"},
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [default]},
        "LifecycleConfiguration": {"Rules": [rule]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    }
    if purpose != "logs":
        default["BucketKeyEnabled"] = True
        properties["LoggingConfiguration"] = {"DestinationBucketName": ref("Logs"), "LogFilePrefix": f"{purpose}/"}
    return made("AWS::S3::Bucket", properties, kind.keep)


def _door(bucket: str) -> Json:
    arn, objects = att(bucket), {"Fn::Join": ["", [att(bucket), "/*"]]}
    anyone: Json = {"Principal": "*"}
    statements = [
        deny("s3:*", [arn, objects], **anyone, Condition={"Bool": {"aws:SecureTransport": "false"}}),
        deny("s3:*", [arn, objects], **anyone, Condition={"NumericLessThan": {"s3:TlsVersion": 1.2}}),
        deny("s3:PutObject", objects, **anyone, Condition={"StringEquals": {"s3:x-amz-acl": PUBLIC}}),
    ]
    if bucket != "Logs":
        wrong = {"StringNotEquals": {SSE: "aws:kms"}, "Null": {SSE: "false"}}
        other = {"StringNotEquals": {KEY: att("DataKey")}, "Null": {KEY: "false"}}
        none = {"StringEquals": {SSE: "aws:kms"}, "Null": {KEY: "true"}}
        statements += [deny("s3:PutObject", objects, **anyone, Condition=one) for one in (wrong, other, none)]
    if bucket == "Curated":
        reader: Json = {"Principal": {"AWS": sub(f"arn:${{AWS::Partition}}:iam::{CONSUMER}:root")}}
        shared = {"Fn::Join": ["", [arn, "/lake/trades/*"]]}
        statements.append(allow("s3:GetObject", shared, **reader))
        listing = {"StringLike": {"s3:prefix": "lake/trades/*"}}
        statements.append(allow("s3:ListBucket", arn, **reader, Condition=listing))
    return made("AWS::S3::BucketPolicy", {"Bucket": ref(bucket), "PolicyDocument": document(*statements)})


def _lineage(kind: Kind) -> Json:
    properties = {
        "TableName": name(kind, "lineage"),
        "KeySchema": [
            {"AttributeName": "dataset", "KeyType": "HASH"},
            {"AttributeName": "sha256", "KeyType": "RANGE"},
        ],
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "DeletionProtectionEnabled": kind.production,
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": att("DataKey")},
    }
    return {"Lineage": made("AWS::DynamoDB::Table", properties, kind.keep)}


def database(kind: Kind) -> str:
    return f"tape_{kind.service}_{kind.environment}_a1"


def _catalogue(kind: Kind) -> Json:
    spec = {"fields": [{"name": "traded_at_day", "transform": "day", "source-id": 1}], "spec-id": 0}
    table = {
        "ServiceToken": att("Deployer"),
        "Database": database(kind),
        "Table": "trades_curated",
        "Metadata": json.dumps({"partition-specs": [spec]}),
    }
    group = {
        "EnforceWorkGroupConfiguration": True,
        "BytesScannedCutoffPerQuery": 10**12,
        "ResultConfiguration": {
            "OutputLocation": {"Fn::Join": ["", ["s3://", ref("Results"), "/athena/"]]},
            "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": att("DataKey")},
        },
    }
    named = {"Name": database(kind), "WorkGroupConfiguration": group}
    inside = {"CatalogId": ref("AWS::AccountId"), "DatabaseInput": {"Name": database(kind)}}
    return {
        "Database": made("AWS::Glue::Database", inside, kind.keep),
        "Trades": made("Custom::IcebergTable", table),
        "Queries": made("AWS::Athena::WorkGroup", named),
    }

"""Keys, the denies of every role, the topic."""

from __future__ import annotations

from .parts import (
    ACCOUNT_ROOT,
    CONSUMER,
    Json,
    Kind,
    allow,
    att,
    bucket_text,
    deny,
    document,
    here,
    made,
    name,
    ref,
    sub,
    text,
    via,
)

USE = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
ENDINGS = ["kms:DisableKey", "kms:ScheduleKeyDeletion"]


def security(kind: Kind) -> Json:
    alias = {"AliasName": sub(f"alias/{text(kind, 'data')}"), "TargetKeyId": ref("DataKey")}
    return {
        "DataKey": _key(kind, *_services(), _through(), _consumer(kind)),
        "LogsKey": _key(kind, _logs()),
        "DataAlias": made("AWS::KMS::Alias", alias),
        "Denies": _denies(kind),
        "Alerts": made("AWS::SNS::Topic", {"TopicName": name(kind, "alerts"), "KmsMasterKeyId": att("DataKey")}),
        "AlertsDoor": made("AWS::SNS::TopicPolicy", {"Topics": [ref("Alerts")], "PolicyDocument": _alerts_door()}),
    }


def _key(kind: Kind, *statements: Json) -> Json:
    manage = allow(["kms:DescribeKey", "kms:PutKeyPolicy", *ENDINGS], "*", Principal={"AWS": ACCOUNT_ROOT})
    properties = {
        "EnableKeyRotation": True,
        "PendingWindowInDays": 30 if kind.production else 7,
        "KeyPolicy": document(manage, *statements),
    }
    return made("AWS::KMS::Key", properties, kind.keep)


def _services() -> list[Json]:
    mine = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    names = ("cloudwatch", "sns", "events", "sqs", "kinesis", "glue")
    return [
        allow(
            ["kms:Decrypt", "kms:GenerateDataKey"], "*", Principal={"Service": f"{one}.amazonaws.com"}, Condition=mine
        )
        for one in names
    ]


def _through() -> Json:
    services = [via(one) for one in ("s3", "sqs", "sns", "kinesis", "dynamodb", "glue", "lambda")]
    condition = {"StringEquals": {"kms:CallerAccount": ref("AWS::AccountId"), "kms:ViaService": services}}
    return allow(USE, "*", Principal={"AWS": ACCOUNT_ROOT}, Condition=condition)


def _consumer(kind: Kind) -> Json:
    curated = sub(f"arn:${{AWS::Partition}}:s3:::{bucket_text(kind, 'curated')}*")
    condition = {
        "StringEquals": {"kms:CallerAccount": CONSUMER, "kms:ViaService": via("s3")},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": curated},
    }
    principal = {"AWS": sub(f"arn:${{AWS::Partition}}:iam::{CONSUMER}:root")}
    return allow("kms:Decrypt", "*", Principal=principal, Condition=condition)


def _logs() -> Json:
    principal = {"Service": sub("logs.${AWS::Region}.amazonaws.com")}
    condition = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": here("logs", "log-group:*")}}
    return allow(["kms:Decrypt", "kms:GenerateDataKey"], "*", Principal=principal, Condition=condition)


def _denies(kind: Kind) -> Json:
    keys = [att("DataKey"), att("LogsKey")]
    properties = {"ManagedPolicyName": name(kind, "denies"), "PolicyDocument": document(deny(ENDINGS, keys))}
    return made("AWS::IAM::ManagedPolicy", properties)


def _alerts_door() -> Json:
    mine = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    services = {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]}
    return document(allow("sns:Publish", ref("Alerts"), Principal=services, Condition=mine))

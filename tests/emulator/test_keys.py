"""Who may use what is encrypted with a key of one's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator import Emulator
from emulator.support import Stacks, allow, arn, eventually, function, ref, role

CODE = """
import boto3, os
def handler(event, context):
    s3 = boto3.client("s3")
    if event["what"] == "put":
        s3.put_object(Bucket=os.environ["BUCKET"], Key="k", Body=b"x")
    else:
        return s3.get_object(Bucket=os.environ["BUCKET"], Key="k")["Body"].read().decode()
"""
ROOT = {
    "Effect": "Allow",
    "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
    "Action": "kms:*",
    "Resource": "*",
}


def key(*statements: dict[str, Any]) -> dict[str, Any]:
    policy = {"Version": "2012-10-17", "Statement": [ROOT, *statements]}
    return {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy}}


def resources(*permissions: dict[str, Any]) -> dict[str, Any]:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn("Key")}
    rules = [{"ServerSideEncryptionByDefault": default}]
    encryption = {"BucketEncryption": {"ServerSideEncryptionConfiguration": rules}}
    return {
        "Key": key(),
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": encryption},
        "Role": role("lambda", allow("s3:PutObject", "s3:GetObject"), *permissions),
        "Function": function(CODE, Environment={"Variables": {"BUCKET": ref("Bucket")}}),
    }


@pytest.mark.parametrize("condition", ["s3.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com", None])
def test_an_encrypted_bucket_wants_the_use_of_its_key(
    emulator: Emulator, stacks: Stacks, condition: str | None
) -> None:
    under = {"Condition": {"StringEquals": {"kms:ViaService": condition}}} if condition is not None else None
    granted = [allow("kms:GenerateDataKey", "kms:Decrypt", resource=arn("Key")) | under] if under is not None else []
    out = stacks.deploy("encrypted", resources(*granted), {"Name": ref("Function"), "Bucket": ref("Bucket")})
    answers = []
    for what in ("put", "get"):
        payload = json.dumps({"what": what})
        answer = emulator.client("lambda").invoke(FunctionName=out["Name"], Payload=payload)
        answers.append(json.loads(answer["Payload"].read()))
    if condition == "s3.eu-west-1.amazonaws.com":
        assert answers == [None, "x"]
        calls = [call.action for call in emulator.calls(service="kms") if call.role.startswith("encrypted-Role")]
        assert calls[-2:] == ["kms:GenerateDataKey", "kms:Decrypt"]
        emulator.client("s3").delete_object(Bucket=out["Bucket"], Key="k")
    else:
        assert "AccessDenied" in answers[0]["errorMessage"]


@pytest.mark.parametrize("admitted", [True, False])
def test_a_rule_reaches_an_encrypted_queue_when_the_key_lets_it(
    emulator: Emulator, stacks: Stacks, admitted: bool
) -> None:
    events = {"Service": "events.amazonaws.com"}
    use = {"Effect": "Allow", "Principal": events, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"], "Resource": "*"}
    send = {"Effect": "Allow", "Principal": events, "Action": "sqs:SendMessage", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [send]}
    target = {"Id": "queue", "Arn": arn("Queue"), "DeadLetterConfig": {"Arn": arn("Dead")}}
    template = {
        "Key": key(use) if admitted else key(),
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": arn("Key")}},
        "Dead": {"Type": "AWS::SQS::Queue"},
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [ref("Queue"), ref("Dead")], "PolicyDocument": document},
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {"EventPattern": {"source": ["test.key"]}, "Targets": [target]},
        },
    }
    out = stacks.deploy("encrypted-queue", template, {"Queue": ref("Queue"), "Dead": ref("Dead")})
    emulator.client("events").put_events(Entries=[{"Source": "test.key", "DetailType": "x", "Detail": "{}"}])
    reached = out["Queue"] if admitted else out["Dead"]
    eventually(lambda: emulator.client("sqs").receive_message(QueueUrl=reached).get("Messages"))

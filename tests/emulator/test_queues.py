"""Objects and queues: events of buckets, rules, partial batches, dead letters."""

from __future__ import annotations

import json
from typing import Any

from emulator import Emulator
from emulator.support import Stacks, allow, arn, eventually, function, ref, role

CODE = """
def handler(event, context):
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"] if "bad" in r["body"]]}
"""
CONSUME = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def queues(**properties: Any) -> dict[str, Any]:
    redrive = {"deadLetterTargetArn": arn("Dead"), "maxReceiveCount": 2}
    return {
        "Dead": {"Type": "AWS::SQS::Queue"},
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"RedrivePolicy": redrive, "VisibilityTimeout": 1, **properties},
        },
    }


def policy(queue: str, service: str) -> dict[str, Any]:
    """Lets a service send to a queue."""
    send = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn(queue),
    }
    document = {"Version": "2012-10-17", "Statement": [send]}
    return {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [ref(queue)], "PolicyDocument": document}}


def receive(emulator: Emulator, queue: str, *, seconds: float = 20.0) -> dict[str, Any]:
    """The body of the next message, as JSON where it is JSON."""
    (found,) = eventually(
        lambda: emulator.client("sqs").receive_message(QueueUrl=queue).get("Messages"), seconds=seconds
    )
    return json.loads(found["Body"]) if found["Body"].startswith("{") else {"text": found["Body"]}


def test_what_a_function_reports_comes_again_and_ends_among_the_dead_letters(
    emulator: Emulator, stacks: Stacks
) -> None:
    resources = queues() | {
        "Role": role("lambda", allow(*CONSUME)),
        "Function": function(CODE),
        "Mapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": arn("Queue"),
                "FunctionName": ref("Function"),
                "BatchSize": 10,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
            },
        },
    }
    out = stacks.deploy("letters", resources, {"Queue": ref("Queue"), "Dead": ref("Dead")})
    sqs = emulator.client("sqs")
    sqs.send_message_batch(
        QueueUrl=out["Queue"],
        Entries=[{"Id": text, "MessageBody": text} for text in ("good", "bad")],
    )
    assert receive(emulator, out["Dead"]) == {"text": "bad"}
    attributes = sqs.get_queue_attributes(QueueUrl=out["Queue"], AttributeNames=["ApproximateNumberOfMessages"])
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_an_object_reaches_the_queue_through_a_rule_on_its_prefix(emulator: Emulator, stacks: Stacks) -> None:
    bucket = "objects-to-queue"
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": "landing/"}]}},
    }
    resources = queues() | {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": bucket,
                "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            },
        },
        "Policy": policy("Queue", "events"),
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": pattern,
                "Targets": [{"Id": "queue", "Arn": arn("Queue"), "DeadLetterConfig": {"Arn": arn("Dead")}}],
            },
        },
    }
    out = stacks.deploy("objects", resources, {"Queue": ref("Queue"), "Dead": ref("Dead")})
    s3 = emulator.client("s3")
    s3.put_object(Bucket=bucket, Key="other/a.csv", Body=b"x")
    s3.put_object(Bucket=bucket, Key="landing/trades/a b+c.csv", Body=b"xyz")
    event = receive(emulator, out["Queue"])
    assert event["detail"]["object"]["key"] == "landing/trades/a b+c.csv"
    assert event["detail"]["object"]["size"] == 3
    assert "Messages" not in left(emulator, out["Queue"])
    for key in ("other/a.csv", "landing/trades/a b+c.csv"):
        s3.delete_object(Bucket=bucket, Key=key)


def left(emulator: Emulator, queue: str) -> Any:
    return emulator.client("sqs").receive_message(QueueUrl=queue)


def test_an_event_that_cannot_be_delivered_is_a_dead_letter(emulator: Emulator, stacks: Stacks) -> None:
    resources = queues() | {
        "Policy": policy("Dead", "events"),
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": {"source": ["test.rule"]},
                "Targets": [
                    {
                        "Id": "gone",
                        "Arn": {"Fn::Sub": "arn:aws:sqs:${AWS::Region}:${AWS::AccountId}:no-such-queue"},
                        "DeadLetterConfig": {"Arn": arn("Dead")},
                        "RetryPolicy": {"MaximumRetryAttempts": 0},
                    }
                ],
            },
        },
    }
    out = stacks.deploy("undelivered", resources, {"Dead": ref("Dead")})
    entry = {"Source": "test.rule", "DetailType": "Lost", "Detail": '{"n": 1}'}
    emulator.client("events").put_events(Entries=[entry])
    assert receive(emulator, out["Dead"])["detail"] == {"n": 1}


def test_a_topic_reaches_a_queue(emulator: Emulator, stacks: Stacks) -> None:
    subscription = {"TopicArn": ref("Topic"), "Protocol": "sqs", "Endpoint": arn("Queue")}
    resources = queues() | {
        "Policy": policy("Queue", "sns"),
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Subscription": {"Type": "AWS::SNS::Subscription", "Properties": subscription},
    }
    out = stacks.deploy("told", resources, {"Topic": ref("Topic"), "Queue": ref("Queue")})
    emulator.client("sns").publish(TopicArn=out["Topic"], Subject="Budget", Message="too many")
    assert receive(emulator, out["Queue"])["Message"] == "too many"


def test_a_queue_that_lets_no_rule_in_gets_nothing(emulator: Emulator, stacks: Stacks) -> None:
    target = {"Id": "closed", "Arn": arn("Queue"), "DeadLetterConfig": {"Arn": arn("Dead")}}
    properties = {"EventPattern": {"source": ["test.closed"]}, "Targets": [target]}
    resources = queues() | {
        "Policy": policy("Dead", "events"),
        "Rule": {"Type": "AWS::Events::Rule", "Properties": properties},
    }
    out = stacks.deploy("closed", resources, {"Queue": ref("Queue"), "Dead": ref("Dead")})
    entry = {"Source": "test.closed", "DetailType": "Refused", "Detail": "{}"}
    emulator.client("events").put_events(Entries=[entry])
    assert receive(emulator, out["Dead"])["detail-type"] == "Refused"
    assert "Messages" not in left(emulator, out["Queue"])

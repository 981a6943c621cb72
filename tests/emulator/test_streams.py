"""Kinesis to a function: what is tried again, split, given up and reported, and by whose permission."""

from __future__ import annotations

import json
import time
from typing import Any

from emulator import Emulator
from emulator.support import Stacks, allow, arn, eventually, function, ref, role

# Notes each batch, reports the records it was told to report, and fails as a whole where it finds poison.
CODE = """
import base64, json, os, boto3
def handler(event, context):
    texts = [base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]
    boto3.client("sqs").send_message(QueueUrl=os.environ["SEEN"], MessageBody=json.dumps(texts))
    if "poison" in texts:
        raise ValueError("poison")
    return {"batchItemFailures": [{"itemIdentifier": r["kinesis"]["sequenceNumber"]}
                                  for r, t in zip(event["Records"], texts) if t.startswith("bad")]}
"""
READ = (
    "kinesis:DescribeStream",
    "kinesis:ListShards",
    "kinesis:GetShardIterator",
    "kinesis:GetRecords",
    "kinesis:SubscribeToShard",
)


def template(*permissions: str, fan_out: bool = False, **mapping: Any) -> dict[str, Any]:
    source = arn("Consumer", "ConsumerARN") if fan_out else arn("Stream")
    found = {
        "Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 1}},
        "Seen": {"Type": "AWS::SQS::Queue"},
        "Failed": {"Type": "AWS::SQS::Queue"},
        "Role": role("lambda", allow("sqs:SendMessage", *permissions)),
        "Function": function(CODE, Environment={"Variables": {"SEEN": ref("Seen")}}),
        "Mapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": source,
                "FunctionName": ref("Function"),
                "StartingPosition": "TRIM_HORIZON",
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "DestinationConfig": {"OnFailure": {"Destination": arn("Failed")}},
                **mapping,
            },
        },
    }
    if fan_out:
        properties = {"StreamARN": arn("Stream"), "ConsumerName": "fan"}
        found["Consumer"] = {"Type": "AWS::Kinesis::StreamConsumer", "Properties": properties}
    return found


OUTPUTS = {
    "Stream": ref("Stream"),
    "Seen": ref("Seen"),
    "Failed": ref("Failed"),
    "Role": ref("Role"),
    "Function": ref("Function"),
}


def put(emulator: Emulator, stream: str, *texts: str) -> list[str]:
    """Sequence numbers of the records, put as one batch."""
    records = [{"Data": text.encode(), "PartitionKey": "a"} for text in texts]
    return [
        r["SequenceNumber"]
        for r in emulator.client("kinesis").put_records(StreamName=stream, Records=records)["Records"]
    ]


def drain(emulator: Emulator, queue: str, count: int) -> list[Any]:
    """Bodies of the first `count` messages, in the order they came."""
    found: list[Any] = []

    def enough() -> bool:
        sqs = emulator.client("sqs")
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(found) >= count

    eventually(enough)
    return found


def test_what_follows_a_reported_record_is_tried_again_and_given_up_as_one_range(
    emulator: Emulator, stacks: Stacks
) -> None:
    out = stacks.deploy("reported", template(*READ, BatchSize=10, MaximumRetryAttempts=2), OUTPUTS)
    numbers = put(emulator, out["Stream"], "a", "bad", "c")
    assert drain(emulator, out["Seen"], 3) == [["a", "bad", "c"], ["bad", "c"], ["bad", "c"]]
    (given_up,) = drain(emulator, out["Failed"], 1)
    info = given_up["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"], info["batchSize"]) == (numbers[1], numbers[2], 2)
    assert given_up["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert given_up["requestContext"]["approximateInvokeCount"] == 3
    put(emulator, out["Stream"], "later")
    assert drain(emulator, out["Seen"], 1) == [["later"]]


def test_an_error_splits_the_batch_until_the_poison_is_alone(emulator: Emulator, stacks: Stacks) -> None:
    mapping = template(*READ, BatchSize=4, MaximumRetryAttempts=1, BisectBatchOnFunctionError=True)
    out = stacks.deploy("bisected", mapping, OUTPUTS)
    numbers = put(emulator, out["Stream"], "a", "b", "poison", "d")
    (given_up,) = drain(emulator, out["Failed"], 1)
    info = given_up["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"]) == (numbers[2], numbers[2])
    assert given_up["responseContext"]["functionError"] == "Unhandled"
    seen = drain(emulator, out["Seen"], 6)
    assert seen == [["a", "b", "poison", "d"], ["a", "b"], ["poison", "d"], ["poison"], ["poison"], ["d"]]


def test_records_past_their_age_are_given_up_without_a_call(emulator: Emulator, stacks: Stacks) -> None:
    mapping = template(*READ, BatchSize=10, MaximumRecordAgeInSeconds=1)
    mapping["Mapping"]["Properties"]["Enabled"] = False
    out = stacks.deploy("aged", mapping, OUTPUTS | {"Mapping": ref("Mapping")})
    put(emulator, out["Stream"], "old")
    time.sleep(1.2)
    emulator.client("lambda").update_event_source_mapping(UUID=out["Mapping"], Enabled=True)
    (given_up,) = drain(emulator, out["Failed"], 1)
    assert given_up["requestContext"]["condition"] == "MaxRecordAgeExceeded"
    put(emulator, out["Stream"], "young")
    assert drain(emulator, out["Seen"], 1) == [["young"]]


def test_a_fan_out_consumer_is_a_source_of_its_own(emulator: Emulator, stacks: Stacks) -> None:
    out = stacks.deploy("fanned", template(*READ, fan_out=True, BatchSize=10), OUTPUTS)
    put(emulator, out["Stream"], "a", "b")
    assert drain(emulator, out["Seen"], 1) == [["a", "b"]]
    subscribed = [c for c in emulator.calls(role=out["Role"]) if c.action == "kinesis:SubscribeToShard"]
    assert subscribed
    assert "/consumer/fan:" in subscribed[0].resource


def test_a_role_that_may_not_read_the_stream_gets_nothing(emulator: Emulator, stacks: Stacks) -> None:
    out = stacks.deploy("forbidden", template("kinesis:DescribeStream", BatchSize=10), OUTPUTS)
    put(emulator, out["Stream"], "a")

    def refused() -> bool:
        return any(not call.allowed for call in emulator.calls(role=out["Role"], service="kinesis"))

    eventually(refused)
    assert "Messages" not in emulator.client("sqs").receive_message(QueueUrl=out["Seen"])
    (mapping,) = emulator.client("lambda").list_event_source_mappings(FunctionName=out["Function"])[
        "EventSourceMappings"
    ]
    assert "not authorized to perform kinesis:ListShards" in mapping["LastProcessingResult"]


def test_records_of_a_new_shard_are_read_from_its_start(emulator: Emulator, stacks: Stacks) -> None:
    out = stacks.deploy("split", template(*READ, BatchSize=10, StartingPosition="LATEST"), OUTPUTS)

    def started() -> bool:
        put(emulator, out["Stream"], "before")
        return "Messages" in emulator.client("sqs").receive_message(QueueUrl=out["Seen"])

    eventually(started, every=0.5)
    kinesis = emulator.client("kinesis")
    kinesis.update_shard_count(StreamName=out["Stream"], TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    summary = kinesis.describe_stream_summary(StreamName=out["Stream"])["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 2
    shards = kinesis.list_shards(StreamName=out["Stream"])["Shards"]
    assert ["EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in shards] == [True, False, False]
    assert {shard["ParentShardId"] for shard in shards[1:]} == {shards[0]["ShardId"]}
    for number in range(8):
        kinesis.put_record(StreamName=out["Stream"], Data=b"after", PartitionKey=str(number))
    seen: list[str] = []

    def all_seen() -> bool:
        seen.extend(text for batch in drain(emulator, out["Seen"], 1) for text in batch if text == "after")
        return len(seen) == 8

    eventually(all_seen)

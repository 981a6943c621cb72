"""Dead letters get another try: counted, bounded, and never landed twice."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest

from emulator import Emulator
from tapehouse.errors import UsageError
from tapehouse.handlers import redrive as module
from tapehouse.handlers.arrivals import Arrival, arrivals_of
from tapehouse.handlers.letters import Queue
from tapehouse.handlers.redrive import Request, StreamRedrive, redrive, send_back, tell
from tapehouse.handlers.streaming import StreamValidator
from tapehouse.handlers.surroundings import Surroundings
from tapehouse.handlers.unfinished import Landed, Unfinished
from tapehouse.synthetic.truth import Generated

from .conftest import DATASET
from .shards import landed


class Place:
    """A stream, queues and a validator of one test."""

    def __init__(self, aws: Emulator, here: Surroundings) -> None:
        self.aws, self.sqs, self.kinesis = aws, aws.client("sqs"), aws.client("kinesis")
        self.stream = f"trades-{uuid.uuid4().hex[:8]}"
        self.kinesis.create_stream(StreamName=self.stream, ShardCount=1)
        self.kinesis.get_waiter("stream_exists").wait(StreamName=self.stream, WaiterConfig={"Delay": 1})
        self.arn = self.kinesis.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]["StreamARN"]
        self.here = replace(here, streams={self.stream: DATASET})
        self.letters, self.objects, self.back = (self._queue(name) for name in ("letters", "objects", "back"))
        self.validator = StreamValidator(self.here, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"))

    def _queue(self, name: str) -> str:
        return str(self.sqs.create_queue(QueueName=f"{name}-{uuid.uuid4().hex[:8]}")["QueueUrl"])

    def put(self, *payloads: bytes) -> list[dict[str, Any]]:
        return [self.kinesis.put_record(StreamName=self.stream, Data=one, PartitionKey="k") for one in payloads]

    def letter(self, records: list[dict[str, Any]], **changes: Any) -> None:
        """As the event source writes it."""
        batch = {
            "shardId": records[0]["ShardId"],
            "startSequenceNumber": records[0]["SequenceNumber"],
            "endSequenceNumber": records[-1]["SequenceNumber"],
            "batchSize": len(records),
            "streamArn": self.arn,
            **changes,
        }
        body = {"requestContext": {"condition": "RetryAttemptsExhausted"}, "KinesisBatchInfo": batch}
        self.sqs.send_message(QueueUrl=self.letters, MessageBody=json.dumps(body))

    def run(self, source: str = "all", limit: int = 100, *, dry_run: bool = False) -> dict[str, Any]:
        run = uuid.uuid4().hex
        queues = {"stream": Queue(self.sqs, self.letters, run), "objects": Queue(self.sqs, self.objects, run)}
        drives = {
            "stream": StreamRedrive(queues["stream"], self.kinesis, self.validator).drive,
            "objects": send_back(queues["objects"], self.back),
        }
        return redrive(Request(source, limit, dry_run), queues, drives, lambda: 100.0)

    def waiting(self, url: str) -> list[dict[str, Any]]:
        found = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"], WaitTimeSeconds=1
        )
        return list(found.get("Messages", []))

    def lines(self) -> list[bytes]:
        objects = landed(self.aws.client("s3"), self.here.raw_bucket, "landing/")
        return [line for _, body in objects for line in body.splitlines(keepends=True)[1:]]


@pytest.fixture
def place(aws: Emulator, here: Surroundings) -> Place:
    return Place(aws, here)


@pytest.fixture(scope="module")
def lines(tape: Generated) -> list[bytes]:
    return tape.files[0].read_bytes().splitlines(keepends=True)[1:9]


def test_records_of_a_letter_land_and_poison_stays(place: Place, lines: list[bytes]) -> None:
    records = place.put(lines[0], b"\xff", lines[1], lines[2], lines[3])
    place.letter(records[1:4])
    assert place.run("stream") == {
        "dry_run": False,
        "stream_letters": 1,
        "records_landed": 2,
        "records_landed_before": 0,
        "records_poison": 1,
        "records_lost": 0,
    }
    assert place.lines() == lines[1:3]
    (left,) = place.waiting(place.letters)
    batch = json.loads(left["Body"])["KinesisBatchInfo"]
    poison = records[1]["SequenceNumber"]
    assert (batch["startSequenceNumber"], batch["endSequenceNumber"], batch["batchSize"]) == (poison, poison, 1)
    assert left["MessageAttributes"]["attempts"]["StringValue"] == "1"
    again = place.run("stream")
    assert (again["records_landed"], again["records_poison"]) == (0, 1)
    (left,) = place.waiting(place.letters)
    assert left["MessageAttributes"]["attempts"]["StringValue"] == "2"
    assert place.lines() == lines[1:3]


def test_the_same_letter_twice_lands_nothing_twice(place: Place, lines: list[bytes]) -> None:
    records = place.put(*lines[:4])
    place.letter(records)
    place.letter(records[1:])
    counts = place.run("stream")
    assert (counts["records_landed"], counts["records_landed_before"]) == (4, 3)
    place.letter(records)
    assert place.run("stream")["records_landed_before"] == 4
    assert sorted(place.lines()) == sorted(lines[:4])
    assert place.waiting(place.letters) == []


def test_what_the_stream_keeps_no_more_is_counted_as_lost(place: Place, lines: list[bytes]) -> None:
    records = place.put(lines[0])
    place.letter(records, batchSize=4)
    counts = place.run("stream")
    assert (counts["records_landed"], counts["records_lost"]) == (1, 3)


class Forgetful:
    """A stream that keeps a position's records no more begins with the oldest that it keeps; the emulator refuses."""

    def __init__(self, kinesis: Any) -> None:
        self._kinesis = kinesis

    def get_shard_iterator(self, **request: Any) -> Any:
        del request["StartingSequenceNumber"]
        return self._kinesis.get_shard_iterator(**{**request, "ShardIteratorType": "TRIM_HORIZON"})

    def get_records(self, **request: Any) -> Any:
        return self._kinesis.get_records(**request)


def test_a_letter_of_records_that_are_all_lost_stays_as_it_is(place: Place, lines: list[bytes]) -> None:
    place.letter(place.put(lines[0]), shardId="shardId-000000000009")
    for attempt in ("1", "2"):
        assert place.run("stream")["records_lost"] == 1
        (left,) = place.waiting(place.letters)
        assert json.loads(left["Body"])["reason"] == "lost"
        assert left["MessageAttributes"]["attempts"]["StringValue"] == attempt


def test_a_letter_of_lost_records_stays(place: Place, lines: list[bytes]) -> None:
    """Those that can be read do not come again with it: poison has a letter of its own."""
    records = place.put(lines[0], b"\xff")
    place.kinesis = Forgetful(place.kinesis)
    first = int(records[0]["SequenceNumber"])
    place.letter(records, startSequenceNumber=str(first - 5), batchSize=4)
    counts = place.run("stream")
    assert (counts["records_landed"], counts["records_poison"], counts["records_lost"]) == (1, 1, 2)
    letters = {json.loads(one["Body"])["reason"]: one for one in place.waiting(place.letters)}
    lost = letters.pop("lost")
    batch = json.loads(lost["Body"])["KinesisBatchInfo"]
    assert (batch["startSequenceNumber"], batch["endSequenceNumber"]) == (str(first - 5), str(first - 1))
    assert batch["batchSize"] == 2
    assert lost["MessageAttributes"]["attempts"]["StringValue"] == "1"
    assert len(letters) == 1
    again = place.run("stream")
    assert (again["records_landed"], again["records_poison"], again["records_lost"]) == (0, 1, 2)
    attempts = [one["MessageAttributes"]["attempts"]["StringValue"] for one in place.waiting(place.letters)]
    assert attempts == ["2", "2"]


def test_a_dry_run_changes_nothing(place: Place, lines: list[bytes]) -> None:
    place.letter(place.put(lines[0]))
    place.sqs.send_message(QueueUrl=place.objects, MessageBody="{}")
    assert place.run(dry_run=True) == {"dry_run": True, "stream_letters": 1, "objects_letters": 1}
    assert place.run("objects", dry_run=True) == {"dry_run": True, "objects_letters": 1}
    assert place.lines() == []
    assert (len(place.waiting(place.letters)), len(place.waiting(place.objects))) == (1, 1)


def test_no_more_letters_are_taken_than_asked_for(place: Place) -> None:
    for number in range(5):
        place.sqs.send_message(QueueUrl=place.objects, MessageBody=str(number))
    assert place.run(limit=3)["objects_sent_back"] == 3
    assert len(place.waiting(place.objects)) == 2
    sent = place.waiting(place.back)
    assert len(sent) == 3
    assert {one["MessageAttributes"]["attempts"]["StringValue"] for one in sent} == {"1"}


def test_a_letter_that_is_none_stays(place: Place) -> None:
    place.sqs.send_message(QueueUrl=place.letters, MessageBody="no position")
    assert place.run("stream") == {"dry_run": False, "stream_unreadable": 1}
    assert [one["Body"] for one in place.waiting(place.letters)] == ["no position"]


def test_a_letter_that_fails_stays_for_others(place: Place, lines: list[bytes]) -> None:
    """Of a stream that the function is not told of."""
    place.letter(place.put(lines[0]))
    place.validator = StreamValidator(
        replace(place.here, streams={}), place.aws.client("s3"), place.aws.client("dynamodb"), place.aws.client("sns")
    )
    assert place.run("stream") == {"dry_run": False, "stream_failed": 1}
    assert len(place.waiting(place.letters)) == 1


def _ran(place: Place, name: str, status: str, hours: float) -> None:
    """An item of a run that ended so, or began, some hours ago."""
    at = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)).isoformat()
    item = {
        "dataset": DATASET,
        "sha256": name,
        "source": f"s3://{place.here.raw_bucket}/landing/{DATASET}/{name}.csv",
        "source_version": f"v-{name}",
        "status": status,
        "updated_at": at,
    }
    values = {key: {"S": value} for key, value in item.items()}
    place.aws.client("dynamodb").put_item(TableName=place.here.lineage_table, Item=values)


def landed_at(here: Surroundings) -> Landed:
    return Landed(f"s3://{here.raw_bucket}/landing/", here.lineage_table, here.started_seconds)


def _unfinished(place: Place) -> Unfinished:
    return Unfinished(landed_at(place.here), place.aws.client("dynamodb"), place.sqs, place.back)


def test_contents_of_runs_that_did_not_do_their_work_land_again(place: Place) -> None:
    for name, status, hours in (
        ("failed", "failed", 0),
        ("stopped", "stopped", 0),
        ("died", "started", 7),
        ("running", "started", 5),
        ("done", "published", 9),
        ("fresh", "validated", 9),
    ):
        _ran(place, name, status, hours)
    found = redrive(Request("runs", dry_run=True), {}, {}, lambda: 100.0, _unfinished(place))
    assert found == {"dry_run": True, "runs_unfinished": 3}
    assert redrive(Request("objects"), {}, {}, lambda: 100.0, _unfinished(place)) == {"dry_run": False}
    assert place.waiting(place.back) == []
    found = redrive(Request("runs"), {}, {}, lambda: 100.0, _unfinished(place))
    assert found == {"dry_run": False, "runs_sent_back": 3}
    sent = [arrivals_of(one["Body"]) for one in place.waiting(place.back)]
    keys = {name: f"landing/{DATASET}/{name}.csv" for name in ("failed", "stopped", "died")}
    expected = {Arrival(place.here.raw_bucket, key, f"v-{name}") for name, key in keys.items()}
    assert {one for arrivals in sent for one in arrivals} == expected


def test_no_more_contents_are_sent_back_than_asked_for(place: Place) -> None:
    for number in range(5):
        _ran(place, f"failed-{number}", "failed", 0)
    place.sqs.send_message(QueueUrl=place.objects, MessageBody="{}")
    request = Request("all", limit=3)
    queue = Queue(place.sqs, place.objects, "run-1")
    drives = {"objects": send_back(queue, place.back)}
    found = redrive(request, {"objects": queue}, drives, lambda: 100.0, _unfinished(place))
    assert (found["objects_sent_back"], found["runs_sent_back"]) == (1, 2)
    assert len(place.waiting(place.back)) == 3
    assert redrive(Request("runs"), {}, {}, lambda: 10.0, _unfinished(place)) == {"dry_run": False, "not_reached": 1}


def test_entry_point(place: Place, lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    class Context:
        aws_request_id = "run-1"

        def get_remaining_time_in_millis(self) -> int:
            return 100_000

    place.letter(place.put(lines[0]))
    here = place.here
    for name, value in {
        **place.aws.env,
        "TAPEHOUSE_STREAM_DLQ_URL": place.letters,
        "TAPEHOUSE_DLQ_URL": place.objects,
        "TAPEHOUSE_QUEUE_URL": place.back,
        "TAPEHOUSE_ENVIRONMENT": here.environment,
        "TAPEHOUSE_PIPELINE": here.pipeline,
        "TAPEHOUSE_RAW_BUCKET": here.raw_bucket,
        "TAPEHOUSE_LINEAGE_TABLE": here.lineage_table,
        "TAPEHOUSE_LANDED": f"s3://{here.raw_bucket}/landing/",
        "TAPEHOUSE_ALERT_TOPIC_ARN": here.alert_topic,
        "TAPEHOUSE_CONTRACTS": str(here.contracts),
        "TAPEHOUSE_STREAMS": json.dumps(here.streams),
        "TAPEHOUSE_PARALLELIZATION": "1",
    }.items():
        monkeypatch.setenv(name, value)
    module.client.cache_clear()
    began = time.monotonic()
    assert module.handler({"from": "all"}, Context())["records_landed"] == 1
    assert time.monotonic() - began < 20
    module.client.cache_clear()


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"from": "everything"}, "one of: stream, objects, undelivered, runs, all"),
        ({"limit": 0}, "from 1 to"),
        ({"limit": True}, "from 1 to"),
        ({"dry_run": "yes"}, "true or false"),
        ({"limits": 3}, "from, limit, dry_run"),
    ],
)
def test_a_wrong_request_is_told(event: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as error:
        Request.of(event)
    assert told in error.value.fix


def test_what_reached_nobody_is_told_to_people_once(aws: Emulator, here: Surroundings) -> None:
    place = Place(aws, here)
    sns, heard = aws.client("sns"), place._queue("heard")
    topic = sns.create_topic(Name=f"alerts-{uuid.uuid4().hex[:8]}")["TopicArn"]
    arn = place.sqs.get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sender]})
    place.sqs.set_queue_attributes(QueueUrl=heard, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    late, event = place._queue("late"), {"detail-type": "Glue Job State Change", "detail": {"state": "FAILED"}}
    place.sqs.send_message(QueueUrl=late, MessageBody=json.dumps(event))
    queue = Queue(place.sqs, late, "run-1")
    done = redrive(
        Request("undelivered"), {"undelivered": queue}, {"undelivered": tell(queue, sns, topic)}, lambda: 100.0
    )
    assert done == {"dry_run": False, "undelivered_told": 1}
    assert place.waiting(late) == []
    (message,) = place.waiting(heard)
    assert json.loads(json.loads(message["Body"])["Message"]) == event

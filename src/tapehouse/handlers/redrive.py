"""Lambda function that an operator invokes: gives dead letters another try when their cause has been removed.

    {"from": "stream" | "objects" | "undelivered" | "all", "limit": 100, "dry_run": false}

Letters of streams say where in a shard a batch was given up: its records are read again, judged and landed, those that
had landed already are left alone, and each that is still poison goes back as a letter of its own, with one attempt
more. Letters of objects go back to the queue of the object validator. What could not be delivered (an event of a failed
run, a scaling that did not start) is told to the topic of alerts: time has passed, and a person decides. At most
`limit` letters are taken; a dry run only says what there is. The answer counts what was done.

Calls: sqs:ReceiveMessage, DeleteMessage, ChangeMessageVisibility and GetQueueAttributes on each dead-letter queue;
sqs:SendMessage on that of streams and on the queue of objects; kinesis:GetShardIterator and GetRecords on the streams;
sns:Publish on the topic of alerts; and those of the stream validator.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse.errors import UsageError
from tapehouse.handlers.records import Position
from tapehouse.handlers.streaming import Delivered, StreamValidator
from tapehouse.handlers.surroundings import Surroundings, client, error_code, log, variable

LIMIT_DEFAULT = 100
LIMIT_MAX = 10_000
SOURCES = ("stream", "objects", "undelivered", "all")
RESERVE_SECONDS = 20
# A letter that is in work is hidden for as long as an invocation may take.
HIDDEN_SECONDS = 900
_RECEIVED_MAX = 10
_ATTEMPTS, _RUN = "attempts", "redrive"
# The position is older than what the stream keeps, or its shard is gone.
_LOST = ("ResourceNotFoundException", "InvalidArgumentException")


@dataclass(frozen=True, slots=True)
class Request:
    """What the operator asks for."""

    source: str = "all"
    limit: int = LIMIT_DEFAULT
    dry_run: bool = False

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Request:
        """Raises UsageError for an unknown key or a value out of bounds."""
        unknown = sorted(set(event) - {"from", "limit", "dry_run"})
        source, limit = event.get("from", "all"), event.get("limit", LIMIT_DEFAULT)
        dry = event.get("dry_run", False)
        if unknown:
            raise UsageError(f"unknown key {unknown[0]!r}", fix="give from, limit, dry_run")
        if source not in SOURCES:
            raise UsageError(f"from is {source!r}", fix=f"one of: {', '.join(SOURCES)}")
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LIMIT_MAX:
            raise UsageError(f"limit is {limit!r}", fix=f"a number from 1 to {LIMIT_MAX}")
        if not isinstance(dry, bool):
            raise UsageError(f"dry_run is {dry!r}", fix="true or false")
        return cls(source, limit, dry)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of a dead-letter queue. `attempts` are redrives before this one."""

    number: str
    receipt: str
    body: str
    attempts: int
    attributes: Mapping[str, Any]


class Queue:
    """Takes letters from a queue, each once in the life of this object."""

    def __init__(self, sqs: Any, url: str, run: str) -> None:
        self._sqs, self._url, self._run = sqs, url, run
        self._seen: set[str] = set()

    def waiting(self) -> int:
        """About how many letters there are."""
        name = "ApproximateNumberOfMessages"
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(found["Attributes"][name])

    def letters(self, limit: int) -> Iterator[Letter]:
        """At most `limit` letters, until there are none but those that this run has sent back."""
        taken = 0
        while taken < limit:
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(_RECEIVED_MAX, limit - taken),
                VisibilityTimeout=HIDDEN_SECONDS,
                MessageAttributeNames=["All"],
                WaitTimeSeconds=1,
            )
            letters = [_letter(message) for message in answer.get("Messages", [])]
            fresh = [one for one in letters if self._is_fresh(one)]
            for one in letters:
                if one not in fresh:
                    self.put_back(one)
            if not fresh:
                return
            self._seen |= {one.number for one in fresh}
            taken += len(fresh)
            yield from fresh

    def _is_fresh(self, letter: Letter) -> bool:
        sender = letter.attributes.get(_RUN, {}).get("StringValue")
        return letter.number not in self._seen and sender != self._run

    def put_back(self, letter: Letter) -> None:
        """Let others see a letter again."""
        self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)

    def done(self, letter: Letter) -> None:
        """Remove a letter."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)

    def send(self, url: str, body: str, attempts: int) -> None:
        """A letter to any queue, with its attempts."""
        self._sqs.send_message(
            QueueUrl=url,
            MessageBody=body,
            MessageAttributes={
                _ATTEMPTS: {"DataType": "Number", "StringValue": str(attempts)},
                _RUN: {"DataType": "String", "StringValue": self._run},
            },
        )

    def again(self, letter: Letter, body: str) -> None:
        """A letter of this queue that stays one."""
        self.send(self._url, body, letter.attempts + 1)


def _letter(message: Mapping[str, Any]) -> Letter:
    attributes = message.get("MessageAttributes") or {}
    attempts = int(attributes.get(_ATTEMPTS, {}).get("StringValue", "0"))
    return Letter(message["MessageId"], message["ReceiptHandle"], message["Body"], attempts, attributes)


class StreamRedrive:
    """Letters of the event source of streams."""

    def __init__(self, queue: Queue, kinesis: Any, validator: StreamValidator) -> None:
        self._queue, self._kinesis, self._validator = queue, kinesis, validator

    def drive(self, letter: Letter, counts: Counter[str]) -> None:
        """Process one letter. What is still poison, or was lost, goes back before the letter goes away."""
        try:
            batch = json.loads(letter.body)["KinesisBatchInfo"]
            stream = batch["streamArn"].rpartition("/")[2]
            first, last = int(batch["startSequenceNumber"]), int(batch["endSequenceNumber"])
        except (ValueError, KeyError, TypeError, AttributeError):
            counts["stream_unreadable"] += 1
            log("letter", queue="stream", reason="it is no position in a stream", attempts=letter.attempts)
            self._queue.put_back(letter)
            return
        at = Position(stream, batch["shardId"], batch["startSequenceNumber"])
        records = [one for one in self._read(at, last) if first <= one.at.order <= last]
        outcome = self._validator.process(records)
        # Of the batch as it was given up; records that the stream keeps no more are not among those read.
        lost = max(0, int(batch.get("batchSize", len(records))) - len(records))
        for poison, reason in outcome.poison.items():
            one = {**batch, "startSequenceNumber": poison.sequence, "endSequenceNumber": poison.sequence}
            body = {**json.loads(letter.body), "KinesisBatchInfo": {**one, "batchSize": 1}, "reason": reason}
            self._queue.again(letter, json.dumps(body))
        if lost:
            log("lost", stream=stream, shard=batch["shardId"], first=str(first), last=str(last), records=lost)
        self._queue.done(letter)
        counts["stream_letters"] += 1
        counts["records_landed"] += outcome.landed
        counts["records_landed_before"] += outcome.earlier
        counts["records_poison"] += len(outcome.poison)
        counts["records_lost"] += lost

    def _read(self, at: Position, last: int) -> Iterator[Delivered]:
        from botocore.exceptions import ClientError

        try:
            iterator = self._kinesis.get_shard_iterator(
                StreamName=at.stream,
                ShardId=at.shard,
                ShardIteratorType="AT_SEQUENCE_NUMBER",
                StartingSequenceNumber=at.sequence,
            )["ShardIterator"]
        except ClientError as error:
            if error_code(error) in _LOST:
                return
            raise
        while iterator:
            answer = self._kinesis.get_records(ShardIterator=iterator)
            for record in answer["Records"]:
                place = Position(at.stream, at.shard, record["SequenceNumber"])
                if place.order > last:
                    return
                arrived = record["ApproximateArrivalTimestamp"].astimezone(dt.UTC)
                yield Delivered(place, arrived, record["Data"])
            if not answer["Records"] and not answer.get("MillisBehindLatest"):
                return
            iterator = answer.get("NextShardIterator")


def redrive(
    request: Request,
    queues: Mapping[str, Queue],
    drives: Mapping[str, Callable[[Letter, Counter[str]], None]],
    seconds_left: Callable[[], float],
) -> dict[str, Any]:
    """Take letters of the queues asked for and drive each. A letter that fails is seen by others again, and counted."""
    counts: Counter[str] = Counter()
    chosen = [name for name in queues if request.source in ("all", name)]
    if request.dry_run:
        waiting = {name: min(queues[name].waiting(), request.limit) for name in chosen}
        return {"dry_run": True, **{f"{name}_letters": number for name, number in waiting.items()}}
    left = request.limit
    for name in chosen:
        for letter in queues[name].letters(left):
            left -= 1
            if seconds_left() <= RESERVE_SECONDS:
                queues[name].put_back(letter)
                counts["not_reached"] += 1
                continue
            try:
                drives[name](letter, counts)
            except Exception as error:
                counts[f"{name}_failed"] += 1
                log("letter", queue=name, reason=error_code(error), attempts=letter.attempts)
                queues[name].put_back(letter)
    log("redriven", source=request.source, **counts)
    return {"dry_run": False, **counts}


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Entry point. Raises UsageError for a wrong event."""
    request = Request.of(event or {})
    sqs, run = client("sqs"), str(context.aws_request_id)
    queues: dict[str, Queue] = {}
    drives: dict[str, Callable[[Letter, Counter[str]], None]] = {}
    if os.environ.get("TAPEHOUSE_STREAM_DLQ_URL"):
        queues["stream"] = Queue(sqs, variable("TAPEHOUSE_STREAM_DLQ_URL"), run)
        drives["stream"] = StreamRedrive(queues["stream"], client("kinesis"), _validator()).drive
    if os.environ.get("TAPEHOUSE_DLQ_URL"):
        objects, back = Queue(sqs, variable("TAPEHOUSE_DLQ_URL"), run), variable("TAPEHOUSE_QUEUE_URL")
        queues["objects"], drives["objects"] = objects, send_back(objects, back)
    if os.environ.get("TAPEHOUSE_UNDELIVERED_URL"):
        late, topic = Queue(sqs, variable("TAPEHOUSE_UNDELIVERED_URL"), run), variable("TAPEHOUSE_ALERT_TOPIC_ARN")
        queues["undelivered"], drives["undelivered"] = late, tell(late, client("sns"), topic)
    return redrive(request, queues, drives, lambda: context.get_remaining_time_in_millis() / 1000)


def send_back(queue: Queue, target: str) -> Callable[[Letter, Counter[str]], None]:
    """What is done with a letter of objects."""

    def drive(letter: Letter, counts: Counter[str]) -> None:
        queue.send(target, letter.body, letter.attempts + 1)
        queue.done(letter)
        counts["objects_sent_back"] += 1

    return drive


def tell(queue: Queue, sns: Any, topic: str) -> Callable[[Letter, Counter[str]], None]:
    """What is done with an event that reached nobody: people are told of it."""

    def drive(letter: Letter, counts: Counter[str]) -> None:
        sns.publish(TopicArn=topic, Subject="An event that could not be delivered", Message=letter.body)
        queue.done(letter)
        counts["undelivered_told"] += 1

    return drive


def _validator() -> StreamValidator:
    """Without rules compiled beforehand: it may have nothing to do."""
    return StreamValidator(Surroundings.read(), client("s3"), client("dynamodb"), client("sns"))

"""Lambda function that an operator invokes: gives dead letters another try when their cause has been removed.

    {"from": "stream" | "objects" | "undelivered" | "runs" | "all", "limit": 100, "dry_run": false}

Letters of streams say where in a shard a batch was given up: its records are read again, judged and landed, those that
had landed already are left alone, and each that is still poison goes back as a letter of its own, with one attempt
more. So do those that the stream keeps no more, as one letter with the reason `lost`: it stays until a person decides.
Letters of objects go back to the queue of the object validator. What could not be delivered (an event of a failed
run, a scaling that did not start) is told to the topic of alerts: time has passed, and a person decides. Contents whose
run failed, was stopped or died are found in the lineage table, and go to the queue of the object validator as if they
had just landed. At most `limit` are taken; a dry run only says what there is. The answer counts what was done.

Calls: sqs:ReceiveMessage, DeleteMessage, ChangeMessageVisibility and GetQueueAttributes on each dead-letter queue;
sqs:SendMessage on that of streams and on the queue of objects; kinesis:GetShardIterator and GetRecords on the streams;
dynamodb:Scan on the lineage table; sns:Publish on the topic of alerts; and those of the stream validator.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapehouse.errors import UsageError
from tapehouse.handlers.letters import Letter, Queue
from tapehouse.handlers.records import Position
from tapehouse.handlers.streaming import Delivered, StreamValidator
from tapehouse.handlers.surroundings import Surroundings, client, error_code, log, started_seconds, variable
from tapehouse.handlers.unfinished import Landed, Unfinished

LIMIT_DEFAULT = 100
LIMIT_MAX = 10_000
SOURCES = ("stream", "objects", "undelivered", "runs", "all")
RESERVE_SECONDS = 20
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
            left = {**batch, **_left(batch, records), "batchSize": lost}
            body = {**json.loads(letter.body), "KinesisBatchInfo": left, "reason": "lost"}
            self._queue.again(letter, json.dumps(body))
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


def _left(batch: Mapping[str, Any], records: Sequence[Delivered]) -> dict[str, str]:
    """Positions of a batch that are not among the records read: a stream forgets the oldest first."""
    first, last = int(batch["startSequenceNumber"]), int(batch["endSequenceNumber"])
    if not records:
        return {}
    if records[0].at.order > first:
        return {"endSequenceNumber": str(records[0].at.order - 1)}
    after = records[-1].at.order + 1
    return {"startSequenceNumber": str(after), "endSequenceNumber": str(max(after, last))}


def redrive(
    request: Request,
    queues: Mapping[str, Queue],
    drives: Mapping[str, Callable[[Letter, Counter[str]], None]],
    seconds_left: Callable[[], float],
    unfinished: Unfinished | None = None,
) -> dict[str, Any]:
    """Take letters of the queues asked for and drive each, then what is `unfinished`. A letter that fails is seen by
    others again, and counted.
    """
    counts: Counter[str] = Counter()
    chosen = [name for name in queues if request.source in ("all", name)]
    runs = unfinished if request.source in ("all", "runs") else None
    if request.dry_run:
        waiting = {f"{name}_letters": min(queues[name].waiting(), request.limit) for name in chosen}
        found = {} if runs is None else {"runs_unfinished": runs.waiting(request.limit)}
        return {"dry_run": True, **waiting, **found}
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
    if runs is not None:
        runs.send_back(left, counts, lambda: seconds_left() - RESERVE_SECONDS)
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
    unfinished = None
    if os.environ.get("TAPEHOUSE_DLQ_URL"):
        objects, back = Queue(sqs, variable("TAPEHOUSE_DLQ_URL"), run), variable("TAPEHOUSE_QUEUE_URL")
        queues["objects"], drives["objects"] = objects, send_back(objects, back)
        unfinished = Unfinished(_landed(), client("dynamodb"), sqs, back)
    if os.environ.get("TAPEHOUSE_UNDELIVERED_URL"):
        late, topic = Queue(sqs, variable("TAPEHOUSE_UNDELIVERED_URL"), run), variable("TAPEHOUSE_ALERT_TOPIC_ARN")
        queues["undelivered"], drives["undelivered"] = late, tell(late, client("sns"), topic)
    return redrive(request, queues, drives, lambda: context.get_remaining_time_in_millis() / 1000, unfinished)


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


def _landed() -> Landed:
    return Landed(variable("TAPEHOUSE_LANDED"), variable("TAPEHOUSE_LINEAGE_TABLE"), started_seconds())


def _validator() -> StreamValidator:
    """Without rules compiled beforehand: it may have nothing to do."""
    return StreamValidator(Surroundings.read(), client("s3"), client("dynamodb"), client("sns"))

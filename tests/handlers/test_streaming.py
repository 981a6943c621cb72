"""Records of streams land once, in order, whatever the event source does; what is landed is judged and told."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from emulator import Emulator
from tapehouse.contracts.load import load
from tapehouse.handlers import streaming
from tapehouse.handlers.landing import first_of
from tapehouse.handlers.records import PoisonError, header_of, lines_of
from tapehouse.handlers.stream_validator import delivered_of
from tapehouse.handlers.streaming import Delivered, StreamValidator
from tapehouse.handlers.surroundings import Surroundings
from tapehouse.synthetic.truth import Generated

from .conftest import CONTRACT, DATASET, make_bucket
from .shards import DyingS3, Feeder, delivered, landed, until_done

NINE = dt.datetime(2026, 11, 27, 9, 59, 58, tzinfo=dt.UTC)
SHARD = "shardId-000000000000"


@pytest.fixture(scope="module")
def lines(tape: Generated) -> list[bytes]:
    """Records of the tape, without its header."""
    return tape.files[0].read_bytes().splitlines(keepends=True)[1:]


@pytest.fixture
def validator(here: Surroundings, aws: Emulator) -> StreamValidator:
    return StreamValidator(here, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"))


def _records(payloads: Sequence[bytes], *, every_seconds: float = 0.5, stream: str = "trades") -> list[Delivered]:
    return [
        delivered(stream, SHARD, number, NINE + dt.timedelta(seconds=number * every_seconds), payload)
        for number, payload in enumerate(payloads)
    ]


def test_a_batch_lands_as_one_object_an_hour(
    validator: StreamValidator,
    here: Surroundings,
    aws: Emulator,
    lines: list[bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = validator.process(_records(lines[:10]))
    assert (outcome.landed, outcome.objects, outcome.poison) == (10, 2, {})
    found = landed(aws.client("s3"), here.raw_bucket, f"landing/{DATASET}/")
    header = header_of(load(CONTRACT))
    assert [body for _, body in found] == [header + b"".join(lines[:4]), header + b"".join(lines[4:10])]
    first = found[0][0]
    assert first.startswith(f"landing/{DATASET}/date=2026-11-27/hour=09/trades-{SHARD}-")
    assert found[1][0].startswith(f"landing/{DATASET}/date=2026-11-27/hour=10/trades-{SHARD}-")
    head = aws.client("s3").head_object(Bucket=here.raw_bucket, Key=first)["Metadata"]
    assert (head["judged"], head["rows"], head["records"]) == ("stream", "4", "4")
    item = aws.client("dynamodb").get_item(
        TableName=here.lineage_table, Key={"dataset": {"S": DATASET}, "sha256": {"S": head["sha256"]}}
    )["Item"]
    assert item["status"] == {"S": "validated"}
    assert item["source"] == {"S": f"s3://{here.raw_bucket}/{first}"}
    days = (int(item["expires_at"]["N"]) - dt.datetime.now(dt.UTC).timestamp()) / 86_400
    assert days == pytest.approx(load(CONTRACT).retention.lineage_days or 0, abs=0.01)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sizes = [line["BytesIn"] for line in told if "BytesIn" in line]
    assert sizes == [len(body) for _, body in found]
    assert sum("FreshnessSeconds" in line for line in told) == 2
    assert not any(name.startswith("Rows") for line in told for name in line)  # the run counts them
    embedded = next(line for line in told if "BytesIn" in line)
    assert embedded["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Tapehouse"
    assert {name: embedded[name] for name in ("Environment", "Pipeline", "Dataset")} == {
        "Environment": "test-x1",
        "Pipeline": "stream",
        "Dataset": DATASET,
    }
    values = {field for line in lines[:10] for field in line.decode().strip().split(",") if len(field) > 6}
    assert not any(value in json.dumps(line) for line in told for value in values)


def test_header_is_that_of_files(tape: Generated) -> None:
    assert tape.files[0].read_bytes().splitlines(keepends=True)[0] == header_of(load(CONTRACT))


def test_compressed_records_and_those_of_many_lines(validator: StreamValidator, aws: Emulator, here: Surroundings,
                                                     lines: list[bytes]) -> None:  # fmt: skip
    payloads = [
        gzip.compress(b"".join(lines[:3])),
        zstandard.compress(b"".join(lines[3:5])),
        b"".join(lines[5:7]).rstrip(b"\n"),
    ]
    validator.process(_records(payloads, every_seconds=0))
    ((_, body),) = landed(aws.client("s3"), here.raw_bucket, f"landing/{DATASET}/")
    assert body.splitlines(keepends=True)[1:] == lines[:7]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"caf\xe9,1\n", "not UTF-8 at byte 3"),
        (gzip.compress(b"1,2\n" * 50)[:-9], "decompressed"),
        (b"\x1f\x8bnothing", "decompressed"),
        (zstandard.compress(b"1,2\n" * 50)[:-3], "decompressed"),
        (b"1," + b"2" * (1 << 20) + b"\n", "max_record_bytes"),
        (gzip.compress(b"\n" * (40 << 20)), "more than"),
    ],
    ids=["nothing", "blank", "latin", "cut-gzip", "no-gzip", "cut-zstd", "long-line", "bomb"],
)
def test_poison_is_told_by_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(PoisonError, match=reason):
        lines_of(payload, load(CONTRACT).feed)


def test_a_line_may_be_as_long_as_the_contract_says() -> None:
    feed = load(CONTRACT).feed
    most = b"2" * feed.max_record_bytes
    assert lines_of(most, feed) == most + b"\n"
    with pytest.raises(PoisonError):
        lines_of(most + b"2", feed)


def test_poison_is_reported_and_what_is_around_it_lands(
    validator: StreamValidator, aws: Emulator, here: Surroundings, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tapehouse.handlers import stream_validator

    records = _records([lines[0], b"\xff", lines[1], lines[2]], every_seconds=0)
    event = _event(records)
    monkeypatch.setattr(stream_validator, "_validator", validator)
    poison = records[1].at.sequence
    for _ in range(3):
        assert stream_validator.handler(event, None) == {"batchItemFailures": [{"itemIdentifier": poison}]}
    bodies = [body for _, body in landed(aws.client("s3"), here.raw_bucket, f"landing/{DATASET}/")]
    assert [body.splitlines(keepends=True)[1:] for body in bodies] == [[lines[0]], lines[1:3]]


def _event(records: Sequence[Delivered]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventID": f"{one.at.shard}:{one.at.sequence}",
                "eventSourceARN": f"arn:aws:kinesis:us-east-1:000000000000:stream/{one.at.stream}/consumer/c:1",
                "kinesis": {
                    "sequenceNumber": one.at.sequence,
                    "partitionKey": "k",
                    "data": base64.b64encode(one.payload).decode(),
                    "approximateArrivalTimestamp": one.arrived.timestamp(),
                },
            }
            for one in records
        ]
    }


def test_an_event_is_read_as_it_was_delivered(lines: list[bytes]) -> None:
    records = _records([lines[0], gzip.compress(lines[1])])
    assert delivered_of(_event(records)) == records


def test_a_broken_budget_is_told_once_a_minute(
    here: Surroundings, aws: Emulator, lines: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=f"told-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    topic = aws.client("sns").create_topic(Name=f"alerts-{uuid.uuid4().hex[:8]}")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    told = replace(here, alert_topic=topic)
    validator = StreamValidator(told, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"))
    bad = [line.replace(line.split(b",")[4], b"-5.0", 1) for line in lines[:5]]
    validator.process(_records([*bad, *lines[5:10]], every_seconds=0))
    validator.process(_records(bad, every_seconds=0.001, stream="trades")[2:])
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", [])
    assert len(messages) == 1
    alert = json.loads(json.loads(messages[0]["Body"])["Message"])
    facts = alert["facts"]
    assert facts["dataset"] == DATASET
    rule = next(one for one in facts["rules"] if one["code"] != "(all rejected rows)")
    assert rule["count"] >= 5
    assert rule["rows"] == 10
    assert rule["share"] > rule["bound"]
    assert '"event": "quality"' in capsys.readouterr().out


def test_two_attempts_at_the_same_time_land_it_once(
    validator: StreamValidator, aws: Emulator, here: Surroundings, lines: list[bytes]
) -> None:
    """One looks, the other puts, the first puts: the condition of the put decides."""
    records = _records(lines[:6], every_seconds=0)
    other = StreamValidator(here, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"))

    class Slow(DyingS3):
        def put_object(self, **request: Any) -> Any:
            if not landed(aws.client("s3"), here.raw_bucket, "landing/"):
                other.process(records[:4])
            return super().put_object(**request)

    mine = StreamValidator(here, Slow(aws.client("s3")), aws.client("dynamodb"), aws.client("sns"))
    outcome = mine.process(records)
    assert (outcome.landed, outcome.earlier) == (2, 4)
    bodies = [body for _, body in landed(aws.client("s3"), here.raw_bucket, "landing/")]
    assert [line for body in bodies for line in body.splitlines(keepends=True)[1:]] == lines[:6]


kinds = st.lists(st.sampled_from(["good", "good", "good", "copy", "poison", "gap"]), min_size=1, max_size=14)
crashes = st.lists(st.sampled_from(["", "", "before", "after", "after"]), max_size=10)


def test_lowering_parallelization_lands_nothing_twice(here: Surroundings, aws: Emulator, lines: list[bytes]) -> None:
    """Objects of several lanes interleave: one that begins before a record need not be the one that holds it."""
    records = _records(lines[:6], every_seconds=0)
    clients = [aws.client(name) for name in ("s3", "dynamodb", "sns")]
    many = StreamValidator(replace(here, lanes=2), *clients)
    many.process([records[0], records[3], records[4]])
    many.process([records[1], records[2]])
    one = StreamValidator(here, *clients)
    assert here.lanes == 1
    outcome = one.process(records[3:])
    assert (outcome.landed, outcome.earlier) == (1, 2)
    assert one.process(records).earlier == 6
    objects = landed(aws.client("s3"), here.raw_bucket, f"landing/{DATASET}/")
    assert sorted(line for _, body in objects for line in body.splitlines(keepends=True)[1:]) == sorted(lines[:6])


@pytest.mark.parametrize("lanes", [1, 3])
@settings(
    max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
@given(kinds=kinds, crashes=crashes, data=st.data())
def test_every_good_record_lands_once_and_in_order(
    deployed: Surroundings,
    aws: Emulator,
    lines: list[bytes],
    lanes: int,
    kinds: list[str],
    crashes: list[str],
    data: st.DataObject,
) -> None:
    """Batches of any size, in one lane or three; a sandbox that dies before or after any put; halves or whole batches
    that come again; poison given up and redriven, before and after it can be decoded.
    """
    shard = SHARD
    s3 = DyingS3(aws.client("s3"))
    s3.plan = list(crashes)
    here = replace(deployed, lanes=lanes, raw_bucket=make_bucket(aws, f"raw-{uuid.uuid4().hex[:12]}"))
    datasets = _shared_datasets(here)

    def start() -> StreamValidator:
        """A fresh sandbox: it remembers nothing."""
        made = StreamValidator(here, s3, aws.client("dynamodb"), aws.client("sns"))
        made._datasets = datasets
        return made

    records, expected, spoilt = _shard(shard, kinds, lines)
    feeder = Feeder(start, lambda many: data.draw(st.integers(0, many - 1)) if many > 1 else 0)
    feeder.feed(_batches(records, lanes, data))
    note(f"letters: {[[one.at.sequence[-6:] for one in letter] for letter in feeder.letters]}")
    found = _landed_lines(s3, here, shard)
    good = [expected[one.at.sequence] for one in records if one.at.sequence not in spoilt]
    # Objects of several lanes interleave; within one, and in a single lane, the order is that of the shard.
    assert found == good if lanes == 1 else sorted(found) == sorted(good)
    for _, body in landed(s3, here.raw_bucket, f"landing/{DATASET}/"):
        mine = body.splitlines(keepends=True)[1:]
        assert [good.index(line) for line in mine] == sorted(good.index(line) for line in mine)
    for letter in feeder.letters:
        until_done(start, letter)
    assert _landed_lines(s3, here, shard) == found
    # The cause is removed: what was poison can be read.
    for letter in feeder.letters:
        until_done(start, [replace(one, payload=expected[one.at.sequence]) for one in letter])
    mended = {one.at.sequence for letter in feeder.letters for one in letter}
    assert sorted(_landed_lines(s3, here, shard)) == sorted(
        expected[one.at.sequence] for one in records if one.at.sequence not in spoilt or one.at.sequence in mended
    )
    assert spoilt <= mended


_known: dict[str, Any] = {}


def _shared_datasets(here: Surroundings) -> Any:
    """Rules are compiled once for all examples."""
    key = str(here.contracts)
    if key not in _known:
        _known[key] = streaming.Datasets(here.contracts, here.references)
    return _known[key]


def _shard(shard: str, kinds: list[str], lines: list[bytes]) -> tuple[list[Delivered], dict[str, bytes], set[str]]:
    """Records that cross an hour at every gap, the line expected of each, and the sequence numbers of poison."""
    records: list[Delivered] = []
    expected: dict[str, bytes] = {}
    spoilt: set[str] = set()
    at = NINE
    for number, kind in enumerate(kinds):
        at += dt.timedelta(minutes=40) if kind == "gap" else dt.timedelta(milliseconds=10)
        # Copies have the content of the record before them, and are records of their own.
        line = lines[number - (kind == "copy" and number > 0)]
        payload = b"\xff\xfe" if kind == "poison" else line
        one = delivered("trades", shard, number, at, payload)
        records.append(one)
        expected[one.at.sequence] = line
        if kind == "poison":
            spoilt.add(one.at.sequence)
    return records, expected, spoilt


def _batches(records: list[Delivered], lanes: int, data: st.DataObject) -> list[list[list[Delivered]]]:
    """Of each lane, its records cut into batches."""
    owners = st.lists(st.integers(0, lanes - 1), min_size=len(records), max_size=len(records))
    lane_of = data.draw(owners, label="lane of each record")
    out: list[list[list[Delivered]]] = []
    for lane in range(lanes):
        mine = [one for one, owner in zip(records, lane_of, strict=True) if owner == lane]
        size = data.draw(st.integers(1, 6), label="records of a batch")
        out.append([mine[start : start + size] for start in range(0, len(mine), size)])
    return out


def _landed_lines(s3: Any, here: Surroundings, shard: str) -> list[bytes]:
    """Lines of the shard's objects by the place of their records."""
    prefix = f"landing/{DATASET}/"
    found: list[tuple[int, bytes]] = []
    for key, body in landed(s3, here.raw_bucket, prefix):
        if shard in key:
            found += [(first_of(key), line) for line in body.splitlines(keepends=True)[1:]]
    return [line for _, line in sorted(found, key=lambda one: one[0])]

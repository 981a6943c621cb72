"""What a run tells AWS: an item for each batch, metrics, messages. It never fails because nobody listens."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tapehouse import api, aws
from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError, UsageError
from tapehouse.observe.batch_table import BatchItem, BatchTable
from tapehouse.observe.cloudwatch import CloudWatch
from tapehouse.runs.result import RunResult, Status
from tapehouse.synthetic.truth import Generated

from .support import Cloud

DATASET = "consolidated_trades"


@dataclass
class Watchers:
    """A table, a topic with a queue behind it, and a namespace of metrics."""

    cloud: Cloud
    topic: str
    queue: str

    @property
    def targets(self) -> dict[str, Any]:
        metrics = f"cloudwatch:Tapehouse/{self.cloud.name}?Environment=test-x1&Pipeline=lake"
        return {"lineage": [f"dynamodb://{self.cloud.name}"], "alerts": [self.topic], "metrics": metrics}

    def items(self) -> dict[str, dict[str, Any]]:
        """Items by the digest of their batch."""
        found = self.cloud.client("dynamodb").scan(TableName=self.cloud.name)["Items"]
        return {item["sha256"]["S"]: item for item in found}

    def messages(self) -> list[dict[str, Any]]:
        answer = self.cloud.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(json.loads(one["Body"])["Message"]) for one in answer.get("Messages", ())]

    def metrics(self) -> dict[str, float]:
        """Sums by name, with exactly the dimensions they should have."""
        client, namespace = self.cloud.client("cloudwatch"), f"Tapehouse/{self.cloud.name}"
        now, out = datetime.now(UTC), dict[str, float]()
        for metric in client.list_metrics(Namespace=namespace)["Metrics"]:
            assert {one["Name"]: one["Value"] for one in metric["Dimensions"]} == {
                "Environment": "test-x1",
                "Pipeline": "lake",
                "Dataset": DATASET,
            }
            points = client.get_metric_statistics(
                Namespace=namespace,
                MetricName=metric["MetricName"],
                Dimensions=metric["Dimensions"],
                StartTime=now - timedelta(hours=1),
                EndTime=now + timedelta(hours=1),
                Period=7200,
                Statistics=["Sum"],
            )["Datapoints"]
            out[metric["MetricName"]] = sum(point["Sum"] for point in points)
        return out


@pytest.fixture
def watchers(cloud: Cloud) -> Watchers:
    cloud.client("dynamodb").create_table(
        TableName=cloud.name,
        KeySchema=[
            {"AttributeName": "dataset", "KeyType": "HASH"},
            {"AttributeName": "sha256", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "dataset", "AttributeType": "S"},
            {"AttributeName": "sha256", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    topic = cloud.client("sns").create_topic(Name=cloud.name)["TopicArn"]
    queue = cloud.client("sqs").create_queue(QueueName=cloud.name)["QueueUrl"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return Watchers(cloud, topic, queue)


def run(watchers: Watchers, contract: Contract, tape: Generated, locations: list[str]) -> RunResult:
    return api.run(contract, locations, lake=watchers.cloud.open(), references=tape.reference, **watchers.targets)


def test_an_item_for_each_batch(
    watchers: Watchers, contract: Contract, tape: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPEHOUSE_JOB_RUN_ID", "jr_1")
    locations = watchers.cloud.deliver(tape.files)
    before = datetime.now(UTC)
    made = run(watchers, contract, tape, locations)
    assert [note for note in made.notes if "not told" in note] == []
    items = watchers.items()
    assert set(items) == {batch.digest for batch in made.batches}
    for batch in made.batches:
        item = items[batch.digest]
        assert item["dataset"] == {"S": DATASET}
        assert item["source"] == {"S": batch.origin}
        assert item["source"]["S"].startswith("s3://")
        assert item["status"] == {"S": "published"}
        assert (item["rows"], item["bytes"]) == ({"N": str(batch.proof.records)}, {"N": str(batch.size)})
        assert item["run_id"] == {"S": made.run_id}
        assert item["job_run_id"] == {"S": "jr_1"}
        assert {"S": "consolidated_trades.curated"} in item["outputs"]["L"]
        expires = datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC)
        assert timedelta(days=89) < expires - before < timedelta(days=91)
        assert datetime.fromisoformat(item["landed_at"]["S"]) >= before
    counted = dict[str, int]()
    for item in items.values():
        for code, number in item["rules"]["M"].items():
            counted[code] = counted.get(code, 0) + int(number["N"])
    assert counted == {**made.rules, **made.warnings}


def test_what_others_wrote_of_a_batch_stays(watchers: Watchers, contract: Contract, tape: Generated) -> None:
    """A validator made the item: when the batch landed and which job was started for it is its to say."""
    digest = watchers.cloud.open().raw.digest(tape.files[0])
    key = {"dataset": {"S": DATASET}, "sha256": {"S": digest}}
    known = {"landed_at": {"S": "2024-01-01"}, "source_version": {"S": "v1"}, "job_run_id": {"S": "jr_0"}}
    watchers.cloud.client("dynamodb").put_item(
        TableName=watchers.cloud.name, Item={**key, **known, "status": {"S": "started"}}
    )
    run(watchers, contract, tape, watchers.cloud.deliver(tape.files[:1]))
    item = watchers.items()[digest]
    assert item["status"] == {"S": "published"}
    assert {name: item[name] for name in known} == known


def test_a_batch_that_the_lake_held_is_published(watchers: Watchers, contract: Contract, tape: Generated) -> None:
    """Its job may have died between publishing and telling."""
    locations = watchers.cloud.deliver(tape.files[:1])
    api.run(contract, locations, lake=watchers.cloud.open(), references=tape.reference)
    again = run(watchers, contract, tape, locations)
    assert again.status == Status.NOTHING
    [item] = watchers.items().values()
    assert item["status"] == {"S": "published"}
    assert watchers.metrics() == {}


def test_a_run_that_stops(watchers: Watchers, contract: Contract, tape: Generated) -> None:
    locations = watchers.cloud.deliver(tape.files)
    made = run(watchers, replace(contract, budget=0.0001), tape, locations)
    assert made.status == Status.STOPPED
    assert {item["status"]["S"] for item in watchers.items().values()} == {"stopped"}
    [message] = watchers.messages()
    assert message["severity"] == "critical"
    assert message["facts"]["rules"] == dict(made.rules)
    told = watchers.metrics()
    assert (told["RunsStopped"], told["RunsPublished"], told["RunsFailed"]) == (1, 0, 0)
    assert (told["RowsIn"], told["RowsCurated"], told["RowsQuarantined"]) == (3000, 0, 0)
    assert "LatencySeconds" not in told


def test_metrics_of_a_run(watchers: Watchers, contract: Contract, tape: Generated) -> None:
    made = run(watchers, contract, tape, watchers.cloud.deliver(tape.files))
    told, counts = watchers.metrics(), made.proof.counts
    rejected = counts["quarantined"]
    assert {name: told[name] for name in told if name.startswith(("Rows", "Runs", "Bytes"))} == {
        "RowsIn": 3000,
        "RowsValid": 3000 - rejected,
        "RowsRejected": rejected,
        "RowsDuplicate": counts["duplicates"],
        "RowsCurated": counts["curated"],
        "RowsQuarantined": rejected,
        "RunsPublished": 1,
        "RunsStopped": 0,
        "RunsFailed": 0,
    }
    assert told["Completeness"] == pytest.approx(100 * (3000 - rejected) / 3000)
    assert 0 < told["LatencySeconds"] < 600
    assert told["FreshnessSeconds"] > 365 * 86_400  # the tape is of 2024


def test_a_run_that_fails(watchers: Watchers, contract: Contract, tape: Generated, tmp_path: Path) -> None:
    """What was published before stays so, whatever becomes of a later run that is given it again."""
    good = watchers.cloud.deliver(tape.files[:1])
    run(watchers, contract, tape, good)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    bad = watchers.cloud.deliver([wrong])
    with pytest.raises(FeedError):
        run(watchers, contract, tape, [*good, *bad])
    status = {item["source"]["S"]: item["status"]["S"] for item in watchers.items().values()}
    assert status == {good[0]: "published", bad[0]: "failed"}
    assert watchers.metrics()["RunsFailed"] == 1
    assert [message["facts"]["error"] for message in watchers.messages()] == ["FeedError"]


def test_nobody_listens(cloud: Cloud, contract: Contract, tape: Generated, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table and a topic that are not there: the run stands, and says what it could not tell."""
    topic = "arn:aws:sns:eu-west-1:000000000000:nobody"
    made = api.run(
        contract,
        cloud.deliver(tape.files[:1]),
        lake=cloud.open(),
        references=tape.reference,
        lineage=["dynamodb://no-table-of-that-name"],
        alerts=[topic],
        metrics="cloudwatch:Tapehouse?Environment=test&Pipeline=lake",
    )
    assert made.status == Status.PUBLISHED
    assert [note for note in made.notes if "dynamodb://no-table-of-that-name" in note and "1 of 1 batches" in note]
    assert api.verify(cloud.lake).ok
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    aws.forget()
    item = BatchItem(DATASET, "0" * 64, "s3://a/b", 1, "published", datetime.now(UTC))
    assert not BatchTable("table").tell([item]).delivered
    metrics = CloudWatch("Tapehouse", (("Environment", "x"), ("Pipeline", "y")))
    told = metrics.tell(DATASET, {"RowsIn": 1}, item.updated_at)
    assert not told.delivered
    assert "connect" in told.warning.lower()
    aws.forget()


@pytest.mark.parametrize(
    "target",
    [
        "cloudwatch:",
        "cloudwatch:Tapehouse",
        "cloudwatch:Tapehouse?Environment=a",
        "cloudwatch:Tapehouse?Environment=a&Pipeline=b&Dataset=c",
        "cloudwatch:AWS/S3?Environment=a&Pipeline=b",
        "cloudwatch:Tapehouse?Environment=&Pipeline=b",
    ],
)
def test_metrics_targets_that_are_refused(cloud: Cloud, contract: Contract, tape: Generated, target: str) -> None:
    with pytest.raises(UsageError, match="metrics: "):
        api.run(contract, tape.files, lake=cloud.open(), references=tape.reference, metrics=target)


@pytest.mark.parametrize("target", ["dynamodb://", "dynamodb://a/b", "dynamodb://a b", "dynamodb://ab"])
def test_tables_that_are_refused(cloud: Cloud, contract: Contract, tape: Generated, target: str) -> None:
    with pytest.raises(UsageError, match="names no table"):
        api.run(contract, tape.files, lake=cloud.open(), references=tape.reference, lineage=[target])


def test_lineage_that_no_server_took_waits_in_the_lake(cloud: Cloud, contract: Contract, tape: Generated) -> None:
    """The working copy is gone by then: the next run, wherever it is, sends what waits."""
    taken: list[dict[str, Any]] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Server, bind_and_activate=False)
    server.server_bind()  # the port is ours, and nobody answers
    target = f"http://127.0.0.1:{server.server_port}"
    given = {"references": tape.reference, "lineage": [target]}
    first = api.run(contract, cloud.deliver(tape.files[:1]), lake=cloud.open(), **given)
    assert [note for note in first.notes if f"kept in {cloud.lake}/spool/lineage-" in note]
    assert len(cloud.keys("lake/spool/")) == 2
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        api.run(contract, cloud.deliver(tape.files[1:2]), lake=cloud.lake, **given)
    finally:
        server.shutdown()
        server.server_close()
    assert [event["eventType"] for event in taken] == ["START", "COMPLETE", "START", "COMPLETE"]
    assert cloud.keys("lake/spool/") == []

"""What an operator does with a deployment: the program's commands, and looking at what AWS shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from emulator import Emulator

PROGRAM = Path(sys.executable).with_name("tapehouse")
SUFFIX = "e2e"
COMMAND_SECONDS_MAX = 300
T = TypeVar("T")


@dataclass
class Operator:
    """`folder` has the settings and a copy of their contract."""

    aws: Emulator
    folder: Path
    settings: Path

    @staticmethod
    def write_settings(folder: Path) -> Path:
        """Settings as `cloud init` writes them, with a suffix that tests can name and a consumer."""
        _call("cloud", "init", str(folder))
        path = folder / "cloud.yaml"
        lines = [line for line in path.read_text().splitlines() if not line.startswith(("suffix:", "region:"))]
        path.write_text("\n".join([*lines, f"suffix: {SUFFIX}", f"region: {Emulator.region}", ""]))
        return path

    def run(self, *words: str) -> Any:
        """The program's answer, as JSON."""
        return _call(*words, "--settings", str(self.settings), "--json", **self.aws.env)

    def synth(self, blueprint: str, suffix: str = SUFFIX) -> Path:
        out = self.folder / f"{blueprint}-{suffix}"
        if not out.exists():
            self.run("cloud", "synth", "--blueprint", blueprint, "--suffix", suffix, "--out", str(out))
        return out

    def deploy(self, blueprint: str, suffix: str = SUFFIX) -> Deployed:
        assembly = self.synth(blueprint, suffix)
        done = self.run(
            "cloud", "deploy", "--blueprint", blueprint, "--suffix", suffix, "--assembly", str(assembly), "--yes"
        )
        outputs = {key: value for stack in done["stacks"] for key, value in stack["outputs"].items()}
        return Deployed(self.aws, blueprint, suffix, assembly, outputs, done)

    def destroy(self, deployed: Deployed) -> dict[str, Any]:
        return self.run(
            "cloud", "destroy", "--blueprint", deployed.blueprint, "--suffix", deployed.suffix,
            "--assembly", str(deployed.assembly), "--yes",
        )  # fmt: skip


@dataclass
class Deployed:
    """A deployment and what can be seen of it. `outputs` is all that tests know of its names."""

    aws: Emulator
    blueprint: str
    suffix: str
    assembly: Path
    outputs: dict[str, str]
    report: dict[str, Any]
    _probe: str = field(default="", repr=False)

    def land(self, path: Path, key: str) -> None:
        """Deliver a file."""
        self.aws.client("s3").upload_file(str(path), self.outputs["RawBucket"], f"landing/{key}")

    def lineage(self) -> list[dict[str, Any]]:
        """Items of the lineage table, in plain values."""
        from boto3.dynamodb.types import TypeDeserializer

        plain = TypeDeserializer().deserialize
        found = self.aws.client("dynamodb").scan(TableName=self.outputs["LineageTable"])["Items"]
        return [{name: plain(value) for name, value in item.items()} for item in found]

    def wait_for_status(self, status: str, *, sources: int, seconds: float = 120) -> list[dict[str, Any]]:
        """Lineage items with that status, once there are `sources`."""

        def look() -> list[dict[str, Any]] | None:
            items = self.lineage()
            found = [item for item in items if item["status"] == status]
            bad = [item for item in items if item["status"] in ("failed", "stopped") and item["status"] != status]
            assert not bad, (bad, self.job_logs())
            return found if len(found) >= sources else None

        return wait(look, seconds, lambda: f"{self.lineage()}\n{self.job_logs()}\n{self.aws.logs()[-3000:]}")

    def job_runs(self) -> list[dict[str, Any]]:
        return self.aws.client("glue").get_job_runs(JobName=self.outputs["GlueJob"])["JobRuns"]

    def wait_for_jobs(self, count: int, seconds: float = 120) -> list[dict[str, Any]]:
        """All job runs, once there are `count` and none is at work."""

        def look() -> list[dict[str, Any]] | None:
            runs = self.job_runs()
            done = all(run["JobRunState"] not in ("STARTING", "RUNNING", "STOPPING") for run in runs)
            return runs if done and len(runs) >= count else None

        return wait(look, seconds, self.job_logs)

    def job_logs(self) -> str:
        return "\n".join(self.aws.job_log(run["Id"])[-2500:] for run in self.job_runs())

    def query(self, sql: str) -> list[list[str | None]]:
        """Rows of a query through Athena, in the deployment's workgroup."""
        athena = self.aws.client("athena")
        asked = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": self.outputs["Database"]},
            WorkGroup=self.outputs["Workgroup"],
        )["QueryExecutionId"]

        def look() -> dict[str, Any] | None:
            status = athena.get_query_execution(QueryExecutionId=asked)["QueryExecution"]["Status"]
            return status if status["State"] in ("SUCCEEDED", "FAILED") else None

        status = wait(look, 30)
        assert status["State"] == "SUCCEEDED", status
        rows = athena.get_query_results(QueryExecutionId=asked)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows[1:]]

    def listen(self) -> None:
        """Subscribe a queue to the topic of alerts."""
        sqs, sns = self.aws.client("sqs"), self.aws.client("sns")
        self._probe = sqs.create_queue(QueueName=f"probe-{self.blueprint}-{self.suffix}")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._probe, AttributeNames=["QueueArn"])["Attributes"]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": attributes["QueueArn"],
                }
            ],
        }
        sqs.set_queue_attributes(QueueUrl=self._probe, Attributes={"Policy": json.dumps(policy)})
        sns.subscribe(TopicArn=self.outputs["AlertTopicArn"], Protocol="sqs", Endpoint=attributes["QueueArn"])

    def alerts(self) -> list[dict[str, Any]]:
        """Our alerts since `listen` that were not returned before; those of CloudWatch's alarms are not among them."""
        sqs, found = self.aws.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self._probe, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                text = json.loads(message["Body"])["Message"]
                told = json.loads(text) if text.startswith("{") else {}
                found += [told] if told.get("source") == "tapehouse" else []
                sqs.delete_message(QueueUrl=self._probe, ReceiptHandle=message["ReceiptHandle"])
        return found

    def metric(self, name: str, dataset: str, statistic: str = "Sum") -> float:
        """Sum (or another statistic) of one of our metrics over the last hour."""
        import datetime as dt

        now = dt.datetime.now(dt.UTC)
        service = "stream" if self.blueprint == "market-stream" else "lake"
        values = {"Environment": f"test-{self.suffix}", "Pipeline": service, "Dataset": dataset}
        points = self.aws.client("cloudwatch").get_metric_statistics(
            Namespace="Tapehouse",
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in values.items()],
            StartTime=now - dt.timedelta(hours=1),
            EndTime=now + dt.timedelta(minutes=5),
            Period=3600,
            Statistics=[statistic],
        )["Datapoints"]
        return sum(point[statistic] for point in points)

    def waiting(self, queue: str) -> int:
        """Messages in the queue of that output."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.aws.client("sqs").get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    def hasten(self, queue: str) -> None:
        """Let a message of the queue come again after a second, in place of the function's timeout times six."""
        self.aws.client("sqs").set_queue_attributes(QueueUrl=self.outputs[queue], Attributes={"VisibilityTimeout": "1"})

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """What the function of that output answers."""
        answer = self.aws.client("lambda").invoke(
            FunctionName=self.outputs[function], Payload=json.dumps(event).encode()
        )
        body = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, body
        return body


def wait(look: Callable[[], T | None], seconds: float, told: Callable[[], str] = lambda: "") -> T:
    """What `look` finds, once it is not None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(0.25)
    raise AssertionError(f"not within {seconds:g} s: {told()}")


def _call(*words: str, **variables: str) -> Any:
    done = subprocess.run(
        [PROGRAM, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS_MAX,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout) if "--json" in words else done.stdout

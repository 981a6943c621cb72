"""Runs of jobs: the script really runs, as the job's role, and its end is told."""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator
from emulator.support import Stacks, allow, arn, eventually, ref, role

SPARK = """
import argparse, boto3, ours
from pyspark.sql import SparkSession
parser = argparse.ArgumentParser()
parser.add_argument("--bucket"); parser.add_argument("--input"); parser.add_argument("--JOB_NAME")
given, _ = parser.parse_known_args()
spark = SparkSession.builder.getOrCreate()
total = spark.range(int(given.input)).groupBy().sum("id").first()[0]
body = f"{total} {ours.NAME} {given.JOB_NAME} {spark.conf.get('spark.sql.session.timeZone')}"
boto3.client("s3").put_object(Bucket=given.bucket, Key="total", Body=body)
spark.stop()
"""
FAILS = """
import sys
print("starting")
raise ValueError("no such dataset")
"""
WAITS = """
import time
time.sleep(60)
"""
FORBIDDEN = """
import boto3
boto3.client("s3").list_buckets()
"""


@pytest.fixture
def jobs(emulator: Emulator, stacks: Stacks, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A bucket with scripts and a job for each of them, whose names are the keys."""
    bucket = "glue-jobs"
    objects = [allow("s3:GetObject", "s3:PutObject", resource=f"arn:aws:s3:::{bucket}/*")]
    resources: dict[str, Any] = {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}},
        "Role": role("glue", *objects),
        "Dead": {"Type": "AWS::SQS::Queue"},
    }
    for name, retries in {"Spark": 0, "Fails": 1, "Waits": 0, "Forbidden": 0}.items():
        resources[name] = {
            "Type": "AWS::Glue::Job",
            "Properties": {
                "Role": arn("Role"),
                "GlueVersion": "6.0",
                "Command": {"Name": "glueetl", "ScriptLocation": f"s3://{bucket}/{name}.py", "PythonVersion": "3"},
                "MaxRetries": retries,
                "ExecutionProperty": {"MaxConcurrentRuns": 1},
                "DefaultArguments": {
                    "--bucket": bucket,
                    "--input": "3",
                    "--extra-py-files": f"s3://{bucket}/ours.zip",
                    "--conf": "spark.sql.session.timeZone=UTC --conf spark.sql.shuffle.partitions=1",
                },
            },
        }
    out = stacks.deploy("jobs", resources, {name: ref(name) for name in ("Spark", "Fails", "Waits", "Forbidden")})
    s3 = emulator.client("s3")
    for name, body in {"Spark": SPARK, "Fails": FAILS, "Waits": WAITS, "Forbidden": FORBIDDEN}.items():
        s3.put_object(Bucket=bucket, Key=f"{name}.py", Body=body.encode())
    with zipfile.ZipFile(tmp_path / "ours.zip", "w") as archive:
        archive.writestr("ours.py", "NAME = 'shipped'")
    s3.put_object(Bucket=bucket, Key="ours.zip", Body=(tmp_path / "ours.zip").read_bytes())
    yield out | {"bucket": bucket}
    for found in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=found["Key"])


def ended(emulator: Emulator, job: str, run: str) -> dict[str, Any]:
    def state() -> Any:
        found = emulator.client("glue").get_job_run(JobName=job, RunId=run)["JobRun"]
        return found if found["JobRunState"] not in ("STARTING", "RUNNING") else None

    return eventually(state, seconds=60)


def test_a_spark_script_runs_with_its_arguments_and_modules(emulator: Emulator, jobs: dict[str, str]) -> None:
    run = emulator.client("glue").start_job_run(JobName=jobs["Spark"], Arguments={"--input": "5"})["JobRunId"]
    found = ended(emulator, jobs["Spark"], run)
    assert found["JobRunState"] == "SUCCEEDED", emulator.job_log(run)
    body = emulator.client("s3").get_object(Bucket=jobs["bucket"], Key="total")["Body"].read().decode()
    assert body == f"10 shipped {jobs['Spark']} UTC"
    now = dt.datetime.now(dt.UTC)
    points = emulator.client("cloudwatch").get_metric_statistics(
        Namespace="Glue",
        MetricName="glue.driver.aggregate.elapsedTime",
        Dimensions=[
            {"Name": n, "Value": v} for n, v in (("JobName", jobs["Spark"]), ("JobRunId", "ALL"), ("Type", "count"))
        ],
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(hours=1),
        Period=3600,
        Statistics=["Maximum"],
    )["Datapoints"]
    assert points[0]["Maximum"] > 0
    writes = [
        call
        for call in emulator.calls(service="s3")
        if call.action == "s3:PutObject" and "GlueJobRunner" in call.principal
    ]
    assert writes


def test_a_failed_run_tells_its_last_line_is_tried_again_and_is_an_event(
    emulator: Emulator, stacks: Stacks, jobs: dict[str, str]
) -> None:
    send = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn("Queue")}
    document = {"Version": "2012-10-17", "Statement": [send]}
    pattern = {
        "source": ["aws.glue"],
        "detail-type": ["Glue Job State Change"],
        "detail": {"jobName": [jobs["Fails"]], "state": ["FAILED"]},
    }
    resources = {
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [ref("Queue")], "PolicyDocument": document},
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {"EventPattern": pattern, "Targets": [{"Id": "queue", "Arn": arn("Queue")}]},
        },
    }
    queue = stacks.deploy("job-events", resources, {"Queue": ref("Queue")})["Queue"]
    run = emulator.client("glue").start_job_run(JobName=jobs["Fails"])["JobRunId"]
    first = ended(emulator, jobs["Fails"], run)
    assert (first["JobRunState"], first["ErrorMessage"]) == ("FAILED", "ValueError: no such dataset")
    again = ended(emulator, jobs["Fails"], f"{run}_attempt_1")
    assert (again["JobRunState"], again["Attempt"], again["PreviousRunId"]) == ("FAILED", 1, run)
    messages: list[Any] = []

    def told() -> bool:
        messages.extend(
            emulator.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        )
        return len(messages) == 2

    eventually(told)
    detail = json.loads(messages[0]["Body"])["detail"]
    assert (detail["severity"], detail["message"]) == ("ERROR", "ValueError: no such dataset")


def test_one_run_more_than_allowed_is_refused_and_a_run_can_be_stopped(
    emulator: Emulator, jobs: dict[str, str]
) -> None:
    glue = emulator.client("glue")
    run = glue.start_job_run(JobName=jobs["Waits"])["JobRunId"]
    with pytest.raises(ClientError) as caught:
        glue.start_job_run(JobName=jobs["Waits"])
    assert caught.value.response["Error"]["Code"] == "ConcurrentRunsExceededException"
    eventually(lambda: glue.get_job_run(JobName=jobs["Waits"], RunId=run)["JobRun"]["JobRunState"] == "RUNNING")
    glue.batch_stop_job_run(JobName=jobs["Waits"], JobRunIds=[run])
    assert ended(emulator, jobs["Waits"], run)["JobRunState"] == "STOPPED"


def test_a_job_may_do_what_its_role_may(emulator: Emulator, jobs: dict[str, str]) -> None:
    run = emulator.client("glue").start_job_run(JobName=jobs["Forbidden"])["JobRunId"]
    found = ended(emulator, jobs["Forbidden"], run)
    assert found["JobRunState"] == "FAILED"
    assert "AccessDenied" in found["ErrorMessage"]

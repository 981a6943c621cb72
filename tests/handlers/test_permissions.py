"""What functions call is what `permissions` says, and what their docstrings say."""

from __future__ import annotations

import importlib
import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulator import Emulator
from tapehouse.handlers.object_validator import ObjectValidator
from tapehouse.handlers.permissions import PERMISSIONS
from tapehouse.handlers.redrive import Request, redrive
from tapehouse.handlers.streaming import StreamValidator
from tapehouse.handlers.surroundings import Surroundings
from tapehouse.handlers.unfinished import Unfinished
from tapehouse.synthetic.truth import Generated

from . import test_deployment as deployments
from .conftest import DATASET
from .test_objects import event, glue, job, place  # noqa: F401 - fixtures
from .test_redrive import Place, landed_at
from .test_streaming import _records

# Asked by the emulator of a request that AWS authorizes under another name.
_SAME = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket"}


@pytest.fixture
def calls(aws: Emulator) -> Callable[[], Iterator[set[str]]]:
    """The actions asked for in a `with`."""

    @contextmanager
    def recorded() -> Iterator[set[str]]:
        before = len(aws.calls())
        actions: set[str] = set()
        yield actions
        # Jobs that other tests have started call as their role, and the emulator writes their logs.
        ours = [call for call in aws.calls()[before:] if not call.role and call.service != "logs"]
        actions |= {_SAME.get(call.action, call.action) for call in ours}

    return recorded


def _allowed(name: str) -> set[str]:
    return {action for action, _ in PERMISSIONS[name]}


def test_stream_validator(
    calls: Callable[..., Iterator[set[str]]], here: Surroundings, aws: Emulator, tape: Generated
) -> None:
    lines = tape.files[0].read_bytes().splitlines(keepends=True)[1:]
    bad = [line.replace(line.split(b",")[4], b"-1", 1) for line in lines[:5]]
    with calls() as seen:
        for _ in range(2):
            made = StreamValidator(here, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"))
            made.process(_records(bad, every_seconds=0))
    assert {"s3:ListBucket", "s3:PutObject", "s3:GetObject", "dynamodb:PutItem", "sns:Publish"} <= seen
    assert seen <= _allowed("stream_validator")


def test_object_validator(
    calls: Callable[..., Iterator[set[str]]],
    place: Surroundings,  # noqa: F811
    glue: object,  # noqa: F811
    aws: Emulator,
    tape: Generated,
) -> None:
    key = f"landing/{DATASET}/{uuid.uuid4().hex}.csv"
    content = tape.files[0].read_bytes() + uuid.uuid4().hex.encode()
    aws.client("s3").put_object(Bucket=place.raw_bucket, Key=key, Body=content)
    s3, replaced = aws.client("s3"), f"landing/{DATASET}/replaced.csv"
    s3.put_bucket_versioning(Bucket=place.raw_bucket, VersioningConfiguration={"Status": "Enabled"})
    version, _ = (s3.put_object(Bucket=place.raw_bucket, Key=replaced, Body=body)["VersionId"] for body in (b"1", b"2"))
    many = [f"landing/{DATASET}/{number}.csv" for number in range(11)]
    for one in many:
        s3.put_object(Bucket=place.raw_bucket, Key=one, Body=content + one.encode())
    with calls() as seen:
        made = ObjectValidator(place, aws.client("s3"), aws.client("dynamodb"), aws.client("sns"), glue)
        assert made.process({"m": event(place.raw_bucket, key)}) == []
        assert made.process({"m": event(place.raw_bucket, replaced, version)}) == []
        assert made.process({str(n): event(place.raw_bucket, one) for n, one in enumerate(many)}) == []
    assert {"s3:GetObject", "dynamodb:UpdateItem", "dynamodb:GetItem", "glue:StartJobRun", "s3:PutObject"} <= seen
    assert seen <= _allowed("object_validator") | {"iam:PassRole"}


def test_redrive(calls: Callable[..., Iterator[set[str]]], here: Surroundings, aws: Emulator, tape: Generated) -> None:
    stream = Place(aws, here)
    line = tape.files[0].read_bytes().splitlines(keepends=True)[1]
    stream.letter(stream.put(line, b"\xff"))
    stream.sqs.send_message(QueueUrl=stream.letters, MessageBody="no position")
    with calls() as seen:
        stream.run(dry_run=True)
        stream.run()
        runs = Unfinished(landed_at(stream.here), aws.client("dynamodb"), stream.sqs, stream.back)
        redrive(Request("runs"), {}, {}, lambda: 100.0, runs)
    assert {
        "dynamodb:Scan",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
        "kinesis:GetRecords",
        "sqs:GetQueueAttributes",
    } <= seen
    assert seen <= _allowed("redrive")


def test_deployment(calls: Callable[..., Iterator[set[str]]], aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    deployments.client.cache_clear()
    bucket = deployments.make_bucket(aws, f"files-{uuid.uuid4().hex[:8]}")
    s3, database = aws.client("s3"), f"db_{uuid.uuid4().hex[:8]}"
    aws.client("glue").create_database(DatabaseInput={"Name": database})
    s3.put_object(Bucket=bucket, Key="asset.zip", Body=deployments._archive({"a": b"1", "b": b"2" * (17 << 20)}))
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    metadata = json.dumps(deployments.METADATA)
    location = f"s3://{bucket}/lake/t"
    table = {"Database": database, "Table": "t", "Metadata": metadata, "Location": location, "Destroy": "true"}
    release = {"SourceBucket": bucket, "SourceKey": "asset.zip", "TargetBucket": bucket, "Prefix": "releases/a"}
    with calls() as seen:
        for kind, properties in (
            ("IcebergTable", table),
            ("ReleaseFiles", release),
            ("S3AutoDeleteObjects", {"BucketName": bucket}),
        ):
            for request in ("Create", "Delete"):
                event = {"RequestType": request, "StackId": "s", "LogicalResourceId": "l"}
                event |= {"ResourceType": f"Custom::{kind}", "PhysicalResourceId": f"{kind.lower()}-1"}
                answer = deployments.deployment.answer_to({**event, "ResourceProperties": properties}, lambda: 60.0)
                assert not answer.reason
    deployments.client.cache_clear()
    assert {"s3:ListBucketVersions", "s3:DeleteObjectVersion", "glue:CreateTable", "glue:DeleteTable"} <= seen
    assert seen <= _allowed("deployment")


@pytest.mark.parametrize("name", sorted(PERMISSIONS))
def test_docstrings_say_the_same(name: str) -> None:
    module = importlib.import_module(f"tapehouse.handlers.{name.removesuffix('_objects')}")
    told = module.__doc__ or ""
    if name.startswith("redrive"):
        told += importlib.import_module("tapehouse.handlers.stream_validator").__doc__ or ""
    words = set(re.findall(r"[A-Za-z]+", told))
    assert {action.partition(":")[2] for action, _ in PERMISSIONS[name]} <= words
    assert Path(module.__file__ or "").is_file()

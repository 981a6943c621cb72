"""What AWS refuses, what takes too long, and what was left half done."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from emulator import Emulator
from tapehouse.cloud.deploy import (
    DeploymentError,
    Event,
    StackFailedError,
    StackTimeoutError,
    Target,
    deploy,
    destroy,
    diff,
)
from tapehouse.cloud.deploy.assembly import Assembly
from tapehouse.cloud.deploy.assets import bucket_exists, empty_and_remove, ensure_bucket, publish
from tapehouse.cloud.deploy.stacks import Operation, find
from tapehouse.cloud.deploy.target import told

from .assemblies import Writer, parameter, queue


@pytest.fixture
def place(emulator: Emulator) -> dict[str, Any]:
    return {"session": emulator.session(), "endpoint": emulator.endpoint}


def key_session(emulator: Emulator, key: str, secret: str = "test") -> boto3.Session:
    return boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name=emulator.region)


@pytest.fixture
def reader(emulator: Emulator) -> Iterator[boto3.Session]:
    """A user who may ask who it is, and list buckets; nothing else."""
    iam = emulator.client("iam")
    iam.create_user(UserName="reader")
    statement = {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    yield key_session(emulator, made["AccessKeyId"], made["SecretAccessKey"])
    iam.delete_access_key(UserName="reader", AccessKeyId=made["AccessKeyId"])
    iam.delete_user_policy(UserName="reader", PolicyName="read")
    iam.delete_user(UserName="reader")


def test_who_is_not_let_in_is_told_what_to_do(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DeploymentError, match="no region is chosen"):
        Target.of(endpoint=emulator.endpoint)
    with pytest.raises(DeploymentError, match="there are no credentials") as caught:
        Target.of(endpoint=emulator.endpoint, region="eu-west-1")
    assert "AWS_PROFILE" in caught.value.fix
    with pytest.raises(DeploymentError, match="does not accept the credentials"):
        Target.of(session=key_session(emulator, "AKIAUNKNOWNUNKNOWN00"), endpoint=emulator.endpoint)


def test_an_endpoint_that_does_not_answer_is_named(emulator: Emulator) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    session = emulator.session()
    with pytest.raises(DeploymentError, match=f"{endpoint} does not answer") as caught:
        Target.of(session=session, endpoint=endpoint)
    assert caught.value.fix == "check the endpoint and the network"


def test_a_bucket_that_is_not_ours_is_not_used(emulator: Emulator, writer: Writer, place: dict[str, Any]) -> None:
    bucket = f"tape-assets-one-{emulator.account}-{emulator.region}"
    other = key_session(emulator, "222222222222").client("s3", endpoint_url=emulator.endpoint)
    other.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": emulator.region})
    with pytest.raises(DeploymentError, match=f"bucket {bucket} cannot be used"):
        deploy(writer.stack("main", {"Q": queue("m")}), **place)
    other.delete_bucket(Bucket=bucket)


def test_who_may_not_upload_is_told(
    emulator: Emulator, writer: Writer, place: dict[str, Any], reader: boto3.Session
) -> None:
    assembly = writer.stack("main", {"Q": queue("m")})
    with pytest.raises(DeploymentError, match="AccessDenied at CreateBucket") as caught:
        deploy(assembly, session=reader, endpoint=emulator.endpoint)
    assert "give the caller that permission" in caught.value.fix
    target = Target.of(**place)
    bucket = target.fill(writer.bucket)
    ensure_bucket(target, bucket, {})
    with pytest.raises(DeploymentError, match=f"s3://{bucket}/assets/.* cannot be looked at") as caught:
        publish(Target.of(session=reader, endpoint=emulator.endpoint), Assembly.read(assembly).stacks[0], print)
    assert "s3:GetObject" in caught.value.fix
    destroy(assembly, **place)


def test_an_endpoint_that_goes_away_is_told(emulator: Emulator) -> None:
    @told
    def ask() -> None:
        config = Config(retries={"max_attempts": 0})
        emulator.session().client("s3", endpoint_url="http://127.0.0.1:1", config=config).list_buckets()

    with pytest.raises(DeploymentError, match="AWS could not be asked") as caught:
        ask()
    assert caught.value.fix == "check the network, then ask again"


def test_who_may_not_see_a_stack_is_told(emulator: Emulator, writer: Writer, reader: boto3.Session) -> None:
    place = {"session": emulator.session(), "endpoint": emulator.endpoint}
    assembly = writer.stack("main", {"Q": queue("m")})
    deploy(assembly, **place)
    with pytest.raises(DeploymentError, match="main: AccessDenied at DescribeStacks") as caught:
        diff(assembly, session=reader, endpoint=emulator.endpoint)
    assert "permission" in caught.value.fix
    destroy(assembly, **place)


def test_a_template_that_makes_no_sense_is_refused(emulator: Emulator, writer: Writer, place: dict[str, Any]) -> None:
    assembly = writer.stack("main", {"Q": {"Type": "AWS::No::Such"}})
    with pytest.raises(DeploymentError, match="main: "):
        deploy(assembly, **place)
    assert find(Target.of(**place), "main") is None
    destroy(assembly, **place)


NEVER = "def handler(event, context):\n    pass\n"


def waits(seconds: int) -> dict[str, Any]:
    """A custom resource that never answers."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}},
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.14",
                "Handler": "index.handler",
                "Code": {"ZipFile": NEVER},
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            },
        },
        "Slow": {
            "Type": "Custom::Slow",
            "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}, "ServiceTimeout": str(seconds)},
        },
    }


def test_what_takes_too_long_is_named_and_waited_for_by_the_next(
    emulator: Emulator, writer: Writer, place: dict[str, Any]
) -> None:
    assembly = writer.stack("slow", waits(4))
    with pytest.raises(StackTimeoutError, match="still CREATE_IN_PROGRESS after 1 s, at: Slow") as caught:
        deploy(assembly, **place, stack_seconds_max=1)
    assert caught.value.waiting == ("Slow",)
    writer.stack("slow", {"Q": queue("quick")})
    events: list[Event] = []
    assert deploy(assembly, **place, progress=events.append).stacks[0].action == "created"
    assert any(event.status == "removing what a failed attempt left" for event in events)
    destroy(assembly, **place)


def test_a_removal_that_fails_is_named_and_can_be_repeated(
    emulator: Emulator, writer: Writer, place: dict[str, Any]
) -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "not-emptied"}}
    assembly = writer.stack("full", {"Bucket": bucket})
    deploy(assembly, **place)
    s3 = emulator.client("s3")
    s3.put_object(Bucket="not-emptied", Key="k", Body=b"x")
    with pytest.raises(StackFailedError, match=r"Bucket \(AWS::S3::Bucket\): .*not empty") as caught:
        destroy(assembly, **place)
    assert (caught.value.status, caught.value.fix) == (
        "DELETE_FAILED",
        "empty the bucket (all versions), then ask again",
    )
    with pytest.raises(StackFailedError):
        deploy(assembly, **place)
    s3.delete_object(Bucket="not-emptied", Key="k")
    assert deploy(assembly, **place).stacks[0].action == "created"
    destroy(assembly, **place)


def test_destroying_waits_for_what_is_going_on(emulator: Emulator, writer: Writer, place: dict[str, Any]) -> None:
    assembly = writer.stack("busy", waits(3))
    with pytest.raises(StackTimeoutError):
        deploy(assembly, **place, stack_seconds_max=0)
    assert destroy(assembly, **place).stacks == ("busy",)


def test_unfinished_uploads_go_with_the_bucket(emulator: Emulator, place: dict[str, Any]) -> None:
    target = Target.of(**place)
    assert ensure_bucket(target, "half-uploaded", {}) is True
    assert ensure_bucket(target, "half-uploaded", {"Owner": "desk"}) is False
    emulator.client("s3").create_multipart_upload(Bucket="half-uploaded", Key="k")
    assert empty_and_remove(target, "half-uploaded") == 1
    assert bucket_exists(target, "half-uploaded") is False


def test_the_oldest_region_is_not_named_when_a_bucket_is_made(emulator: Emulator) -> None:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    target = Target.of(session=session, endpoint=emulator.endpoint)
    assert ensure_bucket(target, "oldest-region", {}) is True
    assert empty_and_remove(target, "oldest-region") == 0


def test_a_long_template_that_is_no_asset_is_refused(emulator: Emulator, writer: Writer, place: dict[str, Any]) -> None:
    resources = {f"Parameter{n}": parameter(f"/{n}", "x" * 400) for n in range(200)}
    folder = writer.stack("long", resources)
    (folder / "long.assets.json").write_text('{"files": {}}', encoding="utf-8")
    with pytest.raises(DeploymentError, match="more than 51,200 bytes and is no asset"):
        deploy(folder, **place)


def test_a_stack_that_vanishes_is_told(emulator: Emulator, place: dict[str, Any]) -> None:
    operation = Operation(Target.of(**place), "never-was", print, total=0, seconds_max=1)
    with pytest.raises(DeploymentError, match="never-was: the stack is gone"):
        operation.wait("never-was")

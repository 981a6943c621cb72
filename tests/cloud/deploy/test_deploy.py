"""Deployments of hand-written assemblies, from first to last."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from emulator import Emulator
from tapehouse.cloud.deploy import Event, ProtectedError, StackFailedError, deploy, destroy, outputs
from tapehouse.cloud.deploy.errors import AssemblyError, DeploymentError

from .assemblies import Writer, parameter, queue


def at(emulator: Emulator) -> dict[str, Any]:
    return {"session": emulator.session(), "endpoint": emulator.endpoint}


def left(emulator: Emulator) -> tuple[list[str], list[str], list[str]]:
    """Stacks, buckets and queues of the account."""
    stacks = emulator.client("cloudformation").describe_stacks()["Stacks"]
    buckets = emulator.client("s3").list_buckets()["Buckets"]
    return (
        [stack["StackName"] for stack in stacks],
        [bucket["Name"] for bucket in buckets],
        emulator.client("sqs").list_queues().get("QueueUrls", []),
    )


@pytest.fixture(autouse=True)
def clean(emulator: Emulator) -> Any:
    """Each test leaves nothing."""
    yield
    assert left(emulator) == ([], [], [])


def test_from_first_to_last(emulator: Emulator, writer: Writer, tmp_path: Path) -> None:
    """Deploy, ask for outputs, deploy without and with a change, destroy, deploy again."""
    code = tmp_path / "code"
    (code / "bin").mkdir(parents=True)
    (code / "bin" / "run").write_text("#!/bin/sh\n", encoding="utf-8")
    (code / "bin" / "run").chmod(0o755)
    (code / "handler.py").write_text("x = 1\n", encoding="utf-8")
    value = {"Fn::GetAtt": ["Queue", "Arn"]}
    tags = {"Environment": "dev-one", "Owner": "desk"}
    writer.stack("late", {"Parameter": parameter("/late", "x")}, needs=("tape",), tags=tags)
    assembly = writer.stack("tape", {"Queue": queue("first")}, outputs={"Arn": value}, files={"code": code}, tags=tags)
    events: list[Event] = []

    first = deploy(assembly, **at(emulator), progress=events.append)
    assert [(stack.name, stack.action) for stack in first.stacks] == [("tape", "created"), ("late", "created")]
    assert (first.assets, first.account, first.region) == (3, emulator.account, emulator.region)
    assert [change.as_dict()["action"] for change in first.stacks[0].changes] == ["Add"]
    bucket = f"tape-assets-one-{emulator.account}-{emulator.region}"
    assert ("", bucket, "made") in [(event.stack, event.subject, event.status) for event in events]
    queue_events = [event for event in events if event.subject == "Queue"]
    assert (queue_events[-1].status, queue_events[-1].done, queue_events[-1].total) == ("CREATE_COMPLETE", 1, 1)
    arn = f"arn:aws:sqs:{emulator.region}:{emulator.account}:first"
    assert outputs(assembly, **at(emulator)) == {"tape": {"Arn": arn}, "late": {}}
    check_bucket(emulator, bucket)
    body = emulator.client("s3").get_object(Bucket=bucket, Key="assets/code.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.namelist() == ["bin/run", "handler.py"]
        assert archive.getinfo("bin/run").external_attr >> 16 & 0o111
    (stack,) = emulator.client("cloudformation").describe_stacks(StackName="tape")["Stacks"]
    assert {tag["Key"]: tag["Value"] for tag in stack["Tags"]} == tags

    second = deploy(assembly, **at(emulator))
    assert ([stack.action for stack in second.stacks], second.assets, second.changed) == (["unchanged"] * 2, 0, False)
    assert second.stacks[0].outputs == {"Arn": arn}

    writer.stack("tape", {"Queue": queue("first", VisibilityTimeout=7)}, outputs={"Arn": value}, tags=tags)
    third = deploy(assembly, **at(emulator))
    assert [stack.action for stack in third.stacks] == ["updated", "unchanged"]
    (change,) = third.stacks[0].changes
    assert (change.action, change.resource, change.replacement) == ("Modify", "Queue", "False")
    assert [found.path for found in change.properties] == ["VisibilityTimeout"]
    assert json.loads(json.dumps(third.as_dict()))["stacks"][0]["action"] == "updated"

    gone = destroy(assembly, **at(emulator), progress=events.append)
    assert (gone.stacks, gone.buckets, gone.retained) == (("late", "tape"), (bucket,), ())
    assert gone.objects == 4
    assert left(emulator) == ([], [], [])
    again = destroy(assembly, **at(emulator))
    assert (again.stacks, again.objects, again.as_dict()["retained"]) == ((), 0, ())
    with pytest.raises(DeploymentError, match="tape: is not deployed") as caught:
        outputs(assembly, **at(emulator))
    assert caught.value.fix == "tapehouse cloud deploy"

    assert [stack.action for stack in deploy(assembly, **at(emulator)).stacks] == ["created", "created"]
    destroy(assembly, **at(emulator))


def check_bucket(emulator: Emulator, bucket: str) -> None:
    s3 = emulator.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    access = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(access.values()) == {True}
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    (encryption,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert {"Key": "Owner", "Value": "desk"} in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]


def test_a_first_creation_that_failed_is_named_and_mended_by_the_next(emulator: Emulator, writer: Writer) -> None:
    emulator.client("ssm").put_parameter(Name="/taken", Value="x", Type="String")
    resources = {"Queue": queue("mended"), "Taken": parameter("/taken", "y") | {"DependsOn": "Queue"}}
    assembly = writer.stack("mended", resources)
    with pytest.raises(StackFailedError) as caught:
        deploy(assembly, **at(emulator))
    error = caught.value
    assert (error.stack, error.status) == ("mended", "ROLLBACK_COMPLETE")
    (failure,) = error.failures
    assert (failure.resource, failure.type) == ("Taken", "AWS::SSM::Parameter")
    assert "exists" in failure.reason
    assert "choose another suffix" in error.fix
    assert f"Taken (AWS::SSM::Parameter): {failure.reason}" in str(error)
    assert failure.as_dict()["resource"] == "Taken"
    emulator.client("ssm").delete_parameter(Name="/taken")
    events: list[Event] = []
    assert deploy(assembly, **at(emulator), progress=events.append).stacks[0].action == "created"
    assert any(event.status == "removing what a failed attempt left" for event in events)
    destroy(assembly, **at(emulator))


def test_an_update_that_failed_leaves_what_was(emulator: Emulator, writer: Writer) -> None:
    assembly = writer.stack("kept", {"Queue": queue("kept")})
    deploy(assembly, **at(emulator))
    emulator.client("ssm").put_parameter(Name="/taken", Value="x", Type="String")
    changed = {"Queue": queue("kept", VisibilityTimeout=9), "Taken": parameter("/taken", "y") | {"DependsOn": "Queue"}}
    writer.stack("kept", changed)
    with pytest.raises(StackFailedError) as caught:
        deploy(assembly, **at(emulator))
    assert caught.value.status == "UPDATE_ROLLBACK_COMPLETE"
    emulator.client("ssm").delete_parameter(Name="/taken")
    assert deploy(assembly, **at(emulator)).stacks[0].action == "updated"
    destroy(assembly, **at(emulator))


def test_a_long_template_goes_by_its_address(emulator: Emulator, writer: Writer) -> None:
    resources = {f"Queue{n}": queue(f"long-{n}", Tags=[{"Key": "pad", "Value": "x" * 200}]) for n in range(200)}
    assembly = writer.stack("long", resources)
    assert (assembly / "long.template.json").stat().st_size > 51_200
    (result,) = deploy(assembly, **at(emulator)).stacks
    assert len(result.changes) == 200
    destroy(assembly, **at(emulator))


def test_two_suffixes_live_side_by_side(emulator: Emulator, tmp_path: Path) -> None:
    assemblies = []
    for suffix in ("aa", "bb"):
        writer = Writer(tmp_path / suffix, suffix)
        assemblies.append(writer.stack(f"tape-{suffix}", {"Queue": queue(f"tape-{suffix}")}))
    for assembly in assemblies:
        deploy(assembly, **at(emulator))
    destroy(assemblies[0], **at(emulator))
    assert deploy(assemblies[1], **at(emulator)).changed is False
    destroy(assemblies[1], **at(emulator))


def test_what_is_protected_goes_only_by_force(emulator: Emulator, writer: Writer) -> None:
    assembly = writer.stack("guarded", {"Queue": queue("guarded")}, terminationProtection=True)
    deploy(assembly, **at(emulator))
    with pytest.raises(ProtectedError, match="termination protection is on for guarded: nothing was removed"):
        destroy(assembly, **at(emulator))
    assert destroy(assembly, **at(emulator), force=True).stacks == ("guarded",)


def test_production_goes_only_by_force(emulator: Emulator, writer: Writer) -> None:
    assembly = writer.stack("live", {"Queue": queue("live")}, tags={"Environment": "prod-eu"})
    deploy(assembly, **at(emulator))
    with pytest.raises(ProtectedError, match="live: tagged as production"):
        destroy(assembly, **at(emulator))
    assert destroy(assembly, **at(emulator), force=True).stacks == ("live",)


def test_what_is_retained_is_told(emulator: Emulator, writer: Writer) -> None:
    assembly = writer.stack("keeps", {"Queue": queue("keeps") | {"DeletionPolicy": "Retain"}})
    deploy(assembly, **at(emulator))
    (kept,) = destroy(assembly, **at(emulator)).retained
    assert (kept.stack, kept.resource, kept.type) == ("keeps", "Queue", "AWS::SQS::Queue")
    assert "DeletionPolicy" in kept.why
    emulator.client("sqs").delete_queue(QueueUrl=kept.id)


def test_parameters_go_to_the_stacks_that_have_them(emulator: Emulator, writer: Writer) -> None:
    template = {"Parameters": {"Name": {"Type": "String", "Default": "default"}}}
    writer.stack("named", {"Queue": queue({"Ref": "Name"})}, template=template)
    assembly = writer.stack("plain", {"Queue": queue("plain")})
    deploy(assembly, **at(emulator), parameters={"Name": "given"})
    assert sorted(url.rsplit("/", 1)[1] for url in left(emulator)[2]) == ["given", "plain"]
    assert deploy(assembly, **at(emulator), parameters={"Name": "given"}).changed is False
    destroy(assembly, **at(emulator))


def test_a_stack_for_another_place_is_refused(emulator: Emulator, writer: Writer) -> None:
    assembly = writer.stack("away", {"Queue": queue("away")}, environment="aws://111111111111/eu-west-1")
    with pytest.raises(AssemblyError, match="made for account 111111111111"):
        deploy(assembly, **at(emulator))
    writer.stack("away", {"Queue": queue("away")}, environment=f"aws://{emulator.account}/ap-south-1")
    with pytest.raises(AssemblyError, match="made for region ap-south-1") as caught:
        deploy(assembly, **at(emulator))
    assert caught.value.fix == "choose region ap-south-1"


def test_what_failed_in_production_is_not_cleared_up_unasked(emulator: Emulator, writer: Writer) -> None:
    emulator.client("ssm").put_parameter(Name="/taken", Value="x", Type="String")
    resources = {"Queue": queue("kept"), "Taken": parameter("/taken", "y") | {"DependsOn": "Queue"}}
    assembly = writer.stack("kept", resources, terminationProtection=True)
    with pytest.raises(StackFailedError):
        deploy(assembly, **at(emulator))
    emulator.client("ssm").delete_parameter(Name="/taken")
    with pytest.raises(DeploymentError, match="what holds data may be left"):
        deploy(assembly, **at(emulator))
    destroy(assembly, **at(emulator), force=True)

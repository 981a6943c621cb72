"""Functions of ours: what each shares with the others, and what it alone may do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.releases.catalogue import chosen
from tapehouse.cloud.synth import synthesize
from tapehouse.errors import UsageError

from ..deployments import main, of_type, settings_of  # noqa: TID252 - shared with other folders

PURPOSES = ("object-validator", "redrive", "shard-scaling", "stream-validator")


def function(stacks: Stacks, purpose: str) -> Resource:
    (found,) = (
        one for one in stacks.of("AWS::Lambda::Function") if one.name.startswith(f"tapehouse-stream-{purpose}-")
    )
    return found


def role(stacks: Stacks, one: Resource) -> Resource:
    found = stacks.find(one.get("Role"), "AWS::IAM::Role")
    assert found is not None
    return found


@pytest.fixture(params=PURPOSES)
def one(request: pytest.FixtureRequest, stream: Stacks) -> Resource:
    return function(stream, request.param)


def test_runtime_is_the_newest_of_the_catalogue(one: Resource) -> None:
    assert one.get("Runtime") == chosen(settings_of("test"), "lambda-python").version
    assert one.get("Architectures") == ["x86_64"]


def test_all_share_one_layer_and_one_copy_of_the_code(stream: Stacks) -> None:
    (layer,) = stream.of("AWS::Lambda::LayerVersion")
    functions = [function(stream, purpose) for purpose in PURPOSES]
    assert {tuple(one.get("Layers")) for one in functions} == {(layer.ref,)}
    assert len({str(one.get("Code")) for one in functions}) == 1


def test_each_runs_in_private_subnets_without_a_way_in(stream: Stacks, one: Resource) -> None:
    private = {subnet.ref for subnet in stream.of("AWS::EC2::Subnet") if "Private" in subnet.id}
    assert set(one.get("VpcConfig.SubnetIds")) == private
    (group_id,) = one.get("VpcConfig.SecurityGroupIds")
    (group,) = (
        it
        for it in stream.of("AWS::EC2::SecurityGroup")
        if it.get("GroupName").startswith("tapehouse-stream-functions")
    )
    assert stream.find(group_id, "AWS::EC2::SecurityGroup") is not None or group_id
    assert not group.get("SecurityGroupIngress")
    (egress,) = group.get("SecurityGroupEgress")
    assert (egress["FromPort"], egress["ToPort"]) == (443, 443)
    assert egress["Description"]


def test_logs_and_environment_are_encrypted_and_traced(stream: Stacks, one: Resource) -> None:
    (group,) = (it for it in stream.of("AWS::Logs::LogGroup") if it.get("LogGroupName") == f"/aws/lambda/{one.name}")
    assert one.get("LoggingConfig.LogGroup") in (group.ref, group.name)
    assert stream.key(group.get("KmsKeyId")) is not None
    assert group.get("RetentionInDays") == 7
    assert group.removed == "Delete"
    assert stream.key(one.get("KmsKeyArn")) is not None
    assert one.get("TracingConfig.Mode") == "Active"


def test_each_has_a_role_of_its_own_with_the_denies(stream: Stacks) -> None:
    (denies,) = stream.of("AWS::IAM::ManagedPolicy")
    roles = [role(stream, function(stream, purpose)) for purpose in PURPOSES]
    assert len({one.id for one in roles}) == len(PURPOSES)
    for one in roles:
        assert one.get("ManagedPolicyArns") == [denies.ref]
        assert {policy["PolicyName"] for policy in one.get("Policies")} == {"handler", "runtime"}


def test_interfaces_are_for_the_service_and_not_for_the_code(stream: Stacks, one: Resource) -> None:
    account, arn = stream.account, role(stream, one).arn
    code = {"lambda:SourceFunctionArn": one.arn}
    for action in ("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"):
        assert account.allows(arn, action, "*")
        assert not account.allows(arn, action, "*", code)


def test_no_statement_allows_every_action(stream: Stacks, one: Resource) -> None:
    for policy in role(stream, one).get("Policies"):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not any("*" in action for action in actions)


@pytest.mark.parametrize(
    ("purpose", "action", "allowed"),
    [
        ("stream-validator", "s3:PutObject", True),
        ("object-validator", "s3:PutObject", True),
        ("object-validator", "s3:GetObject", True),
        ("shard-scaling", "s3:GetObject", False),
    ],
)
def test_who_may_do_what_with_what_has_landed(stream: Stacks, purpose: str, action: str, allowed: bool) -> None:
    (raw,) = (one for one in stream.of("AWS::S3::Bucket") if "-raw-" in one.name)
    decision = stream.account.allows(
        role(stream, function(stream, purpose)).arn,
        action,
        f"{raw.arn}/landing/trades/a.csv",
        {"aws:SecureTransport": "true"},
    )
    assert bool(decision) is allowed


def test_only_the_object_validator_starts_runs(stream: Stacks) -> None:
    (job,) = stream.of("AWS::Glue::Job")
    able = [
        purpose
        for purpose in PURPOSES
        if stream.account.allows(role(stream, function(stream, purpose)).arn, "glue:StartJobRun", job.arn)
    ]
    assert able == ["object-validator"]


def test_what_fails_asynchronously_is_kept(stream: Stacks) -> None:
    one = function(stream, "shard-scaling")
    queue = stream.find(one.get("DeadLetterConfig.TargetArn"), "AWS::SQS::Queue")
    assert queue is not None
    assert stream.account.allows(role(stream, one).arn, "sqs:SendMessage", queue.arn, {"aws:SecureTransport": "true"})
    assert function(stream, "redrive").get("DeadLetterConfig") is None


def test_an_old_runtime_is_taken_where_a_reason_is_given(packages: Packages, tmp_path: Path) -> None:
    override = {"lambda-python": {"version": "python3.13", "reason": "a library is not built for 3.14 yet"}}
    template = main(synthesize(settings_of("test", overrides=override), "serverless-lake", tmp_path / "out", packages))
    assert {one["Properties"]["Runtime"] for one in of_type(template, "AWS::Lambda::Function")} == {"python3.13"}


def test_an_unknown_runtime_is_refused(packages: Packages, tmp_path: Path) -> None:
    override = {"lambda-python": {"version": "python2.7", "reason": "it has always been like this"}}
    with pytest.raises(UsageError, match="not in the catalogue"):
        synthesize(settings_of("test", overrides=override), "serverless-lake", tmp_path / "out", packages)


def test_an_existing_network_is_used_as_it_is(packages: Packages, tmp_path: Path) -> None:
    subnets = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    network = {
        "create": False,
        "cidr": "10.9.0.0/16",
        "vpc_id": "vpc-0123456789abcdef0",
        "private_subnet_ids": subnets,
        "private_route_table_ids": ["rtb-0123456789abcdef0", "rtb-0123456789abcdef1"],
        "availability_zones": ["eu-central-1b", "eu-central-1a"],
    }
    template = main(synthesize(settings_of("test", network=network), "serverless-lake", tmp_path / "out", packages))
    given: list[Mapping[str, object]] = [one["Properties"] for one in of_type(template, "AWS::Lambda::Function")]
    assert [one["VpcConfig"]["SubnetIds"] for one in given if "VpcConfig" in one] == [subnets] * 2  # type: ignore[index]

"""What a change of a template puts at risk."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator import Emulator
from tapehouse.cloud.deploy import Risk, compare, compare_templates, deploy, destroy, diff
from tapehouse.cloud.deploy.errors import AssemblyError
from tapehouse.cloud.deploy.replacements import replaces
from tapehouse.cloud.deploy.statements import widenings
from tapehouse.errors import UsageError

from .assemblies import Writer, queue
from .generate_create_only import TARGET, generate

Resources = dict[str, Any]


def risks(before: Resources, after: Resources) -> list[tuple[str, str, str]]:
    """(risk, path, why) of each finding, of one resource called X, worst first."""
    wrapped = ({"Resources": {"X": one} if one else {}} for one in (before, after))
    return [(finding.risk.value, finding.path, finding.why) for finding in compare_templates(*wrapped).findings]


def kinds(before: Resources, after: Resources) -> list[str]:
    return [risk for risk, _, _ in risks(before, after)]


def resource(kind: str, attributes: Resources | None = None, **properties: Any) -> Resources:
    return {"Type": kind, "Properties": properties, **(attributes or {})}


def test_the_list_of_what_cannot_change_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == generate()


@pytest.mark.parametrize(
    ("kind", "path", "answer"),
    [
        ("AWS::S3::Bucket", ("BucketName",), "always"),
        ("AWS::S3::Bucket", ("VersioningConfiguration", "Status"), "never"),
        ("AWS::Glue::Table", ("TableInput", "Name"), "always"),
        ("AWS::Glue::Table", ("TableInput",), "always"),
        ("AWS::Glue::Table", ("TableInput", "Parameters"), "never"),
        ("AWS::RDS::DBCluster", ("Engine",), "sometimes"),
        ("Custom::Own", ("ServiceToken",), "always"),
        ("Custom::Own", ("Value",), "never"),
        ("AWS::No::Such", ("Name",), "never"),
        ("AWS::S3::Bucket", (), "never"),
    ],
)
def test_what_replaces(kind: str, path: tuple[str, ...], answer: str) -> None:
    assert replaces(kind, path) == answer


BUCKET = "AWS::S3::Bucket"
KEEP = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # Stores that go or are replaced.
        (resource(BUCKET), {}, ["data_loss"]),
        (resource(BUCKET, KEEP), {}, ["harmless"]),
        (resource(BUCKET, BucketName="a"), resource(BUCKET, BucketName="b"), ["data_loss", "replacement"]),
        (resource(BUCKET, KEEP, BucketName="a"), resource(BUCKET, KEEP, BucketName="b"), ["replacement"]),
        (resource(BUCKET), resource("AWS::SQS::Queue"), ["data_loss", "replacement"]),
        (resource(BUCKET, KEEP), resource(BUCKET), ["data_loss", "data_loss"]),
        (resource("AWS::SNS::Topic"), {}, ["harmless"]),
        (resource("AWS::SNS::Topic", TopicName="a"), resource("AWS::SNS::Topic", TopicName="b"), ["replacement"]),
        (
            resource("AWS::RDS::DBCluster", KEEP, Engine="a"),
            resource("AWS::RDS::DBCluster", KEEP, Engine="b"),
            ["replacement"],
        ),
        # Kept for a shorter time.
        (
            resource("AWS::Logs::LogGroup", RetentionInDays=30),
            resource("AWS::Logs::LogGroup", RetentionInDays="7"),
            ["data_loss"],
        ),
        (resource("AWS::Logs::LogGroup"), resource("AWS::Logs::LogGroup", RetentionInDays=7), ["data_loss", "cost"]),
        (
            resource("AWS::Logs::LogGroup", RetentionInDays=7),
            resource("AWS::Logs::LogGroup", RetentionInDays=30),
            ["cost"],
        ),
        # Protections.
        (
            resource("AWS::DynamoDB::Table", DeletionProtectionEnabled=True),
            resource("AWS::DynamoDB::Table", DeletionProtectionEnabled="false"),
            ["data_loss"],
        ),
        (resource("AWS::KMS::Key"), resource("AWS::KMS::Key", Enabled=False), ["data_loss"]),
        (
            resource(BUCKET, VersioningConfiguration={"Status": "Enabled"}),
            resource(BUCKET, VersioningConfiguration={"Status": "Suspended"}),
            ["data_loss"],
        ),
        # Encryption and reach.
        (resource("AWS::SQS::Queue", KmsMasterKeyId="k"), resource("AWS::SQS::Queue"), ["privilege"]),
        (
            resource(BUCKET, PublicAccessBlockConfiguration={"BlockPublicAcls": True}),
            resource(BUCKET, PublicAccessBlockConfiguration={"BlockPublicAcls": False}),
            ["privilege"],
        ),
        (
            resource("AWS::KMS::Key", EnableKeyRotation=True),
            resource("AWS::KMS::Key", EnableKeyRotation=False),
            ["privilege"],
        ),
        # More of what is paid for.
        (
            resource("AWS::Kinesis::Stream", ShardCount=2),
            resource("AWS::Kinesis::Stream", ShardCount="4"),
            ["cost"],
        ),
        (
            resource("AWS::Kinesis::Stream", ShardCount=4),
            resource("AWS::Kinesis::Stream", ShardCount=2),
            ["harmless"],
        ),
        (resource("AWS::Glue::Job", WorkerType="G.1X"), resource("AWS::Glue::Job", WorkerType="G.2X"), ["cost"]),
        (resource("AWS::Glue::Job", Timeout=True), resource("AWS::Glue::Job", Timeout=False), ["harmless"]),
        (
            resource("AWS::Lambda::Function", ReservedConcurrentExecutions=5),
            resource("AWS::Lambda::Function"),
            ["cost"],
        ),
        ({}, resource("AWS::EC2::NatGateway"), ["cost"]),
        ({}, resource("AWS::EC2::VPCEndpoint", VpcEndpointType="Interface"), ["cost"]),
        ({}, resource("AWS::EC2::VPCEndpoint", VpcEndpointType="Gateway"), ["harmless"]),
        # Nothing of these.
        (resource("AWS::SNS::Topic", Tags=[]), resource("AWS::SNS::Topic", Tags=[{"Key": "a"}]), ["harmless"]),
        (resource("AWS::SQS::Queue", DelaySeconds=5), resource("AWS::SQS::Queue", DelaySeconds="5"), []),
        (resource("AWS::SNS::Topic"), resource("AWS::SNS::Topic", {"Metadata": {"a": 1}, "DependsOn": "Y"}), []),
        (
            resource("AWS::Lambda::Function", Environment={"Variables": {"A": "1"}}),
            resource("AWS::Lambda::Function", Environment={"Variables": {"A": {"Ref": "Y"}}}),
            ["harmless"],
        ),
    ],
)
def test_risks(before: Resources, after: Resources, expected: list[str]) -> None:
    assert kinds(before, after) == expected


def lifecycle(*rules: Resources) -> Resources:
    return resource(BUCKET, KEEP, LifecycleConfiguration={"Rules": list(rules)})


def test_objects_that_expire_sooner_are_lost() -> None:
    rule = {"Status": "Enabled", "Prefix": "raw/", "ExpirationInDays": 90}
    path, kept = "LifecycleConfiguration.Rules", "objects below 'raw/' expire after 30 days"
    sooner = rule | {"ExpirationInDays": 30}
    assert risks(lifecycle(rule), lifecycle(sooner)) == [("data_loss", path, f"{kept}, were kept for 90")]
    assert risks(lifecycle(), lifecycle(sooner)) == [("data_loss", path, f"{kept}, were kept")]
    assert kinds(lifecycle(sooner), lifecycle(rule)) == ["harmless"]
    assert kinds(lifecycle(rule), lifecycle(rule, sooner | {"Status": "Disabled"})) == ["harmless"]
    old = {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 7}}
    why = "old versions below 'any prefix' expire after 7 days, were kept"
    assert risks(lifecycle(), lifecycle(old)) == [("data_loss", path, why)]
    assert kinds(lifecycle(rule), resource(BUCKET, KEEP)) == ["harmless"]


def document(*statements: Resources) -> Resources:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any, on: Any = "*", **more: Any) -> Resources:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def deny(action: Any, on: Any = "*", **more: Any) -> Resources:
    return {"Effect": "Deny", "Action": action, "Resource": on, **more}


def but(action: str) -> Resources:
    return {"Effect": "Allow", "NotAction": action, "Resource": "*"}


TLS = {"Bool": {"aws:SecureTransport": "false"}}
ORG = {"StringEquals": {"aws:SourceAccount": ["1", "2"]}}
NOT_ORG = {"StringNotEquals": {"aws:SourceAccount": ["1", "2"]}}
ARN = {"Fn::GetAtt": ["Bucket", "Arn"]}


@pytest.mark.parametrize(
    ("before", "after", "widened"),
    [
        # Written differently, or narrower.
        ([allow(["s3:Get*", "s3:List*"])], [allow("s3:GetObject"), allow("s3:ListBucket")], 0),
        ([allow("s3:GetObject", Sid="A")], [allow(["S3:getobject"], ["*"], Sid="B")], 0),
        ([allow("s3:*", "arn:a/*")], [allow("s3:GetObject", "arn:a/raw/*")], 0),
        ([allow("s3:GetObject", ARN)], [allow("s3:GetObject", ARN, Condition=TLS)], 0),
        ([allow("s3:GetObject", Condition=ORG)], [allow("s3:GetObject", Condition=TLS | ORG)], 0),
        ([allow("s3:GetObject", Condition=ORG)], [allow("s3:GetObject", Condition=TLS)], 1),
        (
            [allow("s3:GetObject", Condition=ORG)],
            [allow("s3:GetObject", Condition={"StringEquals": {"aws:SourceAccount": "1"}})],
            0,
        ),
        ([allow("s3:GetObject", Principal="*")], [allow("s3:GetObject", Principal={"AWS": "arn:x"})], 0),
        ([allow("s3:GetObject", Principal={"AWS": "*"})], [allow("s3:GetObject", Principal="*")], 0),
        ([], [deny("s3:*")], 0),
        # Wider.
        ([allow("s3:GetObject")], [allow(["s3:GetObject", "s3:PutObject"])], 1),
        ([allow("s3:GetObject")], [allow("s3:*")], 1),
        ([allow("s3:Get?bject")], [allow("s3:Get*bject")], 1),
        ([allow("s3:GetObject", "arn:a/raw/*")], [allow("s3:GetObject", "arn:a/*")], 1),
        ([allow("s3:GetObject", Condition=TLS)], [allow("s3:GetObject")], 1),
        (
            [allow("s3:GetObject", Condition=ORG)],
            [allow("s3:GetObject", Condition={"StringEquals": {"aws:SourceAccount": ["1", "3"]}})],
            1,
        ),
        (
            [allow("s3:GetObject", Condition=NOT_ORG)],
            [allow("s3:GetObject", Condition={"StringNotEquals": {"aws:SourceAccount": "1"}})],
            1,
        ),
        (
            [allow("s3:GetObject", Principal={"Service": "a"})],
            [allow("s3:GetObject", Principal={"Service": ["a", "b"]})],
            1,
        ),
        ([deny("s3:*", Condition=TLS)], [], 1),
        ([deny("s3:*")], [deny("s3:*", Condition=TLS)], 1),
        ([deny("s3:*", Condition=TLS)], [deny("s3:*")], 0),
        # What says what is not meant covers only itself.
        (
            [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
            [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
            0,
        ),
        (
            [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
            [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}],
            1,
        ),
        ([{"Fn::If": ["A", {}, {}]}], [{"Fn::If": ["A", {}, {}]}], 0),
        ([{"Fn::If": ["A", {}, {}]}], [{"Fn::If": ["B", {}, {}]}], 1),
    ],
)
def test_policies_are_compared_by_what_they_allow(before: list[Any], after: list[Any], widened: int) -> None:
    assert len(widenings(document(*before), document(*after))) == widened


def test_a_document_that_is_a_function_covers_itself_only() -> None:
    assert widenings({"Fn::Sub": "a"}, {"Fn::Sub": "a"}) == []
    (line,) = widenings(None, {"Fn::Sub": "a"})
    assert line == 'Allow {"Fn::Sub": "a"} on itself (not: document)'
    (line,) = widenings(document(deny("s3:*", Principal="*", Condition={"Bool": {"k": True}})), None)
    assert line == "no longer: Deny s3:* on * by * when k Bool true"


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        (
            resource("AWS::IAM::Policy", PolicyDocument=document()),
            resource("AWS::IAM::Policy", PolicyDocument=document(allow("a:b"))),
            ["PolicyDocument"],
        ),
        (
            resource("AWS::IAM::Role", Policies=[{"PolicyName": "p", "PolicyDocument": document()}]),
            resource("AWS::IAM::Role", Policies=[{"PolicyName": "p", "PolicyDocument": document(allow("a:b"))}]),
            ["Policies"],
        ),
        (
            resource("AWS::IAM::Role"),
            resource("AWS::IAM::Role", ManagedPolicyArns=["arn:admin"]),
            ["ManagedPolicyArns"],
        ),
        (
            resource("AWS::IAM::Role", ManagedPolicyArns=["arn:a", "arn:b"]),
            resource("AWS::IAM::Role", ManagedPolicyArns=["arn:a"]),
            [],
        ),
        (resource("AWS::IAM::Role", PermissionsBoundary="b"), resource("AWS::IAM::Role"), ["PermissionsBoundary"]),
        (
            resource("AWS::S3::BucketPolicy", PolicyDocument=document(deny("s3:*", Condition=TLS))),
            {},
            ["PolicyDocument"],
        ),
        (
            {},
            resource("AWS::Lambda::Permission", Principal="s3.amazonaws.com", Action="lambda:InvokeFunction"),
            ["Principal"],
        ),
        (
            resource("AWS::Lambda::Permission", Principal="a", SourceArn="x"),
            resource("AWS::Lambda::Permission", Principal="a", SourceArn={"Ref": "Y"}),
            ["Principal"],
        ),
        (
            resource("AWS::Lambda::Permission", {"DeletionPolicy": "Delete"}, Principal="a"),
            resource("AWS::Lambda::Permission", Principal="a"),
            [],
        ),
        (
            resource(
                "AWS::EC2::SecurityGroupIngress", IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="10.0.0.0/16"
            ),
            {},
            [],
        ),
    ],
)
def test_who_may_do_more(before: Resources, after: Resources, paths: list[str]) -> None:
    assert [path for risk, path, _ in risks(before, after) if risk == "privilege"] == paths


def rule(protocol: Any = "tcp", low: Any = 443, high: Any = 443, **peer: Any) -> Resources:
    ports = {} if low is None else {"FromPort": low, "ToPort": high}
    return {"IpProtocol": protocol, **ports, **(peer or {"CidrIp": "10.0.0.0/16"})}


@pytest.mark.parametrize(
    ("before", "after", "opened"),
    [
        ([rule()], [rule(CidrIp="10.0.1.0/24")], False),
        ([rule()], [rule(CidrIp="0.0.0.0/0")], True),
        ([rule(low=0, high=65535)], [rule()], False),
        ([rule()], [rule(low=22, high=443)], True),
        ([rule("-1", None)], [rule()], False),
        ([rule()], [rule("-1", None)], True),
        ([rule("udp")], [rule()], True),
        ([rule(low={"Ref": "P"}, high={"Ref": "P"})], [rule(low={"Ref": "P"}, high={"Ref": "P"})], False),
        ([rule(low={"Ref": "P"}, high={"Ref": "P"})], [rule()], True),
        ([rule(SourceSecurityGroupId={"Ref": "A"})], [rule(SourceSecurityGroupId={"Ref": "A"})], False),
        ([rule(SourceSecurityGroupId={"Ref": "A"})], [rule(SourceSecurityGroupId={"Ref": "B"})], True),
        ([rule(CidrIp={"Fn::GetAtt": ["V", "C"]})], [rule(CidrIp={"Fn::GetAtt": ["V", "C"]})], False),
        ([rule(CidrIpv6="::/0")], [rule(CidrIpv6="::/0"), rule(CidrIp={"Ref": "C"})], True),
        ([rule()], {"Ref": "Rules"}, False),
    ],
)
def test_what_a_security_group_opens(before: Any, after: Any, opened: bool) -> None:
    group = [resource("AWS::EC2::SecurityGroup", SecurityGroupIngress=rules) for rules in (before, after)]
    assert ("privilege" in kinds(*group)) is opened
    if isinstance(after, list) and len(before) == len(after) == 1:
        alone = [resource("AWS::EC2::SecurityGroupIngress", **rules[0]) for rules in (before, after)]
        assert ("privilege" in kinds(*alone)) is opened


def test_a_rule_of_its_own_opens_when_it_is_added() -> None:
    (found,) = risks({}, resource("AWS::EC2::SecurityGroupEgress", **rule(DestinationPrefixListId={"Ref": "L"})))
    assert found == ("privilege", "", 'opened: protocol tcp, ports 443-443, with {"Ref": "L"}')


def test_references_to_parameters_count_as_their_defaults() -> None:
    def template(default: int) -> Resources:
        stream = resource("AWS::Kinesis::Stream", ShardCount={"Ref": "Shards"}, Name={"Ref": "AWS::StackName"})
        return {"Parameters": {"Shards": {"Type": "Number", "Default": default}}, "Resources": {"S": stream}}

    assert compare_templates(template(1), template(1)).action == "none"
    (finding,) = compare_templates(template(1), template(4)).findings
    assert (finding.risk, finding.path, finding.why) == (Risk.COST, "ShardCount", "1 becomes 4")


def test_outputs_are_told_and_a_new_stack_is_what_it_costs() -> None:
    before = {"Outputs": {"A": {"Value": 1}, "B": {"Value": 1}, "D": {"Value": 1}}}
    after = {"Outputs": {"B": {"Value": 2}, "C": {"Value": 1}, "D": {"Value": 1}}}
    told = [(finding.resource, finding.action) for finding in compare_templates(before, after).findings]
    assert told == [("A", "remove"), ("B", "modify"), ("C", "add")]
    made = compare_templates(
        None,
        {
            "Resources": {
                "K": resource("AWS::KMS::Key"),
                "R": resource("AWS::IAM::Role"),
                "M": {"Type": "AWS::CDK::Metadata"},
            }
        },
    )
    assert (made.action, made.resources, made.worst) == ("create", 2, Risk.COST)
    assert made.counts() == {"data_loss": 0, "privilege": 0, "replacement": 0, "cost": 1, "harmless": 0}


def test_an_assembly_against_what_is_deployed(emulator: Emulator, writer: Writer) -> None:
    place = {"session": emulator.session(), "endpoint": emulator.endpoint}
    assembly = writer.stack("compared", {"Queue": queue("compared")})
    assert [stack.action for stack in diff(assembly, **place).stacks] == ["create"]
    deploy(assembly, **place)
    same = diff(assembly, **place)
    assert (same.changed, same.worst) == (False, Risk.HARMLESS)
    writer.stack("compared", {"Queue": queue("renamed")})
    different = diff(assembly, **place)
    assert (different.changed, different.worst) == (True, Risk.DATA_LOSS)
    told = json.loads(json.dumps(different.as_dict()))
    assert told["stacks"][0]["findings"][1]["risk"] == "replacement"
    assert (told["stacks"][0]["risks"]["replacement"], told["worst"]) == (1, "data_loss")
    destroy(assembly, **place)
    emulator.client("cloudformation").create_stack(
        StackName="compared", TemplateBody="Resources:\n  Q:\n    Type: AWS::SQS::Queue\n"
    )
    with pytest.raises(AssemblyError, match="compared: what is deployed under this name was not made by synthesis"):
        diff(assembly, **place)
    emulator.client("cloudformation").delete_stack(StackName="compared")


def test_one_assembly_against_another(tmp_path: Any) -> None:
    first, second = Writer(tmp_path / "a"), Writer(tmp_path / "b")
    first.stack("same", {"Queue": queue("q")})
    first.stack("gone", {"Queue": queue("r")})
    second.stack("same", {"Queue": queue("q", DelaySeconds=1)})
    second.stack("new", {"Queue": queue("s")})
    found = compare(first.folder, second.folder)
    assert [(one.stack, one.action, one.worst.value) for one in found.stacks] == [
        ("same", "update", "harmless"),
        ("new", "create", "harmless"),
        ("gone", "update", "data_loss"),
    ]
    assert [(one.stack, one.detail) for one in found.changes] == [
        ("same", "DelaySeconds: is changed in place"),
        ("gone", "it is removed with all it holds (DeletionPolicy Delete)"),
    ]
    assert (found.has("data_loss"), found.has("cost")) == (True, False)
    unchanged = compare(first.folder, first.folder)
    assert (unchanged.has("harmless"), unchanged.changed) == (False, False)
    with pytest.raises(UsageError, match="no risk 'data-loss'") as caught:
        found.has("data-loss")
    assert caught.value.fix == "one of: data_loss, privilege, replacement, cost, harmless"

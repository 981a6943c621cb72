"""Templates read as CloudFormation reads them, and one question asked of a whole template."""

from __future__ import annotations

from typing import Any

import pytest

from tapehouse.cloud.policy import Account, Caller, Place, PolicyError, Resolver, evaluate
from tapehouse.cloud.policy.resolve import mentioned

TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Env": {"Type": "String", "Default": "test"},
        "Zones": {"Type": "CommaDelimitedList", "Default": "a,b"},
        "Free": {"Type": "String"},
    },
    "Mappings": {"Sizes": {"test": {"workers": 2}, "prod": {"workers": 10}}},
    "Conditions": {
        "Prod": {"Fn::Equals": [{"Ref": "Env"}, "prod"]},
        "NotProd": {"Fn::Not": [{"Condition": "Prod"}]},
        "Both": {"Fn::And": [{"Condition": "NotProd"}, {"Fn::Or": [{"Condition": "Prod"}, {"Condition": "NotProd"}]}]},
    },
    "Resources": {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": {"Fn::Join": ["-", ["tape", {"Ref": "AWS::AccountId"}, {"Ref": "AWS::Region"}]]},
                "VersioningConfiguration": {"Fn::If": ["Prod", {"Status": "Enabled"}, {"Ref": "AWS::NoValue"}]},
            },
        },
        "Key": {
            "Type": "AWS::KMS::Key",
            "Properties": {
                "KeyPolicy": {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Action": "kms:*",
                        "Resource": "*",
                        "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
                    },
                }
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "work"}},
        "QueueDoor": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Action": "sqs:SendMessage",
                        "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
                        "Principal": {"Service": "events.amazonaws.com"},
                        "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}},
                    },
                },
            },
        },
        "Rule": {"Type": "AWS::Events::Rule", "Properties": {"Name": "landed"}},
        "Only": {"Type": "AWS::SNS::Topic", "Condition": "Prod"},
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Action": "sts:AssumeRole",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                    },
                },
                "ManagedPolicyArns": [
                    {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"},
                    "arn:aws:iam::aws:policy/AdministratorAccess",
                    {"Ref": "Shared"},
                ],
            },
        },
        "Reads": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "Roles": [{"Ref": "Role"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": "s3:GetObject",
                            "Resource": {"Fn::Sub": ["${arn}/raw/*", {"arn": {"Fn::GetAtt": "Bucket.Arn"}}]},
                        },
                        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": {"Fn::GetAtt": ["Key", "Arn"]}},
                    ],
                },
            },
        },
        "Shared": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Action": "sqs:DeleteMessage",
                        "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
                    },
                }
            },
        },
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "judge"}},
        "Door": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": {"Fn::GetAtt": ["Function", "Arn"]},
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
            },
        },
    },
}
BUCKET = "arn:aws:s3:::tape-111122223333-us-east-1"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"Ref": "Bucket"}, "tape-111122223333-us-east-1"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, BUCKET),
        ({"Fn::GetAtt": "Bucket.RegionalDomainName"}, "tape-111122223333-us-east-1.s3.us-east-1.amazonaws.com"),
        ({"Ref": "Queue"}, "https://sqs.us-east-1.amazonaws.com/111122223333/work"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:aws:sqs:us-east-1:111122223333:work"),
        ({"Fn::GetAtt": ["Key", "Arn"]}, "arn:aws:kms:us-east-1:111122223333:key/stack-Key"),
        ({"Fn::GetAtt": ["Function", "Version"]}, "judge.Version"),
        ({"Fn::Select": [1, {"Fn::Split": [":", "a:b:c"]}]}, "b"),
        ({"Fn::Select": ["0", {"Fn::GetAZs": ""}]}, "us-east-1a"),
        ({"Fn::Select": [1, {"Fn::Cidr": ["10.0.0.0/16", 4, 12]}]}, "10.0.16.0/20"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Env"}, "workers"]}, 2),
        ({"Fn::If": ["Both", "yes", "no"]}, "yes"),
        ({"Fn::If": ["Prod", "yes", {"Ref": "AWS::NoValue"}]}, None),
        ({"a": [{"Ref": "AWS::NoValue"}, 1]}, {"a": [1]}),
        ({"Ref": "Zones"}, ["a", "b"]),
        ({"Ref": "Free"}, "Free.parameter"),
        ({"Fn::ImportValue": "net-vpc"}, "net-vpc.import"),
        ({"Fn::Sub": "${!literal}-${AWS::Region}"}, "${literal}-us-east-1"),
        ({"Fn::Base64": "a"}, "YQ=="),
        ({"Fn::Length": {"Ref": "Zones"}}, 2),
        ({"Fn::ToJsonString": {"b": 1}}, '{"b": 1}'),
    ],
)
def test_intrinsic_functions(written: Any, found: Any) -> None:
    assert Resolver(TEMPLATE).value(written) == found


def test_place_decides() -> None:
    place = Place(
        account="999988887777",
        region="eu-west-1",
        partition="aws-cn",
        parameters={"Env": "prod"},
        exports={"net-vpc": "vpc-1"},
        physical={"Key": "1234-abcd", "Queue": "http://localhost:4566/999988887777/deployed"},
    )
    resolver = Resolver(TEMPLATE, place)
    assert resolver.value({"Fn::GetAtt": ["Key", "Arn"]}) == "arn:aws-cn:kms:eu-west-1:999988887777:key/1234-abcd"
    assert resolver.value({"Fn::GetAtt": ["Queue", "Arn"]}) == "arn:aws-cn:sqs:eu-west-1:999988887777:deployed"
    assert resolver.value({"Ref": "Queue"}) == "http://localhost:4566/999988887777/deployed"
    assert resolver.value({"Fn::ImportValue": "net-vpc"}) == "vpc-1"
    assert resolver.properties("Bucket")["VersioningConfiguration"] == {"Status": "Enabled"}
    assert [name for name, _ in resolver.resources("AWS::SNS::Topic")] == ["Only"]


def test_a_resource_whose_condition_is_false_is_not_there() -> None:
    resolver = Resolver(TEMPLATE)
    assert not list(resolver.resources("AWS::SNS::Topic"))
    with pytest.raises(PolicyError, match="Only"):
        resolver.properties("Only")
    assert "VersioningConfiguration" not in resolver.properties("Bucket")


@pytest.mark.parametrize(
    "written",
    [
        {"Ref": "Nothing"},
        {"Fn::Select": [3, ["a"]]},
        {"Fn::FindInMap": ["Sizes", "dev", "workers"]},
        {"Fn::If": ["Unknown", 1, 2]},
    ],
)
def test_what_cannot_be_answered_is_an_error_that_names_it(written: Any) -> None:
    with pytest.raises(PolicyError) as caught:
        Resolver(TEMPLATE).value(written)
    assert caught.value.fix


def test_a_condition_that_is_none_is_refused() -> None:
    with pytest.raises(PolicyError, match="no condition"):
        Resolver({"Conditions": {"C": {"Fn::Odd": []}}}).condition("C")


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("s3:GetObject", f"{BUCKET}/raw/a", True),
        ("s3:GetObject", f"{BUCKET}/curated/a", False),
        ("s3:PutObject", f"{BUCKET}/raw/a", False),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/stack-Key", True),
        ("kms:Encrypt", "arn:aws:kms:us-east-1:111122223333:key/stack-Key", False),
        ("sqs:DeleteMessage", "arn:aws:sqs:us-east-1:111122223333:work", True),
        ("logs:PutLogEvents", "arn:aws:logs:us-east-1:111122223333:log-group:x:log-stream:y", True),
    ],
)
def test_a_template_answers(action: str, resource: str, allowed: bool) -> None:
    assert evaluate(TEMPLATE, "Role", action, resource).allowed is allowed


def test_account_of_several_stacks() -> None:
    account = Account.of({"main": TEMPLATE, "other": {"Resources": {}}})
    permit = account.role("Role")
    assert permit.managed == ("arn:aws:iam::aws:policy/AdministratorAccess",)
    assert account.role(permit.arn) is permit
    with pytest.raises(PolicyError, match="Rolf"):
        account.role("Rolf")
    rule = "arn:aws:events:us-east-1:111122223333:rule/landed"
    events = Caller.of_service("events.amazonaws.com")
    queue = "arn:aws:sqs:us-east-1:111122223333:work"
    function = "arn:aws:lambda:us-east-1:111122223333:function:judge"
    for action, resource in (("sqs:SendMessage", queue), ("lambda:InvokeFunction", function)):
        assert account.admits(events, action, resource, {"aws:SourceArn": rule})
        assert not account.admits(events, action, resource, {"aws:SourceArn": f"{rule}2"})
    assert account.admits(Caller.of_service("lambda.amazonaws.com"), "sts:AssumeRole", permit.arn)
    assert not account.admits(Caller.of_service("ec2.amazonaws.com"), "sts:AssumeRole", permit.arn)


def test_removing_a_statement_takes_its_permission() -> None:
    document = Account.of({"main": TEMPLATE}).role("Role").identity[0]
    assert [len(document.without(index).statements) for index in range(len(document.statements))] == [1, 1]


def test_mentions() -> None:
    written = {
        "a": [{"Ref": "One"}, {"Fn::GetAtt": ["Two", "Arn"]}, {"Fn::GetAtt": "Three.Arn"}],
        "b": {"Fn::Sub": ["${Four}-${Five.Arn}-${!Six}", {"x": {"Ref": "Seven"}}]},
        "c": {"Fn::Sub": "${Eight}"},
    }
    assert mentioned(written) == {"One", "Two", "Three", "Four", "Five", "Seven", "Eight"}


def own_policy(kind: str, **properties: Any) -> Account:
    return Account.of({"main": {"Resources": {"One": {"Type": kind, "Properties": properties}}}})


STATEMENT = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": {"AWS": "444455556666"}}
BODY = {"Version": "2012-10-17", "Statement": STATEMENT}


@pytest.mark.parametrize(
    ("account", "action", "arn"),
    [
        (
            own_policy("AWS::SecretsManager::ResourcePolicy", SecretId="arn:aws:x:::secret", ResourcePolicy=BODY),
            "secretsmanager:GetSecretValue",
            "arn:aws:x:::secret",
        ),
        (
            own_policy("AWS::Kinesis::ResourcePolicy", ResourceArn="arn:aws:x:::stream", ResourcePolicy=BODY),
            "kinesis:PutRecord",
            "arn:aws:x:::stream",
        ),
        (
            own_policy("AWS::DynamoDB::Table", TableName="t", ResourcePolicy={"PolicyDocument": BODY}),
            "dynamodb:GetItem",
            "arn:aws:dynamodb:us-east-1:111122223333:table/t",
        ),
        (
            own_policy("AWS::SNS::TopicPolicy", Topics=["arn:aws:x:::topic"], PolicyDocument='{"Statement": []}'),
            "sns:Publish",
            "",
        ),
    ],
)
def test_policies_that_resources_carry(account: Account, action: str, arn: str) -> None:
    reader = Caller.role("arn:aws:iam::444455556666:role/reader")
    identity = [next(iter(account.resource_policies.values()))]
    if arn:
        assert account.admits(reader, action, arn, identity=identity, owner="111122223333")
        assert not account.admits(Caller.role("arn:aws:iam::7:role/x"), action, arn, identity=identity, owner="1")
    else:
        assert identity[0].statements == ()


def test_an_invocation_may_be_limited_to_an_account() -> None:
    account = own_policy(
        "AWS::Lambda::Permission",
        FunctionName="judge",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceAccount="111122223333",
    )
    function = "arn:aws:lambda:us-east-1:111122223333:function:judge"
    s3 = Caller.of_service("s3.amazonaws.com")
    assert account.admits(s3, "lambda:InvokeFunction", function, {"aws:SourceAccount": "111122223333"})
    assert not account.admits(s3, "lambda:InvokeFunction", function, {"aws:SourceAccount": "444455556666"})


@pytest.mark.parametrize(
    ("kind", "properties", "attribute", "found"),
    [
        ("AWS::IAM::Role", {"RoleName": "r", "Path": "/app/"}, "Arn", "arn:aws:iam::111122223333:role/app/r"),
        (
            "AWS::Glue::Table",
            {"DatabaseName": "d", "TableInput": {"Name": "t"}},
            "Arn",
            "arn:aws:glue:us-east-1:111122223333:table/d/t",
        ),
        (
            "AWS::Kinesis::StreamConsumer",
            {"ConsumerName": "c", "StreamARN": "arn:aws:x:::s"},
            "ConsumerARN",
            "arn:aws:x:::s/consumer/c:1",
        ),
        ("AWS::Glue::Table", {"TableInput": "later"}, "Arn", "arn:aws:glue:us-east-1:111122223333:table//main-One"),
        ("AWS::Made::Up", {}, "Arn", "arn:aws:made:us-east-1:111122223333:main-One"),
    ],
)
def test_names_and_arns_by_type(kind: str, properties: dict[str, Any], attribute: str, found: str) -> None:
    template = {"Resources": {"One": {"Type": kind, "Properties": properties}}}
    assert Resolver(template, Place(stack="main")).value({"Fn::GetAtt": ["One", attribute]}) == found


def test_conditions_of_other_kinds() -> None:
    template = {"Conditions": {"Or": {"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Fn::Equals": ["a", "a"]}]}}}
    assert Resolver(template).condition("Or")
    with pytest.raises(PolicyError, match="no ARN"):
        Caller.role("role/x")


def test_arns_that_only_a_deployment_knows_are_taken_from_it() -> None:
    consumer = {"Type": "AWS::Kinesis::StreamConsumer", "Properties": {"ConsumerName": "c", "StreamARN": "s"}}
    known = "arn:aws:kinesis:us-east-1:111122223333:stream/s/consumer/c:1700000000"
    resolver = Resolver({"Resources": {"Consumer": consumer}}, Place(physical={"Consumer": known}))
    assert resolver.value({"Fn::GetAtt": ["Consumer", "ConsumerARN"]}) == known

"""Private ways to services, and who may use them."""

from __future__ import annotations

import pytest

from tapehouse.cloud import endpoint_services
from tapehouse.cloud.policy import Caller, Document, Policies, Request, decide

from .whole import Whole

ANYTHING = Document.parse({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


def by_service(found: Whole, kind: str) -> dict[str, dict[str, object]]:
    """Properties of the endpoints of that kind."""
    every = [one["Properties"] for one in found.template.of("AWS::EC2::VPCEndpoint").values()]
    return {one["ServiceName"].rpartition(".")[2]: one for one in every if one["VpcEndpointType"] == kind}


def through(found: Whole, service: str, action: str, resource: str, **context: str) -> bool:
    """Whether the gateway's policy lets such a call of this account pass."""
    policy = Document.parse(by_service(found, "Gateway")[service]["PolicyDocument"], "endpoint")
    caller = Caller.role("arn:aws:iam::111122223333:role/any")
    request = Request(caller, action, resource, {name.replace("_", ":"): one for name, one in context.items()})
    return bool(decide(request, Policies((ANYTHING,), boundary=policy)))


def test_interfaces_answer_to_the_usual_names_in_every_private_subnet(in_test: Whole) -> None:
    found = by_service(in_test, "Interface")
    wanted = {"kinesis-streams", "glue", "kms", "lambda", "sns", "sqs", "sts", "logs", "monitoring", "secretsmanager"}
    assert set(found) == wanted
    assert all(one["PrivateDnsEnabled"] is True for one in found.values())
    assert all(len(one["SubnetIds"]) == 2 for one in found.values())


def test_the_group_of_the_interfaces_admits_https_from_the_vpc_alone(in_test: Whole) -> None:
    group = in_test.template.one("AWS::EC2::SecurityGroup", GroupName="tapehouse-lake-endpoints-test-x1a2-eu-central-1")
    (ingress,) = group["SecurityGroupIngress"]
    assert (ingress["IpProtocol"], ingress["FromPort"], ingress["ToPort"]) == ("tcp", 443, 443)
    assert ingress["CidrIp"] == in_test.template.one("AWS::EC2::VPC")["CidrBlock"] == "10.40.0.0/16"
    (egress,) = group["SecurityGroupEgress"]
    assert egress["CidrIp"] == "255.255.255.255/32"


def test_gateways_are_in_every_private_route_table(in_prod: Whole) -> None:
    tables = {
        one["Properties"]["RouteTableId"]
        for one in in_prod.template.of("AWS::EC2::Route").values()
        if "NatGatewayId" in one["Properties"]
    }
    found = by_service(in_prod, "Gateway")
    assert set(found) == {"s3", "dynamodb"}
    assert all(set(one["RouteTableIds"]) == tables for one in found.values())


@pytest.mark.parametrize(
    ("action", "bucket", "owner", "passes"),
    [
        ("s3:PutObject", "tapehouse-lake-raw/x", "111122223333", True),
        ("s3:GetObject", "anything-of-ours/x", "111122223333", True),
        ("s3:PutObject", "somebody-elses/x", "999900001111", False),
        ("s3:GetObject", "somebody-elses/x", "999900001111", False),
        ("s3:GetObject", "aws-glue-jes-prod-eu-central-1-assets/etl.jar", "999900001111", True),
        ("s3:PutObject", "aws-glue-jes-prod-eu-central-1-assets/etl.jar", "999900001111", False),
        ("s3:GetObject", "prod-eu-central-1-starport-layer-bucket/sha", "999900001111", True),
        ("s3:GetObject", "prod-us-east-1-starport-layer-bucket/sha", "999900001111", False),
    ],
)
def test_the_way_to_s3_leads_to_our_buckets_and_to_those_that_services_read(
    in_test: Whole, action: str, bucket: str, owner: str, passes: bool
) -> None:
    assert through(in_test, "s3", action, f"arn:aws:s3:::{bucket}", aws_ResourceAccount=owner) is passes


@pytest.mark.parametrize(("account", "passes"), [("111122223333", True), ("999900001111", False)])
def test_the_way_to_dynamodb_leads_to_our_tables(in_test: Whole, account: str, passes: bool) -> None:
    arn = f"arn:aws:dynamodb:eu-central-1:{account}:table/lineage"
    assert through(in_test, "dynamodb", "dynamodb:PutItem", arn) is passes
    assert not through(in_test, "dynamodb", "dynamodb:DeleteTable", arn)


def test_blueprints_take_what_they_call() -> None:
    assert "kinesis-streams" in endpoint_services.MARKET_STREAM
    assert "athena" in endpoint_services.SERVERLESS_LAKE
    assert "kinesis-streams" not in endpoint_services.SERVERLESS_LAKE
    for chosen in (endpoint_services.MARKET_STREAM, endpoint_services.SERVERLESS_LAKE, endpoint_services.CLUSTERS):
        assert len(set(chosen)) == len(chosen)

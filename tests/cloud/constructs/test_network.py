"""The VPC: its own in each environment, or one that exists."""

from __future__ import annotations

import ipaddress

import pytest

from tapehouse.cloud.constructs.encryption import Encryption, EncryptionProps
from tapehouse.cloud.constructs.network import Network, NetworkProps
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming

from .whole import Template, Whole, empty_stack, settings_of, template_of

EXISTING = {
    "create": False,
    "cidr": "10.9.0.0/16",
    "vpc_id": "vpc-0123456789abcdef0",
    "private_subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "private_route_table_ids": ["rtb-0123456789abcdef0"],
    "availability_zones": ["eu-central-1b", "eu-central-1a"],
}


def network_alone(environment: str, **network: object) -> tuple[Network, Template]:
    settings = settings_of(environment, network=network)
    naming, lifecycle = Naming.of(settings, "lake"), Lifecycle.of(settings)
    stack = empty_stack(naming)
    encryption = Encryption(stack, "Encryption", props=EncryptionProps(naming, lifecycle))
    props = NetworkProps(settings.network, naming, lifecycle, encryption.logs, ["kms"])
    return Network(stack, "Network", props=props), template_of(stack)


def default_routes(template: Template) -> dict[str, dict[str, object]]:
    """By route table."""
    routes = template.of("AWS::EC2::Route").values()
    return {one["Properties"]["RouteTableId"]: one["Properties"] for one in routes}


def test_subnets_lie_apart_within_the_vpc(in_prod: Whole) -> None:
    vpc = ipaddress.ip_network(in_prod.template.one("AWS::EC2::VPC")["CidrBlock"])
    found = in_prod.template.of("AWS::EC2::Subnet").values()
    blocks = [ipaddress.ip_network(one["Properties"]["CidrBlock"]) for one in found]
    assert len(blocks) == 4
    assert all(block.subnet_of(vpc) for block in blocks)
    assert not any(one.overlaps(other) for one in blocks for other in blocks if one is not other)


def test_no_subnet_gives_out_public_addresses(in_prod: Whole) -> None:
    found = in_prod.template.of("AWS::EC2::Subnet").values()
    assert {one["Properties"]["MapPublicIpOnLaunch"] for one in found} == {False}


def test_each_private_subnet_leaves_by_the_gateway_of_its_zone_in_production(in_prod: Whole) -> None:
    routes = default_routes(in_prod.template)
    gateways = [routes[in_prod.template.ref(one)]["NatGatewayId"] for one in tables(in_prod)]
    assert len(set(gateways)) == len(gateways) == 2


def test_private_subnets_share_one_gateway_elsewhere(in_test: Whole) -> None:
    routes = default_routes(in_test.template)
    assert len(in_test.template.of("AWS::EC2::NatGateway")) == 1
    assert len({routes[in_test.template.ref(one)]["NatGatewayId"] for one in tables(in_test)}) == 1


@pytest.mark.parametrize("where", ["in_test", "in_prod"])
def test_each_private_subnet_has_a_table_of_its_own(where: str, request: pytest.FixtureRequest) -> None:
    template = request.getfixturevalue(where).template
    pairs = [one["Properties"] for one in template.of("AWS::EC2::SubnetRouteTableAssociation").values()]
    private = [one for one in pairs if "NatGatewayId" in default_routes(template)[one["RouteTableId"]]]
    assert len(private) == 2
    assert len({one["RouteTableId"] for one in private}) == len({one["SubnetId"] for one in private}) == 2


@pytest.mark.parametrize("where", ["in_test", "in_prod"])
def test_public_subnets_hold_a_gateway_each_and_are_no_more(where: str, request: pytest.FixtureRequest) -> None:
    template = request.getfixturevalue(where).template
    pairs = [one["Properties"] for one in template.of("AWS::EC2::SubnetRouteTableAssociation").values()]
    public = {one["SubnetId"] for one in pairs if "GatewayId" in default_routes(template)[one["RouteTableId"]]}
    assert public == {one["Properties"]["SubnetId"] for one in template.of("AWS::EC2::NatGateway").values()}


def test_gateways_wait_for_the_internet(in_prod: Whole) -> None:
    ways_out = {
        name for name, one in in_prod.template.of("AWS::EC2::Route").items() if "GatewayId" in one["Properties"]
    }
    for kind in ("AWS::EC2::NatGateway", "AWS::EC2::EIP"):
        assert all(set(one["DependsOn"]) == ways_out for one in in_prod.template.of(kind).values())


def test_zones_are_taken_by_number(in_prod: Whole) -> None:
    zones = [one["Properties"]["AvailabilityZone"] for one in in_prod.template.body["Resources"].values()
             if one["Type"] == "AWS::EC2::Subnet"]  # fmt: skip
    assert all(one["Fn::Select"][1] == {"Fn::GetAZs": ""} for one in zones)
    assert sorted(one["Fn::Select"][0] for one in zones) == [0, 0, 1, 1]


def test_three_zones_are_three_subnets_of_each_kind() -> None:
    network, template = network_alone("prod", zones=3)
    assert len(network.private_subnet_ids) == len(network.public_subnet_ids) == 3
    assert len(template.of("AWS::EC2::NatGateway")) == 3


@pytest.mark.parametrize(("where", "days"), [("in_test", 7), ("in_prod", 365)])
def test_all_traffic_is_logged_under_the_log_key_for_a_time(
    where: str, days: int, request: pytest.FixtureRequest
) -> None:
    found: Whole = request.getfixturevalue(where)
    log = found.template.one("AWS::EC2::FlowLog")
    group = found.template.one("AWS::Logs::LogGroup", LogGroupName=log["LogGroupName"])
    assert (log["TrafficType"], log["ResourceType"]) == ("ALL", "VPC")
    assert group["RetentionInDays"] == days
    assert ":key/" in group["KmsKeyId"]


def test_only_flow_logs_of_this_account_take_their_role(in_test: Whole) -> None:
    role = in_test.template.account.role(in_test.naming.text("flow").replace("${AWS::Region}", "eu-central-1"))
    (trust,) = role.trust.statements
    assert trust.principals == {"Service": ("vpc-flow-logs.amazonaws.com",)}
    assert {key.lower() for block in trust.conditions.values() for key in block} == {
        "aws:sourceaccount",
        "aws:sourcearn",
    }


def test_the_flow_logs_role_writes_to_its_group_and_nowhere_else(in_test: Whole) -> None:
    account, base = in_test.template.account, "arn:aws:logs:eu-central-1:111122223333:log-group:"
    name = "tapehouse-lake-flow-test-x1a2-eu-central-1"
    assert account.allows(name, "logs:PutLogEvents", f"{base}/aws/vpc/{name}:log-stream:eni-1")
    assert not account.allows(name, "logs:PutLogEvents", f"{base}/aws/lambda/other:log-stream:x")
    assert not account.allows(name, "logs:DeleteLogGroup", f"{base}/aws/vpc/{name}")


def test_a_group_for_callers_lets_https_out_and_nothing_in(in_test: Whole) -> None:
    group = in_test.template.one("AWS::EC2::SecurityGroup", GroupName="tapehouse-lake-callers-test-x1a2-eu-central-1")
    (out,) = group["SecurityGroupEgress"]
    assert (out["IpProtocol"], out["FromPort"], out["ToPort"]) == ("tcp", 443, 443)
    assert out["Description"]
    assert "SecurityGroupIngress" not in group


def test_an_existing_vpc_gets_endpoints_and_nothing_else() -> None:
    network, template = network_alone("prod", **EXISTING)
    kinds = {one["Type"] for one in template.body["Resources"].values() if one["Type"].startswith("AWS::EC2::")}
    assert kinds == {"AWS::EC2::VPCEndpoint", "AWS::EC2::SecurityGroup"}
    assert network.vpc_id == EXISTING["vpc_id"]
    assert network.made is None
    assert network.public_subnet_ids == ()
    for one in template.of("AWS::EC2::VPCEndpoint").values():
        where = one["Properties"].get("SubnetIds", one["Properties"].get("RouteTableIds"))
        assert where in (EXISTING["private_subnet_ids"], EXISTING["private_route_table_ids"])


def test_subnets_of_an_existing_vpc_are_in_the_zones_that_it_says() -> None:
    network, _ = network_alone("test", **EXISTING)
    assert network.vpc.availability_zones == EXISTING["availability_zones"]


def test_what_an_existing_vpc_reaches_already_is_not_made_again() -> None:
    network, template = network_alone("test", **EXISTING, present_endpoints=["s3", "kms"])
    made = [one["Properties"]["ServiceName"] for one in template.of("AWS::EC2::VPCEndpoint").values()]
    assert made == ["com.amazonaws.eu-central-1.dynamodb"]
    assert network.endpoints.security_group is None
    assert not template.of("AWS::EC2::SecurityGroup")


def test_an_existing_vpc_may_have_a_table_for_each_subnet() -> None:
    tables = ["rtb-0123456789abcdef0", "rtb-0123456789abcdef1"]
    network, _ = network_alone("test", **{**EXISTING, "private_route_table_ids": tables})
    assert [one.route_table.route_table_id for one in network.vpc.private_subnets] == tables


def test_what_was_made_is_told(in_test: Whole) -> None:
    made = in_test.network.made
    assert made is not None
    assert len(made.private_subnets) == len(made.private_route_tables) == 2
    assert len(made.public.subnets) == len(made.public.addresses) == len(made.public.nat_gateways) == 1
    assert made.flow_logs.flow_log is not None


def tables(found: Whole) -> list[str]:
    """Logical ids of the private route tables."""
    assert found.network.made is not None
    return [found.stack.get_logical_id(one) for one in found.network.made.private_route_tables]

"""The VPC: subnets, routes, who may come in, what is recorded."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from tapehouse.cloud.conformance.registry import absent, check, compare, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import LOGS, listed
from tapehouse.cloud.policy.resolve import mentioned

SUBNET, GATEWAY, ROUTES = "AWS::EC2::Subnet", "AWS::EC2::NatGateway", "AWS::EC2::RouteTable"
LINK = "AWS::EC2::SubnetRouteTableAssociation"
GROUP = "AWS::EC2::SecurityGroup"
_WORLD = ("0.0.0.0/0", "::/0")
# What may stand in a public subnet, or tell about it.
_PUBLIC_USES = (
    GATEWAY,
    LINK,
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::EC2::SubnetNetworkAclAssociation",
)


def table_of(stacks: Stacks, subnet: Resource) -> str:
    """The route table that a subnet is associated with; empty for the VPC's main one."""
    return next((str(one.get("RouteTableId")) for one in stacks.of(LINK) if one.get("SubnetId") == subnet.ref), "")


def default_routes(stacks: Stacks, table: str) -> list[Resource]:
    """Routes of a table to everywhere."""
    found = [one for one in stacks.of("AWS::EC2::Route") if one.get("RouteTableId") == table]
    return [
        one
        for one in found
        if one.get("DestinationCidrBlock") in _WORLD or one.get("DestinationIpv6CidrBlock") in _WORLD
    ]


def is_public(stacks: Stacks, subnet: Resource) -> bool:
    """Whether its table leads to an internet gateway."""
    gateways = {one.ref for one in stacks.of("AWS::EC2::InternetGateway")}
    routes = default_routes(stacks, table_of(stacks, subnet))
    return any(one.get("GatewayId") in gateways and one.get("GatewayId") for one in routes)


def private_subnets(stacks: Stacks) -> list[Resource]:
    return [one for one in stacks.of(SUBNET) if not is_public(stacks, one)]


@check("B02")
def public_subnets_are_for_nat_only(stacks: Stacks) -> Iterator[str]:
    subnets = stacks.of(SUBNET)
    yield from absent([one for one in subnets if is_public(stacks, one)], "public subnet for NAT")
    public = {one.id for one in subnets if is_public(stacks, one)}
    for one in stacks.all:
        used = mentioned(one.written.get("Properties", {})) & public
        if used and one.type not in _PUBLIC_USES:
            yield f"{one}: stands in public subnet {', '.join(sorted(used))}"
    for subnet in subnets:
        if subnet.id in public and subnet.get("MapPublicIpOnLaunch") is True:
            yield f"{subnet}: gives a public address to whatever starts in it"


@compare("B03")
def nat_per_zone_in_production_one_elsewhere(test: Stacks, prod: Stacks) -> Iterator[str]:
    for stacks, kind in ((test, "test"), (prod, "prod")):
        zones = {str(one.get("AvailabilityZone")) for one in private_subnets(stacks)}
        gateways = stacks.of(GATEWAY)
        wanted = len(zones) if kind == "prod" else 1
        if len(gateways) != wanted or not wanted:
            yield f"{kind}: {len(gateways)} NAT gateways for {len(zones)} zones, not {wanted}"
        if len({str(one.get("SubnetId")) for one in gateways}) != len(gateways):
            yield f"{kind}: two NAT gateways stand in one subnet"
    zones = {str(one.get("AvailabilityZone")) for one in private_subnets(prod)}
    own = {str(r.get("NatGatewayId")) for s in private_subnets(prod) for r in default_routes(prod, table_of(prod, s))}
    if len(own) != len(zones):
        yield f"prod: private subnets of {len(zones)} zones leave by {len(own)} NAT gateways"


@check("B04")
def private_subnets_have_their_own_route_to_nat(stacks: Stacks) -> Iterator[str]:
    subnets = private_subnets(stacks)
    tables = [table_of(stacks, one) for one in subnets]

    def judge(subnet: Resource) -> str | None:
        table = table_of(stacks, subnet)
        if not table:
            return "no route table is associated with it"
        if tables.count(table) > 1:
            return "shares its route table"
        nat = {one.ref for one in stacks.of(GATEWAY)}
        ways = [one.get("NatGatewayId") for one in default_routes(stacks, table)]
        return None if len(ways) == 1 and ways[0] in nat else "its table has no default route to a NAT gateway"

    yield from each(subnets, "private subnet", judge)


@check("B05")
def flow_logs_go_to_an_encrypted_group_that_forgets(stacks: Stacks) -> Iterator[str]:
    flows = stacks.of("AWS::EC2::FlowLog")
    vpcs = stacks.of("AWS::EC2::VPC")
    yield from absent(vpcs, "VPC")
    for vpc in vpcs:
        yield from (f"{vpc}: {one}" for one in absent([f for f in flows if f.get("ResourceId") == vpc.ref], "flow log"))
    for flow in flows:
        group = stacks.find(flow.get("LogGroupName") or flow.get("LogDestination"), LOGS)
        if group is None:
            yield f"{flow}: its log group is not of the deployment"
        elif stacks.key(group.get("KmsKeyId")) is None:
            yield f"{group}: takes flow logs, and is not under a customer key"
        elif not group.get("RetentionInDays"):
            yield f"{group}: takes flow logs, and keeps them for ever"
        if flow.get("TrafficType") != "ALL":
            yield f"{flow}: records {flow.get('TrafficType')} traffic only"


def ingress(stacks: Stacks, group: Resource) -> list[dict[str, Any]]:
    """Rules that let something in, inline or of their own."""
    apart = [dict(one.properties) for one in stacks.of("AWS::EC2::SecurityGroupIngress") if _about(one, group)]
    return [dict(one) for one in listed(group.get("SecurityGroupIngress"))] + apart


def _about(rule: Resource, group: Resource) -> bool:
    return rule.get("GroupId") in (group.ref, f"{group.ref}.GroupId")


@check("B07")
def nothing_comes_in_from_the_world(stacks: Stacks) -> Iterator[str]:
    def judge(group: Resource) -> str | None:
        for rule in ingress(stacks, group):
            if rule.get("CidrIp") in _WORLD or rule.get("CidrIpv6") in _WORLD:
                return f"lets in the world on {rule.get('FromPort', 'every port')}"
        return None

    yield from each(stacks.of(GROUP), "security group", judge)


@check("C28")
def the_vpc_is_made_with_subnets_that_do_not_overlap(stacks: Stacks) -> Iterator[str]:
    vpcs, subnets = stacks.of("AWS::EC2::VPC"), stacks.of(SUBNET)
    yield from absent(vpcs, "VPC of its own")
    yield from absent(subnets, "subnet")
    blocks = {one.ref: ipaddress.ip_network(str(one.get("CidrBlock"))) for one in vpcs}
    nets = [(one, ipaddress.ip_network(str(one.get("CidrBlock")))) for one in subnets]
    for subnet, net in nets:
        vpc = blocks.get(str(subnet.get("VpcId")))
        if vpc is None:
            yield f"{subnet}: in a VPC that the template does not make"
        elif not net.subnet_of(vpc):  # type: ignore[arg-type]
            yield f"{subnet}: {net} is outside the VPC's {vpc}"
    for (one, net), (other, second) in combinations(nets, 2):
        if net.overlaps(second):
            yield f"{one} and {other}: {net} overlaps {second}"
    for vpc_resource in vpcs:
        for option in ("EnableDnsSupport", "EnableDnsHostnames"):
            if vpc_resource.get(option) is not True:
                yield f"{vpc_resource}: {option} is not true, so private names do not resolve"

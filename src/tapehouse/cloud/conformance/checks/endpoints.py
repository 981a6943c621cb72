"""Private ways to AWS's services."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.conformance.checks.network import GROUP, ingress, private_subnets, table_of
from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import MACHINE, STREAM, listed

ENDPOINT = "AWS::EC2::VPCEndpoint"
_EVERYWHERE = ("glue", "kms", "lambda", "sns", "sqs", "sts", "logs", "monitoring", "secretsmanager")


def _service(endpoint: Resource) -> str:
    """Last part of the service's name, such as `s3` or `kinesis-streams`."""
    return str(endpoint.get("ServiceName", "")).rpartition(".")[2]


def _interfaces(stacks: Stacks) -> list[Resource]:
    return [one for one in stacks.of(ENDPOINT) if one.get("VpcEndpointType") == "Interface"]


def _gateways(stacks: Stacks) -> list[Resource]:
    return [one for one in stacks.of(ENDPOINT) if one.get("VpcEndpointType", "Gateway") == "Gateway"]


def _missing(stacks: Stacks, services: list[str]) -> Iterator[str]:
    there = {_service(one) for one in _interfaces(stacks) if one.get("PrivateDnsEnabled") is True}
    yield from (f"no interface endpoint with private DNS for {one}" for one in services if one not in there)


@check("C29")
def services_have_interface_endpoints(stacks: Stacks) -> Iterator[str]:
    """Kinesis only where there are streams."""
    yield from _missing(stacks, [*_EVERYWHERE, *(["kinesis-streams"] if stacks.of(STREAM) else [])])
    for one in _interfaces(stacks):
        if one.get("PrivateDnsEnabled") is not True:
            yield f"{one}: {_service(one)} without private DNS"
        reached = set(listed(one.get("SubnetIds"))) & {subnet.ref for subnet in private_subnets(stacks)}
        if not reached:
            yield f"{one}: {_service(one)} is in no private subnet"


@check("B08")
def the_pipeline_reaches_its_services_privately(stacks: Stacks) -> Iterator[str]:
    """EMR only where there are clusters, Step Functions only where there are state machines."""
    more = [
        *(["elasticmapreduce"] if stacks.of("AWS::EMR::Cluster") else []),
        *(["states"] if stacks.of(MACHINE) else []),
    ]
    yield from _missing(stacks, ["kms", "glue", "logs", "sts", *more])
    if "s3" not in {_service(one) for one in _gateways(stacks)}:
        yield "no gateway endpoint for s3"


@check("C30")
def endpoints_let_in_443_from_the_vpc_only(stacks: Stacks) -> Iterator[str]:
    blocks = {str(one.get("CidrBlock")) for one in stacks.of("AWS::EC2::VPC")}
    blocks |= {f"{one.ref}.CidrBlock" for one in stacks.of("AWS::EC2::VPC")}
    yield from absent(_interfaces(stacks), "interface endpoint")
    for endpoint in _interfaces(stacks):
        names = [str(one) for one in listed(endpoint.get("SecurityGroupIds"))]
        groups = [one for one in stacks.of(GROUP) for name in names if name in (one.ref, f"{one.ref}.GroupId")]
        if not groups or len(groups) != len(names):
            yield f"{endpoint}: its security group is not of the deployment"
        for group in groups:
            rules = ingress(stacks, group)
            for rule in rules:
                ports = (str(rule.get("FromPort")), str(rule.get("ToPort")), str(rule.get("IpProtocol")))
                if ports != ("443", "443", "tcp"):
                    yield f"{group}: lets in {'-'.join(ports)} to {_service(endpoint)}"
                if rule.get("CidrIp") not in blocks:
                    yield f"{group}: lets in {rule.get('CidrIp') or 'what is no address block'}, not the VPC's block"
            if not rules:
                yield f"{group}: lets nothing in to {_service(endpoint)}"


@check("C31")
def gateway_endpoints_are_on_every_private_table(stacks: Stacks) -> Iterator[str]:
    subnets = private_subnets(stacks)
    yield from absent(subnets, "private subnet")
    tables = {table_of(stacks, one) for one in subnets}
    for service in ("s3", "dynamodb"):
        entered = {
            str(t) for one in _gateways(stacks) if _service(one) == service for t in listed(one.get("RouteTableIds"))
        }
        for table in sorted(tables - entered):
            yield f"route table {table}: no gateway endpoint for {service}"

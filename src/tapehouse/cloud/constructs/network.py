"""A VPC of the deployment's own, or an existing one by its ids.

What runs is in private subnets, each with a route table and a way out through NAT; public subnets are there for the
NAT gateways and nothing else. Zones are the region's first ones, whatever they are called, so one template fits every
region. VPC and subnets are resources as CloudFormation has them: the CDK's own VPC would need to know the zones.

A VPC's default security group cannot be changed by CloudFormation, and lets its members speak to one another. Nothing
here is a member: each thing gets a group of its own from `security_group`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws, CfnTag, Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from tapehouse.cloud import cidrs
from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.constructs.endpoints import Endpoints, EndpointsProps
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.network_settings import NetworkSettings

_ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class NetworkProps:
    """`endpoints` are services to be reached by interfaces, see `endpoint_services`; `logs_key` is the flow logs'."""

    settings: NetworkSettings
    naming: Naming
    lifecycle: Lifecycle
    logs_key: kms.IKey
    endpoints: Sequence[str]


@dataclass(frozen=True, slots=True)
class MadeNetwork:
    """The resources of a VPC of our own. Subnets, tables and gateways by zone; addresses are the gateways'."""

    vpc: ec2.CfnVPC
    public: PublicPart
    private_subnets: tuple[ec2.CfnSubnet, ...]
    private_route_tables: tuple[ec2.CfnRouteTable, ...]
    flow_logs: FlowLogs


@dataclass(frozen=True, slots=True)
class PublicPart:
    """What leads to the internet."""

    internet_gateway: ec2.CfnInternetGateway
    route_table: ec2.CfnRouteTable
    subnets: tuple[ec2.CfnSubnet, ...]
    addresses: tuple[ec2.CfnEIP, ...]
    nat_gateways: tuple[ec2.CfnNatGateway, ...]


@dataclass(frozen=True, slots=True)
class FlowLogs:
    """Headers of all traffic, accepted and rejected."""

    log_group: logs.LogGroup
    role: iam.Role
    flow_log: ec2.CfnFlowLog


class Network(Construct):
    """The VPC with its endpoints. Of an existing VPC only those endpoints are made that it has not; its flow logs are
    its owner's.
    """

    vpc: ec2.IVpc
    """For constructs of the CDK that ask for one."""
    vpc_id: str
    """Of either VPC."""
    cidr: str
    """The VPC's addresses."""
    private_subnet_ids: tuple[str, ...]
    """One a zone."""
    private_route_table_ids: tuple[str, ...]
    """Of those subnets, in the same order."""
    public_subnet_ids: tuple[str, ...]
    """One for each NAT gateway; none of an existing VPC."""
    endpoints: Endpoints
    """Gateways and interfaces."""
    made: MadeNetwork | None
    """What was made; None of an existing VPC."""

    def __init__(self, scope: Construct, construct_id: str, *, props: NetworkProps) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        self.cidr = props.settings.cidr
        zones = list(props.settings.availability_zones)
        if props.settings.create:
            self._make()
            zones = [_zone(number) for number in range(props.settings.zones)]
        else:
            self._adopt()
        # Subnets of an existing VPC may share a table; then the CDK cannot be told which belongs to which.
        paired = len(self.private_route_table_ids) == len(self.private_subnet_ids)
        self.vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Imported",
            vpc_id=self.vpc_id,
            vpc_cidr_block=self.cidr,
            availability_zones=zones,
            private_subnet_ids=list(self.private_subnet_ids),
            private_subnet_route_table_ids=list(self.private_route_table_ids) if paired else None,
        )
        self.endpoints = Endpoints(
            self,
            "Endpoints",
            props=EndpointsProps(
                props.naming,
                self.vpc_id,
                self.cidr,
                self.private_subnet_ids,
                self.private_route_table_ids,
                props.endpoints,
                props.settings.present_endpoints,
            ),
        )

    def security_group(self, scope: Construct, construct_id: str, purpose: str, description: str) -> ec2.SecurityGroup:
        """A group for something that calls AWS's services: HTTPS out, nothing in. `purpose` is part of its name;
        EC2 takes no apostrophes in a `description`.
        """
        group = ec2.SecurityGroup(
            scope,
            construct_id,
            vpc=self.vpc,
            security_group_name=self._props.naming.name(purpose),
            description=description,
            allow_all_outbound=False,
        )
        # The addresses of S3 and DynamoDB are public, and the list of them has another id in each region.
        group.add_egress_rule(ec2.Peer.ipv4(_ANYWHERE), ec2.Port.tcp(443), "HTTPS, also to gateway endpoints")
        return group

    def _adopt(self) -> None:
        settings = self._props.settings
        self.vpc_id = settings.vpc_id
        self.private_subnet_ids = settings.private_subnet_ids
        self.private_route_table_ids = settings.private_route_table_ids
        self.public_subnet_ids = ()
        self.made = None

    def _make(self) -> None:
        vpc = ec2.CfnVPC(
            self,
            "Vpc",
            cidr_block=self.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=[self._name_tag("vpc")],
        )
        self.vpc_id = vpc.ref
        blocks = cidrs.subnets(self.cidr, self._props.settings.zones)
        public = self._public(blocks.public if self._props.lifecycle.nat_per_zone else blocks.public[:1])
        private = [self._private(number, block, public.nat_gateways) for number, block in enumerate(blocks.private)]
        subnets, tables = tuple(one for one, _ in private), tuple(table for _, table in private)
        self.private_subnet_ids = tuple(one.ref for one in subnets)
        self.private_route_table_ids = tuple(one.ref for one in tables)
        self.public_subnet_ids = tuple(one.ref for one in public.subnets)
        self.made = MadeNetwork(vpc, public, subnets, tables, self._flow_logs())

    def _public(self, blocks: Sequence[str]) -> PublicPart:
        """One subnet with a NAT gateway for each block."""
        internet = ec2.CfnInternetGateway(self, "Internet", tags=[self._name_tag("internet")])
        attached = ec2.CfnVPCGatewayAttachment(
            self, "InternetAttachment", vpc_id=self.vpc_id, internet_gateway_id=internet.ref
        )
        table = ec2.CfnRouteTable(self, "PublicRoutes", vpc_id=self.vpc_id, tags=[self._name_tag("public")])
        way_out = ec2.CfnRoute(
            self,
            "PublicDefault",
            route_table_id=table.ref,
            destination_cidr_block=_ANYWHERE,
            gateway_id=internet.ref,
        )
        way_out.add_resource_dependency(attached)
        subnets = tuple(self._subnet("Public", number, block, table) for number, block in enumerate(blocks))
        nats = [self._nat(number, subnet, way_out) for number, subnet in enumerate(subnets)]
        return PublicPart(
            internet, table, subnets, tuple(address for address, _ in nats), tuple(gateway for _, gateway in nats)
        )

    def _nat(self, number: int, subnet: ec2.CfnSubnet, way_out: ec2.CfnRoute) -> tuple[ec2.CfnEIP, ec2.CfnNatGateway]:
        address = ec2.CfnEIP(self, f"NatAddress{number}", domain="vpc", tags=[self._name_tag(f"nat-{number}")])
        gateway = ec2.CfnNatGateway(
            self,
            f"Nat{number}",
            subnet_id=subnet.ref,
            allocation_id=address.attr_allocation_id,
            tags=[self._name_tag(f"nat-{number}")],
        )
        # Neither can be made before the internet is there, nor removed after it has gone.
        address.add_resource_dependency(way_out)
        gateway.add_resource_dependency(way_out)
        return address, gateway

    def _private(
        self, number: int, block: str, gateways: Sequence[ec2.CfnNatGateway]
    ) -> tuple[ec2.CfnSubnet, ec2.CfnRouteTable]:
        table = ec2.CfnRouteTable(
            self, f"PrivateRoutes{number}", vpc_id=self.vpc_id, tags=[self._name_tag(f"private-{number}")]
        )
        ec2.CfnRoute(
            self,
            f"PrivateDefault{number}",
            route_table_id=table.ref,
            destination_cidr_block=_ANYWHERE,
            nat_gateway_id=gateways[number % len(gateways)].ref,
        )
        return self._subnet("Private", number, block, table), table

    def _subnet(self, kind: str, number: int, block: str, table: ec2.CfnRouteTable) -> ec2.CfnSubnet:
        subnet = ec2.CfnSubnet(
            self,
            f"{kind}{number}",
            vpc_id=self.vpc_id,
            cidr_block=block,
            availability_zone=_zone(number),
            map_public_ip_on_launch=False,
            tags=[self._name_tag(f"{kind.lower()}-{number}")],
        )
        ec2.CfnSubnetRouteTableAssociation(
            self,
            f"{kind}Association{number}",
            subnet_id=subnet.ref,
            route_table_id=table.ref,
        )
        return subnet

    def _flow_logs(self) -> FlowLogs:
        props = self._props
        name = props.naming.name("flow")
        group = logs.LogGroup(
            self,
            "FlowLogGroup",
            log_group_name=f"/aws/vpc/{name}",
            retention=props.lifecycle.log_retention,
            encryption_key=props.logs_key,
            removal_policy=props.lifecycle.removal,
        )
        delivery = iam.ServicePrincipal("vpc-flow-logs.amazonaws.com").with_conditions(
            {
                "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                "ArnLike": {"aws:SourceArn": arn("ec2", "vpc-flow-log/*")},
            }
        )
        write = iam.PolicyStatement(
            sid="Write",
            actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            resources=[group.log_group_arn],
        )
        role = iam.Role(
            self,
            "FlowLogRole",
            role_name=name,
            description="Delivers the VPC's flow logs",
            assumed_by=delivery,
            inline_policies={"write": iam.PolicyDocument(statements=[write])},
        )
        flow_log = ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
            max_aggregation_interval=60,
            tags=[self._name_tag("flow")],
        )
        return FlowLogs(group, role, flow_log)

    def _name_tag(self, purpose: str) -> CfnTag:
        return CfnTag(key="Name", value=self._props.naming.name(purpose))


def _zone(number: int) -> str:
    return str(Fn.select(number, Fn.get_azs()))

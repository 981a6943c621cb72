"""Private ways to AWS's services, so that what runs in the VPC reaches them without the internet.

Of S3 and DynamoDB there are gateways, which are routes and cost nothing; of the others interfaces, in each private
subnet, billed by the hour: a deployment takes those it calls. A VPC can have one of each service that answers to the
usual host name, so what a VPC has already is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws, Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from tapehouse.cloud.naming import Naming

_OBJECT_ACTIONS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:GetObjectAttributes",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
)
_ITEM_ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
)
# Buckets of AWS's that Glue and Lambda read from within a customer's network: Glue's scripts, libraries and Python
# packages, and the layers of container images. Without them a job with a connection fails before its first line.
_SERVICE_OBJECTS = (
    "aws-glue-*/*",
    "crawler-public*/*",
    "prod-${AWS::Region}-starport-layer-bucket/*",
)


@dataclass(frozen=True, slots=True)
class EndpointsProps:
    """Where: `subnet_ids` for the interfaces, `route_table_ids` for the gateways; `cidr` is who may call. `services`
    are those to be reached by interfaces, and `present` those, gateways too, that the VPC reaches already.
    """

    naming: Naming
    vpc_id: str
    cidr: str
    subnet_ids: Sequence[str]
    route_table_ids: Sequence[str]
    services: Sequence[str]
    present: Sequence[str] = ()


class Endpoints(Construct):
    """Gateways, and one interface for each service, behind one security group."""

    gateways: dict[str, ec2.CfnVPCEndpoint]
    """`s3` and `dynamodb`, in every private route table; without those present."""
    interfaces: dict[str, ec2.CfnVPCEndpoint]
    """By service; each answers to the service's usual host name."""
    security_group: ec2.CfnSecurityGroup | None
    """Admits HTTPS from the VPC's addresses, and starts nothing itself; None where there are no interfaces."""

    def __init__(self, scope: Construct, construct_id: str, *, props: EndpointsProps) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        policies = {"s3": ("S3", _s3_policy), "dynamodb": ("DynamoDb", _dynamodb_policy)}
        self.gateways = {
            service: self._gateway(construct_id, service, policy())
            for service, (construct_id, policy) in policies.items()
            if service not in props.present
        }
        services = [service for service in props.services if service not in props.present]
        self.security_group, self.interfaces = None, {}
        if services:
            self.security_group = self._security_group()
            self.interfaces = {service: self._interface(service, self.security_group) for service in services}

    def _security_group(self) -> ec2.CfnSecurityGroup:
        props = self._props
        return ec2.CfnSecurityGroup(
            self,
            "SecurityGroup",
            group_name=props.naming.name("endpoints"),
            group_description="HTTPS from the VPC to interface endpoints",
            vpc_id=props.vpc_id,
            security_group_ingress=[
                ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp", from_port=443, to_port=443, cidr_ip=props.cidr, description="HTTPS from the VPC"
                )
            ],
            # A group without an egress rule gets one that allows everything; this one reaches nobody.
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="icmp",
                    from_port=252,
                    to_port=86,
                    cidr_ip="255.255.255.255/32",
                    description="Nothing goes out",
                )
            ],
        )

    def _gateway(self, construct_id: str, service: str, policy: iam.PolicyDocument) -> ec2.CfnVPCEndpoint:
        return ec2.CfnVPCEndpoint(
            self,
            construct_id,
            service_name=_service_name(service),
            vpc_id=self._props.vpc_id,
            vpc_endpoint_type="Gateway",
            route_table_ids=list(self._props.route_table_ids),
            policy_document=policy,
        )

    def _interface(self, service: str, security_group: ec2.CfnSecurityGroup) -> ec2.CfnVPCEndpoint:
        return ec2.CfnVPCEndpoint(
            self,
            "".join(part.capitalize() for part in service.split("-")),
            service_name=_service_name(service),
            vpc_id=self._props.vpc_id,
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=list(self._props.subnet_ids),
            security_group_ids=[security_group.attr_group_id],
        )


def _service_name(service: str) -> str:
    return str(Fn.sub(f"com.amazonaws.${{AWS::Region}}.{service}"))


def _s3_policy() -> iam.PolicyDocument:
    """This account's buckets, whoever asks; and for reading those of AWS's that its own services need."""
    ours = iam.PolicyStatement(
        sid="OurBuckets",
        principals=[iam.AnyPrincipal()],
        actions=list(_OBJECT_ACTIONS),
        # Whatever bucket it is, as long as the account owns it: aws:ResourceAccount is what limits this.
        resources=["*"],
        conditions={"StringEquals": {"aws:ResourceAccount": Aws.ACCOUNT_ID}},
    )
    services = iam.PolicyStatement(
        sid="BucketsOfServices",
        principals=[iam.AnyPrincipal()],
        actions=["s3:GetObject"],
        resources=[str(Fn.sub(f"arn:${{AWS::Partition}}:s3:::{one}")) for one in _SERVICE_OBJECTS],
    )
    return iam.PolicyDocument(statements=[ours, services])


def _dynamodb_policy() -> iam.PolicyDocument:
    tables = iam.PolicyStatement(
        sid="OurTables",
        principals=[iam.AnyPrincipal()],
        actions=list(_ITEM_ACTIONS),
        resources=[str(Fn.sub("arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*"))],
        conditions={"StringEquals": {"aws:PrincipalAccount": Aws.ACCOUNT_ID}},
    )
    return iam.PolicyDocument(statements=[tables])

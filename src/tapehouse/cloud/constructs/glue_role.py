"""What Glue itself does with the role of a job, whatever the job's code does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aws_cdk import Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from tapehouse.cloud.constructs.arns import arn
from tapehouse.cloud.naming import Naming

SPARK_UI = "spark-ui"
TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True)
class GlueNeeds:
    """Where a job's files, logs and network interfaces are. `log_prefix`, for `Fn::Sub`, begins the names of its log
    groups.
    """

    naming: Naming
    scripts_bucket: s3.IBucket
    logs_bucket: s3.IBucket
    data_key: kms.IKey
    log_prefix: str
    security_group_id: str
    subnet_ids: Sequence[str]


def service_statements(needs: GlueNeeds) -> Iterator[iam.PolicyStatement]:
    """What Glue itself does with the role: code, logs, network, temporary files."""
    yield _allow("Release", ["s3:GetObject"], needs.scripts_bucket.arn_for_objects("releases/*"))
    yield _allow(
        "Temporary",
        ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        needs.scripts_bucket.arn_for_objects(f"{TEMPORARY}/*"),
    )
    yield _allow("List", ["s3:ListBucket"], needs.scripts_bucket.bucket_arn)
    yield _allow("SparkUi", ["s3:PutObject"], needs.logs_bucket.arn_for_objects(f"{SPARK_UI}/*"))
    group = f"log-group:{needs.log_prefix}"
    yield _allow(
        "Log",
        ["logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        arn("logs", f"{group}*"),
        arn("logs", f"{group}*:log-stream:*"),
    )
    yield _allow(
        "Key", ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], needs.data_key.key_arn
    )
    yield _allow("Connections", ["glue:GetConnection", "glue:GetConnections"], *_connections(needs))
    yield _allow(
        "JobSecurity",
        # Glue has no resource-level permissions for security configurations.
        ["glue:GetSecurityConfiguration"],
        "*",
    )
    # CloudWatch has no resource-level permissions for PutMetricData; the namespace is what can be said.
    yield iam.PolicyStatement(
        sid="JobMetrics",
        actions=["cloudwatch:PutMetricData"],
        resources=["*"],
        conditions={"StringEquals": {"cloudwatch:namespace": "Glue"}},
    )
    yield from _interfaces(needs)


def _interfaces(needs: GlueNeeds) -> Iterator[iam.PolicyStatement]:
    # EC2 has no resource-level permissions for Describe calls.
    yield _allow(
        "SeeNetwork",
        [
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcEndpoints",
        ],
        "*",
    )
    yield _allow(
        "MakeInterfaces",
        ["ec2:CreateNetworkInterface"],
        arn("ec2", "network-interface/*"),
        Fn.join("", [arn("ec2", "security-group/"), needs.security_group_id]),
        *(Fn.join("", [arn("ec2", "subnet/"), one]) for one in needs.subnet_ids),
    )
    tagged = {"ForAllValues:StringEquals": {"aws:TagKeys": ["aws-glue-service-resource"]}}
    yield iam.PolicyStatement(
        sid="TagInterfaces",
        actions=["ec2:CreateTags", "ec2:DeleteTags"],
        resources=[arn("ec2", "network-interface/*")],
        conditions=tagged,
    )
    # Of an interface that Glue made, the id is known only to Glue.
    yield _allow("RemoveInterfaces", ["ec2:DeleteNetworkInterface"], arn("ec2", "network-interface/*"))


def _connections(needs: GlueNeeds) -> list[str]:
    names = [needs.naming.text(connection(number)) for number, _ in enumerate(needs.subnet_ids, 1)]
    return [arn("glue", "catalog"), *(arn("glue", f"connection/{name}") for name in names)]


def connection(number: int) -> str:
    """What stands for the connection to the nth private subnet in its name."""
    return f"network-{number}"


def _allow(sid: str, actions: Sequence[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))

"""The few policies kept by AWS that deployments here may attach, as AWS publishes them."""

from __future__ import annotations

from collections.abc import Mapping

from tapehouse.cloud.policy.documents import Document

_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_INTERFACES = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "service-role/AWSLambdaBasicExecutionRole": _LOGS,
    "service-role/AWSLambdaVPCAccessExecutionRole": (*_LOGS, *_INTERFACES),
    "service-role/AWSLambdaSQSQueueExecutionRole": (
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        *_LOGS,
    ),
    "AWSXRayDaemonWriteAccess": (
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:GetSamplingStatisticSummaries",
    ),
}


def managed_policy(arn: str) -> Document | None:
    """AWS's policy by ARN; None for one that is not listed here."""
    name = arn.partition(":iam::aws:policy/")[2]
    if name not in _ACTIONS:
        return None
    statement = {"Effect": "Allow", "Action": list(_ACTIONS[name]), "Resource": "*"}
    return Document.parse({"Version": "2012-10-17", "Statement": statement}, name)

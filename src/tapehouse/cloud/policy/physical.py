"""What Ref and Fn::GetAtt return, by resource type: the name, and the ARN made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tapehouse.cloud.policy.place import Place


@dataclass(frozen=True, slots=True)
class Shape:
    """How one type is named. `prop`: property with the physical name; `arn`: service, and resource part with `{}` for
    the name; `ref`: whether Ref returns the name, the ARN or a URL."""

    prop: str
    arn: tuple[str, str] = ("", "")
    ref: str = "name"


SHAPES: Mapping[str, Shape] = {
    "AWS::S3::Bucket": Shape("BucketName", ("s3", "{}")),
    "AWS::KMS::Key": Shape("", ("kms", "key/{}")),
    "AWS::KMS::Alias": Shape("AliasName", ("kms", "{}")),
    "AWS::IAM::Role": Shape("RoleName", ("iam", "role/{}")),
    "AWS::IAM::ManagedPolicy": Shape("ManagedPolicyName", ("iam", "policy/{}"), "arn"),
    "AWS::Lambda::Function": Shape("FunctionName", ("lambda", "function:{}")),
    "AWS::Lambda::LayerVersion": Shape("LayerName", ("lambda", "layer:{}:1"), "arn"),
    "AWS::SQS::Queue": Shape("QueueName", ("sqs", "{}"), "url"),
    "AWS::SNS::Topic": Shape("TopicName", ("sns", "{}"), "arn"),
    "AWS::Kinesis::Stream": Shape("Name", ("kinesis", "stream/{}")),
    "AWS::Kinesis::StreamConsumer": Shape("ConsumerName", ("kinesis", "stream/{}"), "arn"),
    "AWS::KinesisFirehose::DeliveryStream": Shape("DeliveryStreamName", ("firehose", "deliverystream/{}")),
    "AWS::DynamoDB::Table": Shape("TableName", ("dynamodb", "table/{}")),
    "AWS::DynamoDB::GlobalTable": Shape("TableName", ("dynamodb", "table/{}")),
    "AWS::Glue::Job": Shape("Name", ("glue", "job/{}")),
    "AWS::Glue::Database": Shape("DatabaseInput.Name", ("glue", "database/{}")),
    "AWS::Glue::Table": Shape("TableInput.Name", ("glue", "table/{}")),
    "AWS::Glue::SecurityConfiguration": Shape("Name"),
    "AWS::Athena::WorkGroup": Shape("Name", ("athena", "workgroup/{}")),
    "AWS::Logs::LogGroup": Shape("LogGroupName", ("logs", "log-group:{}:*")),
    "AWS::Events::Rule": Shape("Name", ("events", "rule/{}")),
    "AWS::Scheduler::Schedule": Shape("Name", ("scheduler", "schedule/default/{}")),
    "AWS::StepFunctions::StateMachine": Shape("StateMachineName", ("states", "stateMachine:{}"), "arn"),
    "AWS::SecretsManager::Secret": Shape("Name", ("secretsmanager", "secret:{}-AbCdEf"), "arn"),
    "AWS::CloudWatch::Alarm": Shape("AlarmName", ("cloudwatch", "alarm:{}")),
    "AWS::CloudWatch::CompositeAlarm": Shape("AlarmName", ("cloudwatch", "alarm:{}")),
    "AWS::CloudWatch::Dashboard": Shape("DashboardName", ("cloudwatch", "dashboard/{}")),
    "AWS::EMR::Cluster": Shape("", ("elasticmapreduce", "cluster/{}")),
    "AWS::EC2::VPC": Shape("", ("ec2", "vpc/{}")),
    "AWS::EC2::SecurityGroup": Shape("", ("ec2", "security-group/{}")),
    "AWS::EC2::Subnet": Shape("", ("ec2", "subnet/{}")),
    "AWS::ECR::Repository": Shape("RepositoryName", ("ecr", "repository/{}")),
}
_NO_REGION = {"iam", "s3"}
_ATTRIBUTES: Mapping[tuple[str, str], Callable[[str, Place], Any]] = {
    ("AWS::S3::Bucket", "DomainName"): lambda name, place: f"{name}.s3.{place.suffix}",
    ("AWS::S3::Bucket", "RegionalDomainName"): lambda name, place: f"{name}.s3.{place.region}.{place.suffix}",
    ("AWS::SQS::Queue", "QueueName"): lambda name, place: name,
    ("AWS::SNS::Topic", "TopicName"): lambda name, place: name,
    ("AWS::KMS::Key", "KeyId"): lambda name, place: name,
    ("AWS::StepFunctions::StateMachine", "Name"): lambda name, place: name,
}


def text_at(properties: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where it stops."""
    value: Any = properties
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def name_of(kind: str, logical_id: str, properties: Mapping[str, Any], place: Place) -> str:
    """The physical name: as deployed, as declared, or a stable stand-in made of stack and logical id."""
    if logical_id in place.physical:
        return place.physical[logical_id].rpartition("/")[2].rpartition(":")[2]
    shape = SHAPES.get(kind)
    declared = text_at(properties, shape.prop) if shape and shape.prop else None
    return declared if isinstance(declared, str) and declared else f"{place.stack}-{logical_id}"


def arn_of(kind: str, name: str, properties: Mapping[str, Any], place: Place) -> str:
    """The ARN of a resource by its name; a stand-in of the service's own for types not listed."""
    shape = SHAPES.get(kind)
    service, pattern = shape.arn if shape and shape.arn[0] else (kind.split("::")[1].lower(), "{}")
    if kind == "AWS::IAM::Role" and properties.get("Path", "/") != "/":
        pattern = f"role{properties['Path']}{{}}"
    if kind == "AWS::Glue::Table":
        pattern = f"table/{properties.get('DatabaseName', '')}/{{}}"
    if kind == "AWS::Kinesis::StreamConsumer":
        return f"{properties.get('StreamARN', '')}/consumer/{name}:1"
    region = service not in _NO_REGION and kind != "AWS::CloudWatch::Dashboard"
    return place.arn(service, pattern.format(name), region=region, account=service != "s3")


def ref_of(kind: str, name: str, properties: Mapping[str, Any], place: Place) -> str:
    """What `Ref` returns."""
    shape = SHAPES.get(kind)
    if shape is None or shape.ref == "name":
        return name
    if shape.ref == "url":
        return f"https://sqs.{place.region}.{place.suffix}/{place.account}/{name}"
    return arn_of(kind, name, properties, place)


def attribute_of(kind: str, attribute: str, name: str, properties: Mapping[str, Any], place: Place) -> Any:
    """What `Fn::GetAtt` returns; for attributes that only a deployment knows, a stable text naming them."""
    if attribute in ("Arn", "TopicArn", "ConsumerARN", "LayerVersionArn", "PolicyArn"):
        return arn_of(kind, name, properties, place)
    special = _ATTRIBUTES.get((kind, attribute))
    return special(name, place) if special else f"{name}.{attribute}"

"""Types of CloudFormation resources that ministack refuses, made through its own APIs; what has none is recorded."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from emulator import properties
from emulator.inside import client
from emulator.options import Options
from emulator.recording import Lines

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]
Create = Callable[[str, Properties, str], Made]
Delete = Callable[[str, Properties], Any]

# No service stands behind these: their properties are written to recorded.jsonl, and that is all.
RECORDED = (
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Logs::QueryDefinition",
    "AWS::Glue::DataCatalogEncryptionSettings",
    "AWS::SecretsManager::RotationSchedule",
)


def install(options: Options) -> None:
    from ministack.services.cloudformation import stacks

    blocking = stacks._runs_on_worker_thread
    ours: set[str] = set()
    stacks._runs_on_worker_thread = lambda kind: kind in ours or blocking(kind)
    for kind, (create, delete) in TYPES.items():
        ours.add(kind)
        _register(kind, create, delete)
    recorded = Lines(options.recorded)
    for kind in RECORDED:
        _register(kind, _record(kind, recorded), lambda physical_id, given: None)
    ours.update(properties.install())


def _register(kind: str, create: Create, delete: Delete) -> None:
    from ministack.services.cloudformation import provisioners

    def update(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Made:
        """As AWS replaces: the new one is made before the old one goes."""
        made = create(logical_id, new, stack)
        if made[0] != physical_id:
            delete(physical_id, old)
        return made

    handlers = {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}
    provisioners._RESOURCE_HANDLERS[kind] = handlers


def _record(kind: str, lines: Lines) -> Create:
    def create(logical_id: str, given: Properties, stack: str) -> Made:
        physical_id = given.get("Name") or f"{stack}-{logical_id}-{uuid.uuid4().hex[:8]}"
        if kind.endswith("ScalableTarget"):
            physical_id = f"{given['ResourceId']}|{given['ScalableDimension']}|{given['ServiceNamespace']}"
        lines.append({"type": kind, "stack": stack, "logical_id": logical_id, "id": physical_id, "properties": given})
        return physical_id, {"Arn": physical_id, "Id": physical_id}

    return create


def _elastic_ip(logical_id: str, given: Properties, stack: str) -> Made:
    made = client("ec2").allocate_address(Domain="vpc")
    return made["PublicIp"], {"AllocationId": made["AllocationId"], "PublicIp": made["PublicIp"]}


def _release_ip(physical_id: str, given: Properties) -> None:
    ec2 = client("ec2")
    for address in ec2.describe_addresses()["Addresses"]:
        if address["PublicIp"] == physical_id:
            ec2.release_address(AllocationId=address["AllocationId"])


def _nat_gateway(logical_id: str, given: Properties, stack: str) -> Made:
    request = {name: given[name] for name in ("SubnetId", "AllocationId", "ConnectivityType") if given.get(name)}
    made = client("ec2").create_nat_gateway(**request)["NatGateway"]["NatGatewayId"]
    return made, {"NatGatewayId": made}


def _delete_nat_gateway(physical_id: str, given: Properties) -> None:
    client("ec2").delete_nat_gateway(NatGatewayId=physical_id)


def _flow_log(logical_id: str, given: Properties, stack: str) -> Made:
    names = (
        "ResourceType",
        "TrafficType",
        "LogDestinationType",
        "LogGroupName",
        "LogDestination",
        "DeliverLogsPermissionArn",
    )
    request = {name: given[name] for name in names if given.get(name)}
    made = client("ec2").create_flow_logs(ResourceIds=[given["ResourceId"]], **request)["FlowLogIds"][0]
    return made, {"Id": made}


def _delete_flow_log(physical_id: str, given: Properties) -> None:
    client("ec2").delete_flow_logs(FlowLogIds=[physical_id])


def _permission(given: Properties, other: str) -> list[Properties]:
    rule: Properties = {"IpProtocol": str(given["IpProtocol"])}
    rule |= {port: int(given[port]) for port in ("FromPort", "ToPort") if port in given}
    if given.get("CidrIp"):
        rule["IpRanges"] = [{"CidrIp": given["CidrIp"]}]
    if given.get(other):
        rule["UserIdGroupPairs"] = [{"GroupId": given[other]}]
    if given.get("DestinationPrefixListId"):
        rule["PrefixListIds"] = [{"PrefixListId": given["DestinationPrefixListId"]}]
    return [rule]


def _ingress(logical_id: str, given: Properties, stack: str) -> Made:
    rules = _permission(given, "SourceSecurityGroupId")
    client("ec2").authorize_security_group_ingress(GroupId=given["GroupId"], IpPermissions=rules)
    made = f"sgr-{uuid.uuid4().hex[:17]}"
    return made, {"Id": made}


def _revoke_ingress(physical_id: str, given: Properties) -> None:
    rules = _permission(given, "SourceSecurityGroupId")
    client("ec2").revoke_security_group_ingress(GroupId=given["GroupId"], IpPermissions=rules)


def _egress(logical_id: str, given: Properties, stack: str) -> Made:
    rules = _permission(given, "DestinationSecurityGroupId")
    client("ec2").authorize_security_group_egress(GroupId=given["GroupId"], IpPermissions=rules)
    made = f"sgr-{uuid.uuid4().hex[:17]}"
    return made, {"Id": made}


def _revoke_egress(physical_id: str, given: Properties) -> None:
    rules = _permission(given, "DestinationSecurityGroupId")
    client("ec2").revoke_security_group_egress(GroupId=given["GroupId"], IpPermissions=rules)


def _stream_consumer(logical_id: str, given: Properties, stack: str) -> Made:
    request = {"StreamARN": given["StreamARN"], "ConsumerName": given["ConsumerName"]}
    made = client("kinesis").register_stream_consumer(**request)["Consumer"]
    attributes = ("ConsumerARN", "ConsumerName", "ConsumerStatus")
    return made["ConsumerARN"], {name: made[name] for name in attributes} | {"StreamARN": given["StreamARN"]}


def _delete_stream_consumer(physical_id: str, given: Properties) -> None:
    client("kinesis").deregister_stream_consumer(ConsumerARN=physical_id)


def _named_query(logical_id: str, given: Properties, stack: str) -> Made:
    names = ("Database", "QueryString", "Description", "WorkGroup")
    request = {name: given[name] for name in names if given.get(name)}
    made = client("athena").create_named_query(Name=given.get("Name") or logical_id, **request)["NamedQueryId"]
    return made, {"NamedQueryId": made}


def _delete_named_query(physical_id: str, given: Properties) -> None:
    client("athena").delete_named_query(NamedQueryId=physical_id)


def _security_configuration(logical_id: str, given: Properties, stack: str) -> Made:
    named = {"S3Encryptions": "S3Encryption"}
    encryption = {named.get(name, name): value for name, value in given["EncryptionConfiguration"].items()}
    client("glue").create_security_configuration(Name=given["Name"], EncryptionConfiguration=encryption)
    return given["Name"], {}


def _delete_security_configuration(physical_id: str, given: Properties) -> None:
    client("glue").delete_security_configuration(Name=physical_id)


def _secret_policy(logical_id: str, given: Properties, stack: str) -> Made:
    policy = json.dumps(given["ResourcePolicy"])
    client("secretsmanager").put_resource_policy(SecretId=given["SecretId"], ResourcePolicy=policy)
    return given["SecretId"], {}


def _delete_secret_policy(physical_id: str, given: Properties) -> None:
    client("secretsmanager").delete_resource_policy(SecretId=physical_id)


def _composite_alarm(logical_id: str, given: Properties, stack: str) -> Made:
    from ministack.services.cloudformation import provisioners

    name = given.get("AlarmName") or provisioners._physical_name(stack, logical_id, max_len=255)
    names = ("AlarmActions", "AlarmDescription", "OKActions", "InsufficientDataActions")
    request = {key: given[key] for key in names if given.get(key)}
    cloudwatch = client("cloudwatch")
    cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=given["AlarmRule"], **request)
    made = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]
    return name, {"Arn": made["AlarmArn"]}


def _delete_alarm(physical_id: str, given: Properties) -> None:
    client("cloudwatch").delete_alarms(AlarmNames=[physical_id])


TYPES: dict[str, tuple[Create, Delete]] = {
    "AWS::EC2::EIP": (_elastic_ip, _release_ip),
    "AWS::EC2::NatGateway": (_nat_gateway, _delete_nat_gateway),
    "AWS::EC2::FlowLog": (_flow_log, _delete_flow_log),
    "AWS::EC2::SecurityGroupIngress": (_ingress, _revoke_ingress),
    "AWS::EC2::SecurityGroupEgress": (_egress, _revoke_egress),
    "AWS::Kinesis::StreamConsumer": (_stream_consumer, _delete_stream_consumer),
    "AWS::Athena::NamedQuery": (_named_query, _delete_named_query),
    "AWS::Glue::SecurityConfiguration": (_security_configuration, _delete_security_configuration),
    "AWS::SecretsManager::ResourcePolicy": (_secret_policy, _delete_secret_policy),
    "AWS::CloudWatch::CompositeAlarm": (_composite_alarm, _delete_alarm),
}

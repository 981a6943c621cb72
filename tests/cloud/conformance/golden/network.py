"""A VPC of two zones with all its endpoints."""

from __future__ import annotations

from typing import Any

from .parts import Json, Kind, allow, att, document, made, name, ref, sub

INTERFACES = ("glue", "kms", "lambda", "sns", "sqs", "sts", "logs", "monitoring", "secretsmanager")


def network(kind: Kind) -> Json:
    found: Json = {
        "Vpc": made(
            "AWS::EC2::VPC", {"CidrBlock": "10.40.0.0/16", "EnableDnsSupport": True, "EnableDnsHostnames": True}
        ),
        "Internet": made("AWS::EC2::InternetGateway", {}),
    }
    for zone in (0, 1):
        found.update(_zone(kind, zone))
    services = [*INTERFACES, *(["kinesis-streams"] if kind.streamed else [])]
    for service in services:
        found[f"Endpoint{service.replace('-', '')}"] = _endpoint(service)
    for service in ("s3", "dynamodb"):
        found[f"Gateway{service}"] = _endpoint(service, gateway=True)
    return {**found, **_groups(kind), **_flow(kind)}


def _subnet(zone: int, block: str) -> Json:
    where = {"Fn::Select": [zone, {"Fn::GetAZs": ""}]}
    return made("AWS::EC2::Subnet", {"VpcId": ref("Vpc"), "CidrBlock": block, "AvailabilityZone": where})


def _zone(kind: Kind, zone: int) -> Json:
    found: Json = {
        f"Public{zone}": _subnet(zone, f"10.40.{zone}.0/24"),
        f"Private{zone}": _subnet(zone, f"10.40.{16 * (zone + 1)}.0/20"),
    }
    for side in ("Public", "Private"):
        found[f"{side}Table{zone}"] = made("AWS::EC2::RouteTable", {"VpcId": ref("Vpc")})
        link = {"SubnetId": ref(f"{side}{zone}"), "RouteTableId": ref(f"{side}Table{zone}")}
        found[f"{side}Link{zone}"] = made("AWS::EC2::SubnetRouteTableAssociation", link)
    if kind.production or zone == 0:
        found[f"Address{zone}"] = made("AWS::EC2::EIP", {"Domain": "vpc"})
        nat = {"SubnetId": ref(f"Public{zone}"), "AllocationId": att(f"Address{zone}", "AllocationId")}
        found[f"Nat{zone}"] = made("AWS::EC2::NatGateway", nat)
    out = {"RouteTableId": ref(f"PublicTable{zone}"), "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": ref("Internet")}
    found[f"PublicRoute{zone}"] = made("AWS::EC2::Route", out)
    way = ref(f"Nat{zone if kind.production else 0}")
    private = {"RouteTableId": ref(f"PrivateTable{zone}"), "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": way}
    found[f"PrivateRoute{zone}"] = made("AWS::EC2::Route", private)
    return found


def _endpoint(service: str, *, gateway: bool = False) -> Json:
    properties: dict[str, Any] = {"VpcId": ref("Vpc"), "ServiceName": sub(f"com.amazonaws.${{AWS::Region}}.{service}")}
    if gateway:
        properties |= {"VpcEndpointType": "Gateway", "RouteTableIds": [ref("PrivateTable0"), ref("PrivateTable1")]}
    else:
        properties |= {
            "VpcEndpointType": "Interface",
            "PrivateDnsEnabled": True,
            "SubnetIds": [ref("Private0"), ref("Private1")],
            "SecurityGroupIds": [att("EndpointGroup", "GroupId")],
        }
    return made("AWS::EC2::VPCEndpoint", properties)


def _groups(kind: Kind) -> Json:
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    out = [{**https, "CidrIp": "0.0.0.0/0"}]
    inward = [{**https, "CidrIp": att("Vpc", "CidrBlock")}]
    return {
        "EndpointGroup": _group(kind, "endpoints", SecurityGroupIngress=inward),
        "WorkGroup": _group(kind, "workers", SecurityGroupEgress=out),
    }


def _group(kind: Kind, purpose: str, **rules: Any) -> Json:
    properties = {"GroupDescription": purpose, "GroupName": name(kind, purpose), "VpcId": ref("Vpc"), **rules}
    return made("AWS::EC2::SecurityGroup", properties)


def _flow(kind: Kind) -> Json:
    condition = {
        "StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")},
        "ArnLike": {"aws:SourceArn": sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:vpc-flow-log/*")},
    }
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
        "Condition": condition,
    }
    writes = document(allow(["logs:CreateLogStream", "logs:PutLogEvents"], att("FlowLogs")))
    role = {
        "RoleName": name(kind, "flow-role"),
        "AssumeRolePolicyDocument": document(trust),
        "ManagedPolicyArns": [ref("Denies")],
        "Policies": [{"PolicyName": "write", "PolicyDocument": writes}],
    }
    group = {
        "LogGroupName": name(kind, "flows"),
        "KmsKeyId": att("LogsKey"),
        "RetentionInDays": 365 if kind.production else 7,
    }
    flow = {
        "ResourceId": ref("Vpc"),
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogGroupName": ref("FlowLogs"),
        "DeliverLogsPermissionArn": att("FlowRole"),
    }
    return {
        "FlowRole": made("AWS::IAM::Role", role),
        "FlowLogs": made("AWS::Logs::LogGroup", group, kind.keep),
        "Flow": made("AWS::EC2::FlowLog", flow),
    }

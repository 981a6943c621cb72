"""What the extension adds to CloudFormation: types that ministack refuses, properties that it drops."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import Emulator
from emulator.support import Stacks, allow, arn, eventually, ref, role


def test_a_network_with_nat_endpoints_and_flow_logs(emulator: Emulator, stacks: Stacks) -> None:
    resources: dict[str, Any] = {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Subnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {
                "VpcId": ref("Vpc"),
                "CidrBlock": "10.0.1.0/24",
                "AvailabilityZone": {"Fn::Select": [0, {"Fn::GetAZs": ""}]},
            },
        },
        "Routes": {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": ref("Vpc")}},
        "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
        "Nat": {
            "Type": "AWS::EC2::NatGateway",
            "Properties": {"SubnetId": ref("Subnet"), "AllocationId": arn("Address", "AllocationId")},
        },
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"GroupDescription": "endpoints", "VpcId": ref("Vpc")},
        },
        "In": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {
                "GroupId": arn("Group", "GroupId"),
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "CidrIp": arn("Vpc", "CidrBlock"),
            },
        },
        "Out": {
            "Type": "AWS::EC2::SecurityGroupEgress",
            "Properties": {
                "GroupId": arn("Group", "GroupId"),
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "DestinationSecurityGroupId": arn("Group", "GroupId"),
            },
        },
        "Endpoint": {
            "Type": "AWS::EC2::VPCEndpoint",
            "Properties": {
                "VpcId": ref("Vpc"),
                "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
                "RouteTableIds": [ref("Routes")],
            },
        },
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 7}},
        "LogRole": role("vpc-flow-logs", allow("logs:PutLogEvents")),
        "Flow": {
            "Type": "AWS::EC2::FlowLog",
            "Properties": {
                "ResourceId": ref("Vpc"),
                "ResourceType": "VPC",
                "TrafficType": "ALL",
                "LogGroupName": ref("Log"),
                "DeliverLogsPermissionArn": arn("LogRole"),
            },
        },
    }
    out = stacks.deploy("network", resources, {"Vpc": ref("Vpc"), "Group": arn("Group", "GroupId"), "Nat": ref("Nat")})
    ec2 = emulator.client("ec2")
    (group,) = ec2.describe_security_groups(GroupIds=[out["Group"]])["SecurityGroups"]
    assert group["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "10.0.0.0/16"}]
    assert any(rule.get("FromPort") == 443 and rule["UserIdGroupPairs"] for rule in group["IpPermissionsEgress"])
    assert ec2.describe_nat_gateways(NatGatewayIds=[out["Nat"]])["NatGateways"][0]["State"] == "available"
    (flow,) = ec2.describe_flow_logs()["FlowLogs"]
    assert (flow["ResourceId"], flow["TrafficType"]) == (out["Vpc"], "ALL")
    stacks.delete()
    assert ec2.describe_flow_logs()["FlowLogs"] == []
    assert ec2.describe_addresses()["Addresses"] == []
    assert [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if vpc["VpcId"] == out["Vpc"]] == []


def bucket(days: int) -> dict[str, Any]:
    return {
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "BucketName": "fully-configured",
            "VersioningConfiguration": {"Status": "Enabled"},
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "BucketKeyEnabled": True,
                        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn("Key")},
                    }
                ]
            },
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "Id": "age",
                        "Status": "Enabled",
                        "Prefix": "raw/",
                        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": days}],
                        "NoncurrentVersionTransitions": [{"StorageClass": "GLACIER_IR", "TransitionInDays": 30}],
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 60},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                        "ExpirationInDays": 3650,
                    },
                    {"Status": "Enabled", "ExpiredObjectDeleteMarker": True},
                ]
            },
            "IntelligentTieringConfigurations": [
                {"Id": "all", "Status": "Enabled", "Tierings": [{"AccessTier": "ARCHIVE_ACCESS", "Days": 90}]}
            ],
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "Tags": [{"Key": "Owner", "Value": "desk"}],
        },
    }


def test_a_bucket_keeps_all_its_properties_and_takes_changes(emulator: Emulator, stacks: Stacks) -> None:
    key = {
        "Type": "AWS::KMS::Key",
        "Properties": {"EnableKeyRotation": True, "PendingWindowInDays": 7, "KeyPolicy": {}},
    }
    resources = {"Key": key, "Bucket": bucket(90)}
    out = stacks.deploy("bucket", resources, {"Key": arn("Key"), "Bucket": ref("Bucket")})
    s3 = emulator.client("s3")
    name = {"Bucket": out["Bucket"]}
    (rule,) = s3.get_bucket_encryption(**name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == out["Key"]
    assert rule["BucketKeyEnabled"] is True
    age, markers = s3.get_bucket_lifecycle_configuration(**name)["Rules"]
    assert age["Transitions"] == [{"Days": 90, "StorageClass": "GLACIER"}]
    assert age["NoncurrentVersionExpiration"] == {"NoncurrentDays": 60}
    assert age["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert markers["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    tiering = s3.get_bucket_intelligent_tiering_configuration(**name, Id="all")["IntelligentTieringConfiguration"]
    assert tiering["Tierings"] == [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]
    assert s3.get_bucket_tagging(**name)["TagSet"] == [{"Key": "Owner", "Value": "desk"}]
    assert emulator.client("kms").get_key_rotation_status(KeyId=out["Key"])["KeyRotationEnabled"] is True
    stacks.deploy("bucket", {"Key": key, "Bucket": bucket(120)})
    age, _ = s3.get_bucket_lifecycle_configuration(**name)["Rules"]
    assert age["Transitions"] == [{"Days": 120, "StorageClass": "GLACIER"}]


def test_a_table_expires_its_items_and_can_be_restored(emulator: Emulator, stacks: Stacks) -> None:
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "dataset", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "dataset", "KeyType": "HASH"}],
            "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires_at"},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/own"},
        },
    }
    name = stacks.deploy("table", {"Table": table}, {"Name": ref("Table")})["Name"]
    dynamodb = emulator.client("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires_at")
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert dynamodb.describe_table(TableName=name)["Table"]["SSEDescription"]["KMSMasterKeyArn"] == "alias/own"
    item = {"dataset": {"S": "trades"}}
    dynamodb.put_item(TableName=name, Item=item, ConditionExpression="attribute_not_exists(dataset)")
    with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
        dynamodb.put_item(TableName=name, Item=item, ConditionExpression="attribute_not_exists(dataset)")


def test_alarms_on_expressions_and_of_alarms(emulator: Emulator, stacks: Stacks) -> None:
    metric = {"Namespace": "Ours", "MetricName": "Rejected", "Dimensions": [{"Name": "Dataset", "Value": "quotes"}]}
    expression = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": "share",
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": "1",
            "Threshold": 5,
            "Metrics": [
                {"Id": "e", "Expression": "a * 100", "ReturnData": "true"},
                {"Id": "a", "MetricStat": {"Metric": metric, "Period": "60", "Stat": "Sum"}, "ReturnData": False},
            ],
        },
    }
    plain = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": "rejected",
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "Period": 60,
            "Statistic": "Sum",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [ref("Topic")],
            **metric,
        },
    }
    send = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn("Queue")}
    document = {"Version": "2012-10-17", "Statement": [send]}
    resources = {
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [ref("Queue")], "PolicyDocument": document},
        },
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {"TopicArn": ref("Topic"), "Protocol": "sqs", "Endpoint": arn("Queue")},
        },
        "Share": expression,
        "Rejected": plain,
        "Both": {
            "Type": "AWS::CloudWatch::CompositeAlarm",
            "Properties": {"AlarmName": "both", "AlarmRule": "ALARM(share) OR ALARM(rejected)"},
            "DependsOn": ["Share", "Rejected"],
        },
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardName": "own", "DashboardBody": json.dumps({"widgets": []})},
        },
    }
    out = stacks.deploy("alarms", resources, {"Queue": ref("Queue"), "Both": arn("Both")})
    cloudwatch = emulator.client("cloudwatch")
    assert ":alarm:both" in out["Both"]
    (share,) = cloudwatch.describe_alarms(AlarmNames=["share"])["MetricAlarms"]
    assert (share["Threshold"], share["StateValue"]) == (5, "INSUFFICIENT_DATA")
    assert json.loads(cloudwatch.get_dashboard(DashboardName="own")["DashboardBody"]) == {"widgets": []}
    cloudwatch.put_metric_data(
        Namespace="Ours", MetricData=[{k: v for k, v in metric.items() if k != "Namespace"} | {"Value": 3}]
    )

    def told() -> Any:
        return emulator.client("sqs").receive_message(QueueUrl=out["Queue"]).get("Messages")

    (message,) = eventually(told, seconds=70, every=0.5)
    told_alarm = json.loads(json.loads(message["Body"])["Message"])
    assert (told_alarm["AlarmName"], told_alarm["NewStateValue"]) == ("rejected", "ALARM")


def test_what_has_no_service_is_recorded(emulator: Emulator, stacks: Stacks) -> None:
    target = {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {
            "ResourceId": "table/x",
            "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
            "ServiceNamespace": "dynamodb",
            "MinCapacity": 1,
            "MaxCapacity": 9,
        },
    }
    out = stacks.deploy("recorded", {"Target": target}, {"Id": ref("Target")})
    assert out["Id"] == "table/x|dynamodb:table:ReadCapacityUnits|dynamodb"
    lines = (emulator.folder / "recorded.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["properties"]["MaxCapacity"] for line in lines] == [9]


def test_the_rest_of_what_a_lake_declares(emulator: Emulator, stacks: Stacks) -> None:
    resources = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}}},
        "Stream": {
            "Type": "AWS::Kinesis::Stream",
            "Properties": {
                "ShardCount": 2,
                "RetentionPeriodHours": 48,
                "StreamEncryption": {"EncryptionType": "KMS", "KeyId": ref("Key")},
            },
        },
        "Workgroup": {
            "Type": "AWS::Athena::WorkGroup",
            "Properties": {
                "Name": "bounded",
                "RecursiveDeleteOption": True,
                "WorkGroupConfiguration": {
                    "EnforceWorkGroupConfiguration": True,
                    "BytesScannedCutoffPerQuery": 10_000_000,
                    "ResultConfiguration": {"OutputLocation": "s3://results/"},
                },
            },
        },
        "Query": {
            "Type": "AWS::Athena::NamedQuery",
            "Properties": {"Database": "tape", "QueryString": "select 1", "WorkGroup": ref("Workgroup")},
        },
        "Security": {
            "Type": "AWS::Glue::SecurityConfiguration",
            "Properties": {
                "Name": "encrypted",
                "EncryptionConfiguration": {
                    "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": arn("Key")}],
                },
            },
        },
        "Database": {
            "Type": "AWS::Glue::Database",
            "Properties": {"CatalogId": {"Ref": "AWS::AccountId"}, "DatabaseInput": {"Name": "declared"}},
        },
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": {}}},
        "SecretPolicy": {
            "Type": "AWS::SecretsManager::ResourcePolicy",
            "Properties": {"SecretId": ref("Secret"), "ResourcePolicy": {"Version": "2012-10-17", "Statement": []}},
        },
        "Log": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": "/own/log", "RetentionInDays": 30, "KmsKeyId": arn("Key")},
        },
    }
    out = stacks.deploy("rest", resources, {"Stream": ref("Stream"), "Key": ref("Key"), "KeyArn": arn("Key")})
    stream = emulator.client("kinesis").describe_stream_summary(StreamName=out["Stream"])["StreamDescriptionSummary"]
    assert (stream["EncryptionType"], stream["KeyId"], stream["RetentionPeriodHours"]) == ("KMS", out["Key"], 48)
    workgroup = emulator.client("athena").get_work_group(WorkGroup="bounded")["WorkGroup"]["Configuration"]
    assert workgroup["EnforceWorkGroupConfiguration"] is True
    glue = emulator.client("glue")
    found = glue.get_security_configuration(Name="encrypted")["SecurityConfiguration"]["EncryptionConfiguration"]
    assert found["S3Encryption"][0]["KmsKeyArn"] == out["KeyArn"]
    assert glue.get_database(Name="declared")["Database"]["Name"] == "declared"
    (group,) = emulator.client("logs").describe_log_groups(logGroupNamePrefix="/own/log")["logGroups"]
    assert (group["retentionInDays"], group["kmsKeyId"]) == (30, out["KeyArn"])


def test_a_bucket_that_holds_an_old_version_is_not_removed(emulator: Emulator, stacks: Stacks) -> None:
    properties = {"BucketName": "still-full", "VersioningConfiguration": {"Status": "Enabled"}}
    stacks.deploy("full", {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
    s3 = emulator.client("s3")
    version = s3.put_object(Bucket="still-full", Key="k", Body=b"x")["VersionId"]
    marker = s3.delete_object(Bucket="still-full", Key="k")["VersionId"]
    cloudformation = emulator.client("cloudformation")
    cloudformation.delete_stack(StackName="full")

    def failed() -> bool:
        found = cloudformation.describe_stacks(StackName="full")["Stacks"][0]
        return bool(found["StackStatus"] == "DELETE_FAILED")

    eventually(failed)
    for one in (version, marker):
        s3.delete_object(Bucket="still-full", Key="k", VersionId=one)
    cloudformation.delete_stack(StackName="full")

"""Queues, streams, functions, the job, the consumer's role."""

from __future__ import annotations

from typing import Any

from .data import database
from .parts import CONSUMER, PRODUCTION_SHARDS, Json, Kind, allow, att, document, here, made, name, ref, sub, text, via

HASH = "0123456789abcdef0123456789abcdef"
INTERFACES = ["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"]
RECEIVE = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


def compute(kind: Kind) -> Json:
    found = {
        **_queue(kind, "Dead", "objects-dlq", MessageRetentionPeriod=1_209_600),
        **_queue(kind, "Work", "objects", RedrivePolicy={"deadLetterTargetArn": att("Dead"), "maxReceiveCount": 5}),
        **_landed(kind),
        **_function(
            kind, "Validator", "object-validator", _validating(), _environment(), ReservedConcurrentExecutions=5
        ),
        **_function(kind, "Redrive", "redrive", [allow(RECEIVE, att("Dead")), _use("sqs")], {}),
        **_function(kind, "Deployer", "deployment", [], {}),
        **_release(),
        **_job(kind),
        **_consumer_role(kind),
    }
    properties = {"EventSourceArn": att("Work"), "FunctionName": ref("Validator"), "BatchSize": 10, **PARTIAL}
    found["Feed"] = made("AWS::Lambda::EventSourceMapping", properties)
    return {**found, **(_streaming(kind) if kind.streamed else {})}


PARTIAL = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


def _use(*services: str) -> Json:
    condition = {"StringEquals": {"kms:ViaService": [via(one) for one in services]}}
    return allow(["kms:Decrypt", "kms:GenerateDataKey"], att("DataKey"), Condition=condition)


def _queue(kind: Kind, logical_id: str, purpose: str, **more: Any) -> Json:
    properties = {"QueueName": name(kind, purpose), "KmsMasterKeyId": att("DataKey"), **more}
    return {logical_id: made("AWS::SQS::Queue", properties, "Delete")}


def _landed(kind: Kind) -> Json:
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [ref("Raw")]}, "object": {"key": [{"prefix": "landing/"}]}},
    }
    target = {"Id": "work", "Arn": att("Work"), "DeadLetterConfig": {"Arn": att("Dead")}}
    condition = {"ArnEquals": {"aws:SourceArn": here("events", f"rule/{text(kind, 'landed')}")}}
    service = {"Service": "events.amazonaws.com"}
    sends = [allow("sqs:SendMessage", att(one), Principal=service, Condition=condition) for one in ("Work", "Dead")]
    return {
        "Landed": made(
            "AWS::Events::Rule", {"Name": name(kind, "landed"), "EventPattern": pattern, "Targets": [target]}
        ),
        "WorkDoor": made("AWS::SQS::QueuePolicy", {"Queues": [ref("Work")], "PolicyDocument": document(sends[0])}),
        "DeadDoor": made("AWS::SQS::QueuePolicy", {"Queues": [ref("Dead")], "PolicyDocument": document(sends[1])}),
    }


def _environment() -> Json:
    return {
        "TAPEHOUSE_RAW_BUCKET": ref("Raw"),
        "TAPEHOUSE_LINEAGE_TABLE": ref("Lineage"),
        "TAPEHOUSE_ALERT_TOPIC_ARN": ref("Alerts"),
        "TAPEHOUSE_GLUE_JOB": ref("Job"),
    }


def _validating() -> list[Json]:
    landing = {"Fn::Join": ["", [att("Raw"), "/landing/*"]]}
    return [
        allow(RECEIVE, att("Work")),
        allow("s3:GetObject", landing),
        allow(["dynamodb:PutItem", "dynamodb:UpdateItem"], att("Lineage")),
        allow("sns:Publish", ref("Alerts")),
        allow("glue:StartJobRun", att("Job")),
        _use("s3", "sqs", "sns", "dynamodb"),
    ]


def _role(kind: Kind, purpose: str, service: str, statements: list[Json]) -> Json:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    properties = {
        "RoleName": name(kind, f"{purpose}-role"),
        "AssumeRolePolicyDocument": document(trust),
        "ManagedPolicyArns": [ref("Denies")],
        "Policies": [{"PolicyName": "work", "PolicyDocument": document(*statements)}],
    }
    return made("AWS::IAM::Role", properties)


def _function(
    kind: Kind, logical_id: str, purpose: str, statements: list[Json], environment: Json, **more: Any
) -> Json:
    running = [
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], att(f"{logical_id}Log")),
        allow(INTERFACES, "*"),
    ]
    group = {
        "LogGroupName": sub(f"/aws/lambda/{text(kind, purpose)}"),
        "KmsKeyId": att("LogsKey"),
        "RetentionInDays": 365 if kind.production else 7,
    }
    properties = {
        "FunctionName": name(kind, purpose),
        "Runtime": "python3.14",
        "Handler": "tapehouse.handlers.any.handler",
        "Role": att(f"{logical_id}Role"),
        "Environment": {"Variables": environment},
        "LoggingConfig": {"LogGroup": ref(f"{logical_id}Log")},
        "VpcConfig": {"SubnetIds": [ref("Private0")], "SecurityGroupIds": [att("WorkGroup", "GroupId")]},
        **more,
    }
    return {
        f"{logical_id}Role": _role(kind, purpose, "lambda.amazonaws.com", [*running, *statements]),
        f"{logical_id}Log": made("AWS::Logs::LogGroup", group, "Delete"),
        logical_id: made("AWS::Lambda::Function", properties),
    }


def _release() -> Json:
    properties = {"ServiceToken": att("Deployer"), "Bucket": ref("Scripts"), "Prefix": f"releases/{HASH}"}
    return {"Release": made("Custom::ReleaseFiles", properties)}


def _job(kind: Kind) -> Json:
    def under(bucket: str, path: str) -> Json:
        return {"Fn::Join": ["", ["s3://", ref(bucket), path]]}

    arguments = {
        "--raw": under("Raw", "/raw"),
        "--lake": under("Curated", "/lake"),
        "--database": database(kind),
        "--lineage": {"Fn::Join": ["", ["dynamodb://", ref("Lineage")]]},
        "--alert": ref("Alerts"),
        "--enable-auto-scaling": "true",
        "--enable-metrics": "true",
        "--job-bookmark-option": "job-bookmark-disable",
    }
    properties = {
        "Name": name(kind, "job"),
        "Role": att("JobRole"),
        "GlueVersion": "6.0",
        "Command": {"Name": "glueetl", "ScriptLocation": under("Scripts", f"/releases/{HASH}/glue_job.py")},
        "DefaultArguments": arguments,
        "WorkerType": "G.1X",
        "NumberOfWorkers": 20 if kind.production else 2,
        "ExecutionProperty": {"MaxConcurrentRuns": 3},
        "Timeout": 120,
        "MaxRetries": 1,
    }
    return {
        "JobRole": _role(kind, "job", "glue.amazonaws.com", _running_job(kind)),
        "Job": made("AWS::Glue::Job", properties, DependsOn=["Release"]),
    }


def _running_job(kind: Kind) -> list[Json]:
    def objects(bucket: str, path: str) -> Json:
        return {"Fn::Join": ["", [att(bucket), path]]}

    tables = [here("glue", one) for one in ("catalog", f"database/{database(kind)}", f"table/{database(kind)}/*")]
    return [
        allow("s3:GetObject", objects("Scripts", "/releases/*")),
        allow(["s3:GetObject", "s3:PutObject"], [objects("Raw", "/raw/*"), objects("Curated", "/lake/*")]),
        allow("dynamodb:UpdateItem", att("Lineage")),
        allow("sns:Publish", ref("Alerts")),
        allow(["glue:GetTable", "glue:CreateTable", "glue:UpdateTable"], tables),
        allow(
            "cloudwatch:PutMetricData", "*", Condition={"StringEquals": {"cloudwatch:namespace": ["Tapehouse", "Glue"]}}
        ),
        _use("s3", "sns", "dynamodb"),
    ]


def _consumer_role(kind: Kind) -> Json:
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": sub(f"arn:${{AWS::Partition}}:iam::{CONSUMER}:root")},
        "Condition": {"StringEquals": {"sts:ExternalId": "agreed-with-the-desk"}},
    }
    reads = document(allow("s3:GetObject", {"Fn::Join": ["", [att("Curated"), "/lake/trades/*"]]}), _use("s3"))
    properties = {
        "RoleName": name(kind, "consumer-desk"),
        "AssumeRolePolicyDocument": document(trust),
        "ManagedPolicyArns": [ref("Denies")],
        "Policies": [{"PolicyName": "read", "PolicyDocument": reads}],
    }
    return {"ConsumerRole": made("AWS::IAM::Role", properties)}


def _streaming(kind: Kind) -> Json:
    stream = {
        "Name": name(kind, "stream-trades"),
        "RetentionPeriodHours": 168,
        "ShardCount": PRODUCTION_SHARDS,
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "StreamEncryption": {"EncryptionType": "KMS", "KeyId": att("DataKey")},
    }
    mapping = {
        "EventSourceArn": att("Reader", "ConsumerARN"),
        "FunctionName": att("StreamValidator"),
        "BatchSize": 1000,
        "ParallelizationFactor": 1,
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 86_400,
        "BisectBatchOnFunctionError": True,
        "DestinationConfig": {"OnFailure": {"Destination": att("Dead")}},
        **PARTIAL,
    }
    reading = ["kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStreamSummary", "kinesis:ListShards"]
    environment = {key: value for key, value in _environment().items() if key != "TAPEHOUSE_GLUE_JOB"}
    statements = [
        *(one for one in _validating() if one["Action"] != "glue:StartJobRun"),
        allow(reading, att("Stream")),
        allow("kinesis:SubscribeToShard", att("Reader", "ConsumerARN")),
        allow("sqs:SendMessage", att("Dead")),
        _use("kinesis"),
    ]
    scaling = [allow(["kinesis:UpdateShardCount", "kinesis:DescribeStreamSummary"], att("Stream"))]
    rule = {
        "Name": name(kind, "scaling"),
        "ScheduleExpression": "rate(5 minutes)",
        "Targets": [{"Id": "scaler", "Arn": att("Scaler"), "DeadLetterConfig": {"Arn": att("Dead")}}],
    }
    door = {
        "FunctionName": att("Scaler"),
        "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com",
        "SourceArn": att("Scaling"),
    }
    reserved = {"ReservedConcurrentExecutions": PRODUCTION_SHARDS}
    failed = {"DeadLetterConfig": {"TargetArn": att("Dead")}}
    scaler = [*scaling, allow("sqs:SendMessage", att("Dead")), _use("sqs")]
    return {
        "Stream": made("AWS::Kinesis::Stream", stream, kind.keep),
        "Reader": made(
            "AWS::Kinesis::StreamConsumer", {"ConsumerName": name(kind, "reader"), "StreamARN": att("Stream")}
        ),
        "StreamFeed": made("AWS::Lambda::EventSourceMapping", mapping),
        **_function(kind, "StreamValidator", "stream-validator", statements, environment, **reserved),
        **_function(kind, "Scaler", "scaler", scaler, {}, **failed),
        "Scaling": made("AWS::Events::Rule", rule),
        "ScalerDoor": made("AWS::Lambda::Permission", door),
    }

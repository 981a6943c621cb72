"""Streams, queues, functions, jobs, names, outputs."""

from __future__ import annotations

import json
from typing import Any

from .draft import Draft, mutant, set_everywhere, simple, without

SOURCE, QUEUE, RULE = "AWS::Lambda::EventSourceMapping", "AWS::SQS::Queue", "AWS::Events::Rule"
STREAM, FUNCTION, JOB = "AWS::Kinesis::Stream", "AWS::Lambda::Function", "AWS::Glue::Job"
IDENTITY = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role")
Json = dict[str, Any]


def _unallow(draft: Draft, action: str) -> None:
    """Nobody is allowed that action any more; what else a statement allows stays."""
    for one in draft.statements(*IDENTITY):
        if one["Effect"] == "Allow" and "Principal" not in one:
            actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
            one["Action"] = [name for name in actions if name != action] or ["tag:GetResources"]


# ---- events --------------------------------------------------------------------------------------------------------


@mutant("C21", "B35", "L20")
def no_rule_waits_for_objects(draft: Draft) -> None:
    draft.drop(RULE, lambda one: "aws.s3" in json.dumps(one))


@mutant("C21", "B35")
def buckets_send_no_events(draft: Draft) -> None:
    for properties in draft.properties("AWS::S3::Bucket"):
        properties.pop("NotificationConfiguration", None)


simple("C21", RULE, "State", "DISABLED")


@mutant("C21", "B35")
def queues_refuse_events(draft: Draft) -> None:
    draft.unsay(lambda one: one["Effect"] == "Allow", "AWS::SQS::QueuePolicy")


@mutant("C21")
def queues_take_events_of_anyone(draft: Draft) -> None:
    for one in draft.statements("AWS::SQS::QueuePolicy"):
        if one["Effect"] == "Allow":
            one.pop("Condition", None)


@mutant("L20", "B35")
def nobody_starts_the_job(draft: Draft) -> None:
    _unallow(draft, "glue:StartJobRun")


@mutant("L20")
def objects_cannot_be_claimed(draft: Draft) -> None:
    _unallow(draft, "dynamodb:PutItem")
    _unallow(draft, "dynamodb:UpdateItem")


@mutant("C23")
def nobody_publishes(draft: Draft) -> None:
    _unallow(draft, "sns:Publish")


@mutant("C23")
def workers_know_no_topic(draft: Draft) -> None:
    for properties in draft.properties(FUNCTION):
        properties.pop("Environment", None)


simple("C22", SOURCE, "BatchSize", 1)
without("C22", SOURCE, "FunctionResponseTypes")


@mutant("C24")
def no_dead_letter_queue(draft: Draft) -> None:
    for properties in draft.properties(QUEUE):
        properties.pop("RedrivePolicy", None)
    for properties in draft.properties(SOURCE):
        properties.pop("DestinationConfig", None)


@mutant("C24")
def undelivered_events_are_lost(draft: Draft) -> None:
    for properties in draft.properties(RULE):
        for target in properties.get("Targets", []):
            target.pop("DeadLetterConfig", None)


@mutant("C24")
def dead_letters_cannot_be_taken(draft: Draft) -> None:
    _unallow(draft, "sqs:ReceiveMessage")


simple("C24", QUEUE, "MessageRetentionPeriod", 3600)


@mutant("C25")
def retries_never_end(draft: Draft) -> None:
    for properties in draft.properties(SOURCE):
        for name in ("MaximumRetryAttempts", "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError"):
            properties.pop(name, None)
    for properties in draft.properties(QUEUE):
        properties.pop("RedrivePolicy", None)


# ---- streams -------------------------------------------------------------------------------------------------------

without("C36", STREAM, "StreamEncryption")
without("C36", STREAM, "RetentionPeriodHours")


@mutant("C36")
def streams_under_the_key_of_aws(draft: Draft) -> None:
    set_everywhere(STREAM, "StreamEncryption", {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"})(draft)


@mutant("C37")
def readers_share(draft: Draft) -> None:
    for stacks, kind in ((draft.test, "test"), (draft.prod, "prod")):
        found = draft.stacks(kind)
        streams = {one.get("StreamARN"): one for one in found.of("AWS::Kinesis::StreamConsumer")}
        owners = {one.arn: one.id for one in found.of(STREAM)}
        for consumer in streams.values():
            for template in stacks.values():
                for one in template["Resources"].values():
                    if one["Type"] == SOURCE and consumer.id in json.dumps(one["Properties"]["EventSourceArn"]):
                        one["Properties"]["EventSourceArn"] = {"Fn::GetAtt": [owners[consumer.get("StreamARN")], "Arn"]}


@mutant("B48")
def shared_readers_may_not_read(draft: Draft) -> None:
    if any(True for _ in draft.resources(STREAM)):
        readers_share(draft)
    for action in ("kinesis:GetRecords", "kms:Decrypt"):
        _unallow(draft, action)


@mutant("C37")
def consumers_of_another_stream(draft: Draft) -> None:
    arn = {"Fn::Sub": "arn:${AWS::Partition}:kinesis:${AWS::Region}:${AWS::AccountId}:stream/other"}
    set_everywhere("AWS::Kinesis::StreamConsumer", "StreamARN", arn)(draft)


@mutant("C24")
def sources_of_another_deployment(draft: Draft) -> None:
    arn = {"Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:other"}
    set_everywhere(SOURCE, "EventSourceArn", arn)(draft)


@mutant("B48")
def functions_of_another_deployment(draft: Draft) -> None:
    set_everywhere(SOURCE, "FunctionName", "other")(draft)
    set_everywhere(FUNCTION, "Role", {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/other"})(draft)


@mutant("L20", "B13", "C26", "C23")
def roles_of_another_deployment(draft: Draft) -> None:
    set_everywhere(FUNCTION, "Role", {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/other"})(draft)


@mutant("C24")
def what_rules_call_loses_its_failures(draft: Draft) -> None:
    """One more function, called by a rule, with nowhere for what failed to go."""
    properties = {"Targets": [{"Id": "f", "Arn": _function_arn(draft), **_dead(draft)}]}
    draft.add("AWS::Events::Rule", properties, beside=FUNCTION)
    for properties in draft.properties(FUNCTION):
        properties.pop("DeadLetterConfig", None)
    draft.drop("AWS::Lambda::EventInvokeConfig")


def _function_arn(draft: Draft) -> Json:
    for template in draft.templates():
        for name, one in template["Resources"].items():
            if one["Type"] == FUNCTION:
                return {"Fn::GetAtt": [name, "Arn"]}
    raise LookupError("no function")


def _dead(draft: Draft) -> Json:
    for properties in draft.properties(RULE):
        for target in properties.get("Targets", []):
            if "DeadLetterConfig" in target and "Fn::GetAtt" in json.dumps(target["DeadLetterConfig"]):
                return {"DeadLetterConfig": target["DeadLetterConfig"]}
    return {}


@mutant("C38")
def nobody_changes_shards(draft: Draft) -> None:
    _unallow(draft, "kinesis:UpdateShardCount")
    set_everywhere(STREAM, "StreamModeDetails", {"StreamMode": "PROVISIONED"})(draft)


simple("C34", FUNCTION, "ReservedConcurrentExecutions", 7)
without("C34", FUNCTION, "ReservedConcurrentExecutions")


@mutant("C34")
def the_formula_is_not_told(draft: Draft) -> None:
    for template in draft.templates():
        told = template.get("Outputs", {})
        for name in [name for name, value in told.items() if "shards" in json.dumps(value).lower()]:
            del told[name]


simple("C47", STREAM, "ShardCount", 3)

# ---- functions and jobs --------------------------------------------------------------------------------------------

simple("L07", FUNCTION, "Runtime", "python3.12")
simple("L08", JOB, "GlueVersion", "5.1")
simple("L10", JOB, "NumberOfWorkers", 10)
simple("L10", JOB, "NumberOfWorkers", 2)
simple("L10", JOB, "NumberOfWorkers", 500)
for _name in ("WorkerType", "NumberOfWorkers", "ExecutionProperty", "Timeout", "MaxRetries"):
    without("C35", JOB, _name)
without("C35", JOB, "DefaultArguments.--enable-auto-scaling")
without("C35", JOB, "DefaultArguments.--job-bookmark-option")
simple("C42", JOB, "Command.ScriptLocation", "s3://elsewhere/other.py")
simple("C43", JOB, "Command.ScriptLocation", "s3://elsewhere/glue_job.py")
simple("B36", JOB, "Command.ScriptLocation", "s3://elsewhere/glue_job.py")


@mutant("C43", "B36")
def nothing_uploads_the_script(draft: Draft) -> None:
    uploads = ("Custom::ReleaseFiles",)
    for kind in uploads:
        draft.drop(kind)


@mutant("C43")
def somebody_else_uploads(draft: Draft) -> None:
    arn = {"Fn::Sub": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:other"}
    set_everywhere("Custom::ReleaseFiles", "ServiceToken", arn)(draft)


@mutant("C43")
def the_job_is_made_before_its_script(draft: Draft) -> None:
    for resource in draft.resources(JOB):
        resource.pop("DependsOn", None)


# ---- names, tags, outputs ------------------------------------------------------------------------------------------

simple("C32", QUEUE, "QueueName", "orders")
simple("L11", QUEUE, "QueueName", "orders")
without("L11", FUNCTION, "FunctionName")


@mutant("C32")
def names_without_region(draft: Draft) -> None:
    for properties in draft.properties("AWS::SNS::Topic"):
        text = json.dumps(properties["TopicName"]).replace("-${AWS::Region}", "")
        properties["TopicName"] = json.loads(text)


@mutant("B34")
def buckets_without_account(draft: Draft) -> None:
    for properties in draft.properties("AWS::S3::Bucket"):
        text = json.dumps(properties["BucketName"]).replace("${AWS::AccountId}", "444455556666")
        properties["BucketName"] = json.loads(text)


@mutant("B34")
def buckets_with_names_too_long(draft: Draft) -> None:
    for properties in draft.properties("AWS::S3::Bucket"):
        text = json.dumps(properties["BucketName"]).replace("${AWS::Region}", "and-a-long-word-${AWS::Region}")
        properties["BucketName"] = json.loads(text)


simple("B34", JOB, "Description", "runs in eu-west-1")


@mutant("B34")
def arns_of_one_account(draft: Draft) -> None:
    draft.add("AWS::SNS::Subscription", {"TopicArn": {"Fn::Sub": "arn:${AWS::Partition}:sns:x:123456789012:topic"}})


@mutant("B42")
def arns_of_one_partition(draft: Draft) -> None:
    statement = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::tape/*"}
    draft.say(statement, "AWS::IAM::ManagedPolicy")


@mutant("C33")
def no_cost_centre(draft: Draft) -> None:
    for template in draft.templates():
        for one in template["Resources"].values():
            tags = one.get("Properties", {}).get("Tags")
            if isinstance(tags, list):
                one["Properties"]["Tags"] = [tag for tag in tags if tag["Key"] != "CostCenter"]


@mutant("C33")
def tags_of_another_environment(draft: Draft) -> None:
    for template in draft.templates():
        for one in template["Resources"].values():
            tags = one.get("Properties", {}).get("Tags")
            if isinstance(tags, list):
                one["Properties"]["Tags"] = [{**tag, "Value": "other"} for tag in tags]


@mutant("C46")
def queues_are_not_told(draft: Draft) -> None:
    for template in draft.templates():
        queues = [name for name, one in template["Resources"].items() if one["Type"] == QUEUE]
        told = template.get("Outputs", {})
        for output in [key for key, value in told.items() if any(name in json.dumps(value) for name in queues)]:
            del told[output]


@mutant("L14")
def outputs_are_not_exported(draft: Draft) -> None:
    for template in draft.templates():
        for output in template.get("Outputs", {}).values():
            output.pop("Export", None)


@mutant("L14")
def exports_without_environment(draft: Draft) -> None:
    for template in draft.templates():
        for name, output in template.get("Outputs", {}).items():
            output["Export"] = {"Name": name}


@mutant("L14")
def a_stack_imports(draft: Draft) -> None:
    draft.add("AWS::SNS::Topic", {"TopicName": {"Fn::ImportValue": "other"}})

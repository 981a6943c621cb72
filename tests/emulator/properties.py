"""Properties that ministack's own handlers drop, applied after them through its APIs, on create and on update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.inside import client

Properties = dict[str, Any]
After = Callable[[str, Properties, dict[str, Any]], None]


def install() -> set[str]:
    """The types whose handlers call the API, so that they have to run on threads of their own."""
    from ministack.services.cloudformation import provisioners

    for kind, after in AFTER.items():
        _wrap(provisioners._RESOURCE_HANDLERS[kind], after)
    alarm = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]
    _wrap_alarm(alarm)
    _keep_full_buckets(provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"])
    return {*AFTER, "AWS::CloudWatch::Alarm"}


def _wrap(handlers: dict[str, Any], after: After) -> None:
    create, update = handlers["create"], handlers["update"]

    def create_fully(logical_id: str, given: Properties, stack: str) -> Any:
        physical_id, attributes = create(logical_id, given, stack)
        after(physical_id, given, attributes)
        return physical_id, attributes

    def update_fully(physical_id: str, old: Properties, new: Properties, stack: str, *rest: Any) -> Any:
        made, attributes = update(physical_id, old, new, stack, *rest)
        after(made, new, attributes)
        return made, attributes

    handlers["create"], handlers["update"] = create_fully, update_fully


def _wrap_alarm(handlers: dict[str, Any]) -> None:
    """Alarms on an expression: refused by the handler, known to the API."""
    from ministack.services.cloudformation import provisioners

    create, update = handlers["create"], handlers["update"]

    def put(name: str, given: Properties) -> Any:
        request = {key: value for key, value in given.items() if key != "Tags"} | {"AlarmName": name}
        request["Metrics"] = [_typed(query) for query in given["Metrics"]]
        for key in ("EvaluationPeriods", "DatapointsToAlarm"):
            if key in request:
                request[key] = int(request[key])
        request["Threshold"] = float(given["Threshold"])
        cloudwatch = client("cloudwatch")
        cloudwatch.put_metric_alarm(**request)
        found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        return name, {"Arn": found["AlarmArn"]}

    def create_any(logical_id: str, given: Properties, stack: str) -> Any:
        if not given.get("Metrics"):
            return create(logical_id, given, stack)
        return put(given.get("AlarmName") or provisioners._physical_name(stack, logical_id, max_len=255), given)

    def update_any(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Any:
        if not new.get("Metrics") and not old.get("Metrics"):
            return update(physical_id, old, new, stack, logical_id)
        made = create_any(logical_id, new, stack)
        if made[0] != physical_id:
            client("cloudwatch").delete_alarms(AlarmNames=[physical_id])
        return made

    handlers["create"], handlers["update"] = create_any, update_any


def _typed(query: Properties) -> Properties:
    """A query of an alarm with the types the API wants: a template may write numbers as text."""
    made = dict(query)
    if "Period" in made:
        made["Period"] = int(made["Period"])
    if "ReturnData" in made:
        made["ReturnData"] = _true(made["ReturnData"])
    if "MetricStat" in made:
        made["MetricStat"] = {**made["MetricStat"], "Period": int(made["MetricStat"]["Period"])}
    return made


def _keep_full_buckets(handlers: dict[str, Any]) -> None:
    """A bucket that holds anything cannot be removed; ministack removes it with all it holds."""
    from ministack.services import s3

    delete = handlers["delete"]

    def delete_empty(name: str, given: Properties) -> None:
        held = [key for place, key in s3._object_versions if place == name and s3._object_versions[place, key]]
        held += list((s3._buckets.get(name) or {}).get("objects", {}))
        if held:
            raise ValueError(f"The bucket you tried to delete is not empty (BucketNotEmpty): {name} holds {held[0]}")
        delete(name, given)

    handlers["delete"] = delete_empty


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _bucket(name: str, given: Properties, attributes: dict[str, Any]) -> None:
    s3 = client("s3")
    if encryption := given.get("BucketEncryption"):
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                "BucketKeyEnabled": _true(rule.get("BucketKeyEnabled", False)),
            }
            for rule in encryption["ServerSideEncryptionConfiguration"]
        ]
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    if lifecycle := given.get("LifecycleConfiguration"):
        rules = [_lifecycle_rule(index, rule) for index, rule in enumerate(lifecycle["Rules"])]
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    for tiering in given.get("IntelligentTieringConfigurations") or []:
        configuration = {
            "Id": tiering["Id"],
            "Status": tiering["Status"],
            "Tierings": [{"Days": int(one["Days"]), "AccessTier": one["AccessTier"]} for one in tiering["Tierings"]],
        }
        if tiering.get("Prefix"):
            configuration["Filter"] = {"Prefix": tiering["Prefix"]}
        s3.put_bucket_intelligent_tiering_configuration(
            Bucket=name, Id=tiering["Id"], IntelligentTieringConfiguration=configuration
        )
    if ownership := given.get("OwnershipControls"):
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=ownership)
    if log := given.get("LoggingConfiguration"):
        enabled = {"TargetBucket": log.get("DestinationBucketName", name), "TargetPrefix": log.get("LogFilePrefix", "")}
        s3.put_bucket_logging(Bucket=name, BucketLoggingStatus={"LoggingEnabled": enabled})
    if given.get("Tags"):
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": given["Tags"]})


def _lifecycle_rule(index: int, rule: Properties) -> Properties:
    """A rule of a template as the API has it."""
    made: Properties = {"ID": rule.get("Id") or f"rule-{index}", "Status": rule["Status"], "Filter": _filter(rule)}
    if "ExpirationInDays" in rule:
        made["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    elif _true(rule.get("ExpiredObjectDeleteMarker", False)):
        made["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    if rule.get("Transitions"):
        made["Transitions"] = [
            {"StorageClass": one["StorageClass"], "Days": int(one["TransitionInDays"])} for one in rule["Transitions"]
        ]
    if rule.get("NoncurrentVersionTransitions"):
        made["NoncurrentVersionTransitions"] = [
            {"StorageClass": one["StorageClass"], "NoncurrentDays": int(one["TransitionInDays"])}
            for one in rule["NoncurrentVersionTransitions"]
        ]
    if noncurrent := rule.get("NoncurrentVersionExpiration"):
        made["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(noncurrent["NoncurrentDays"])}
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        made["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(abort["DaysAfterInitiation"])}
    return made


def _filter(rule: Properties) -> Properties:
    tags, prefix = rule.get("TagFilters") or [], rule.get("Prefix", "")
    if not tags:
        return {"Prefix": prefix}
    return {"Tag": tags[0]} if len(tags) == 1 and not prefix else {"And": {"Prefix": prefix, "Tags": tags}}


def _table(name: str, given: Properties, attributes: dict[str, Any]) -> None:
    from ministack.services import dynamodb as store

    dynamodb = client("dynamodb")
    expiry = given.get("TimeToLiveSpecification") or {}
    if _true(expiry.get("Enabled", False)):
        wanted = {"Enabled": True, "AttributeName": expiry["AttributeName"]}
        if dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"].get("TimeToLiveStatus") != "ENABLED":
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)
    recovery = given.get("PointInTimeRecoverySpecification") or {}
    if _true(recovery.get("PointInTimeRecoveryEnabled", False)):
        wanted = {"PointInTimeRecoveryEnabled": True}
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=wanted)
    encryption = given.get("SSESpecification") or {}
    if _true(encryption.get("SSEEnabled", False)):
        key = encryption.get("KMSMasterKeyId", "alias/aws/dynamodb")
        store._tables[name]["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}


def _function(name: str, given: Properties, attributes: dict[str, Any]) -> None:
    functions = client("lambda")
    reserved = given.get("ReservedConcurrentExecutions")
    if reserved is not None:
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=int(reserved))
    from ministack.services import lambda_svc

    config = lambda_svc._functions[name]["config"]
    for key in ("KmsKeyArn", "DeadLetterConfig", "VpcConfig"):
        if given.get(key):
            config["KMSKeyArn" if key == "KmsKeyArn" else key] = given[key]


def _stream(name: str, given: Properties, attributes: dict[str, Any]) -> None:
    from ministack.services import kinesis as store

    if encryption := given.get("StreamEncryption"):
        store._streams[name] |= {"EncryptionType": encryption["EncryptionType"], "KeyId": encryption["KeyId"]}


def _job(name: str, given: Properties, attributes: dict[str, Any]) -> None:
    from ministack.services import glue as store

    for key in ("ExecutionProperty", "ExecutionClass", "NotificationProperty", "LogUri", "JobRunQueuingEnabled"):
        if given.get(key) is not None:
            store._jobs[name][key] = given[key]


def _network(name: str, given: Properties, attributes: dict[str, Any]) -> None:
    attributes["CidrBlock"] = given.get("CidrBlock")


AFTER: dict[str, After] = {
    "AWS::S3::Bucket": _bucket,
    "AWS::DynamoDB::Table": _table,
    "AWS::Lambda::Function": _function,
    "AWS::Kinesis::Stream": _stream,
    "AWS::Glue::Job": _job,
    "AWS::EC2::VPC": _network,
}

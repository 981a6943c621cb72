"""Buckets, lifecycles, tables, removal."""

from __future__ import annotations

import copy
from typing import Any

from .draft import KEY, Draft, mutant, set_everywhere, simple, without

BUCKET = "AWS::S3::Bucket"
Json = dict[str, Any]


@mutant("A05", "B31", "C06")
def one_bucket_for_every_stage(draft: Draft) -> None:
    set_everywhere(BUCKET, "BucketName", "one")(draft)


simple("A06", BUCKET, "VersioningConfiguration.Status", "Suspended")
without("A06", BUCKET, "VersioningConfiguration")
without("A07", BUCKET, "BucketEncryption")
for _block in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"):
    simple("A08", BUCKET, f"PublicAccessBlockConfiguration.{_block}", False)


def _defaults(draft: Draft) -> list[Json]:
    found: list[Json] = []
    for properties in draft.properties(BUCKET):
        found += properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    return found


@mutant("A07", "B32")
def data_under_the_key_of_s3(draft: Draft) -> None:
    for rule in _defaults(draft):
        rule["ServerSideEncryptionByDefault"] = {"SSEAlgorithm": "AES256"}


@mutant("B32")
def no_bucket_key(draft: Draft) -> None:
    for rule in _defaults(draft):
        rule.pop("BucketKeyEnabled", None)


@mutant("L13")
def events_by_a_custom_resource(draft: Draft) -> None:
    draft.add("Custom::S3BucketNotifications", {"NotificationConfiguration": {}})


without("L13", BUCKET, "NotificationConfiguration")

# ---- lifecycles ----------------------------------------------------------------------------------------------------


def rules(draft: Draft) -> list[Json]:
    """Lifecycle rules of all buckets."""
    found: list[Json] = []
    for properties in draft.properties(BUCKET):
        found += properties.get("LifecycleConfiguration", {}).get("Rules", [])
    return found


def _renamed(draft: Draft, before: str, after: str) -> None:
    for rule in rules(draft):
        for step in rule.get("Transitions", []):
            if step["StorageClass"] == before:
                step["StorageClass"] = after


def _stopped(draft: Draft, storage_class: str) -> None:
    for rule in rules(draft):
        steps = rule.get("Transitions", [])
        rule["Transitions"] = [one for one in steps if one["StorageClass"] != storage_class]


@mutant("C07")
def tables_take_hours_to_read(draft: Draft) -> None:
    _renamed(draft, "GLACIER_IR", "GLACIER")


@mutant("C07")
def nothing_goes_to_glacier(draft: Draft) -> None:
    for rule in rules(draft):
        rule["Transitions"] = [one for one in rule.get("Transitions", []) if "GLACIER" not in one["StorageClass"]]


@mutant("C07")
def glacier_comes_late(draft: Draft) -> None:
    for rule in rules(draft):
        for step in rule.get("Transitions", []):
            step["TransitionInDays"] += 30


without("C08", BUCKET, "IntelligentTieringConfigurations")


@mutant("C08")
def nothing_enters_the_tiers(draft: Draft) -> None:
    for rule in rules(draft):
        rule["Transitions"] = [
            one for one in rule.get("Transitions", []) if one["StorageClass"] != "INTELLIGENT_TIERING"
        ]


@mutant("C08")
def tables_in_tiers_that_take_hours(draft: Draft) -> None:
    tiering = {"Id": "all", "Status": "Enabled", "Tierings": [{"AccessTier": "ARCHIVE_ACCESS", "Days": 90}]}
    set_everywhere(BUCKET, "IntelligentTieringConfigurations", [tiering])(draft)


@mutant("C09")
def no_deep_archive(draft: Draft) -> None:
    _stopped(draft, "DEEP_ARCHIVE")


@mutant("C09")
def deep_archive_everywhere(draft: Draft) -> None:
    for rule in rules(draft):
        rule.pop("Prefix", None)
        rule["Transitions"] = [{"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 365}]


@mutant("C10", "B33")
def uploads_are_never_given_up(draft: Draft) -> None:
    for rule in rules(draft):
        rule.pop("AbortIncompleteMultipartUpload", None)


@mutant("C10")
def uploads_are_given_up_late(draft: Draft) -> None:
    for rule in rules(draft):
        rule["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": 8}


@mutant("C11", "B33")
def versions_never_expire(draft: Draft) -> None:
    for rule in rules(draft):
        rule.pop("NoncurrentVersionExpiration", None)


@mutant("C11")
def versions_never_move(draft: Draft) -> None:
    for rule in rules(draft):
        rule.pop("NoncurrentVersionTransitions", None)


@mutant("C12")
def expiry_before_glacier(draft: Draft) -> None:
    for rule in rules(draft):
        if rule.get("Transitions"):
            rule["ExpirationInDays"] = 1


@mutant("C12")
def infrequent_access_too_early(draft: Draft) -> None:
    for rule in rules(draft):
        rule["Transitions"] = [{"StorageClass": "STANDARD_IA", "TransitionInDays": 10}]


@mutant("C12")
def classes_go_up_again(draft: Draft) -> None:
    for rule in rules(draft):
        rule["Transitions"] = [
            {"StorageClass": "GLACIER", "TransitionInDays": 30},
            {"StorageClass": "STANDARD_IA", "TransitionInDays": 90},
        ]


@mutant("C12")
def infrequent_access_too_short(draft: Draft) -> None:
    for rule in rules(draft):
        rule["Transitions"] = [
            {"StorageClass": "STANDARD_IA", "TransitionInDays": 30},
            {"StorageClass": "GLACIER", "TransitionInDays": 40},
        ]


@mutant("C12")
def two_rules_move_objects_differently(draft: Draft) -> None:
    for properties in draft.properties(BUCKET):
        found = properties["LifecycleConfiguration"]["Rules"]
        for rule in copy.deepcopy(found):
            if rule.get("Transitions"):
                rule["Id"] = "again"
                rule["Transitions"][0]["TransitionInDays"] += 1
                found.append(rule)


@mutant("C12")
def two_rules_disagree(draft: Draft) -> None:
    for properties in draft.properties(BUCKET):
        found = properties["LifecycleConfiguration"]["Rules"]
        for rule in copy.deepcopy(found):
            if "NoncurrentVersionExpiration" in rule:
                rule["Id"] = "again"
                rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 999}
                found.append(rule)


@mutant("B33")
def no_lifecycle(draft: Draft) -> None:
    for properties in draft.properties(BUCKET):
        properties.pop("LifecycleConfiguration", None)


# ---- removal -------------------------------------------------------------------------------------------------------


def _policy(draft: Draft, *types: str, to: str | None) -> None:
    for resource in draft.resources(*types):
        for name in ("DeletionPolicy", "UpdateReplacePolicy"):
            resource.pop(name, None)
            if to is not None:
                resource[name] = to


@mutant("L01", "L02", "L06", "B45")
def buckets_are_retained_in_test(draft: Draft) -> None:
    _policy(draft, BUCKET, to="Retain")


@mutant("L01")
def buckets_say_nothing(draft: Draft) -> None:
    _policy(draft, BUCKET, to=None)


@mutant("L02")
def nothing_empties_buckets(draft: Draft) -> None:
    draft.drop("Custom::S3AutoDeleteObjects")


simple("L03", KEY, "PendingWindowInDays", 30)


@mutant("L03", "L06")
def keys_are_retained_in_test(draft: Draft) -> None:
    _policy(draft, KEY, to="Retain")


@mutant("L04", "B45")
def data_is_deleted_in_production(draft: Draft) -> None:
    _policy(draft, BUCKET, KEY, "AWS::DynamoDB::Table", "AWS::Kinesis::Stream", to="Delete")


simple("L04", "AWS::DynamoDB::Table", "DeletionProtectionEnabled", False)


@mutant("L05")
def queues_say_nothing(draft: Draft) -> None:
    _policy(draft, "AWS::SQS::Queue", to=None)


@mutant("L05")
def log_groups_say_nothing(draft: Draft) -> None:
    _policy(draft, "AWS::Logs::LogGroup", to=None)


without("L05", "AWS::Logs::LogGroup", "RetentionInDays")


@mutant("L06")
def functions_log_where_lambda_pleases(draft: Draft) -> None:
    for properties in draft.properties("AWS::Lambda::Function"):
        properties["LoggingConfig"] = {"LogGroup": "/aws/lambda/somewhere"}


simple("B45", "AWS::Glue::Job", "NumberOfWorkers", 2)
simple("B45", "AWS::Logs::LogGroup", "RetentionInDays", 7)
simple("B45", "AWS::DynamoDB::Table", "DeletionProtectionEnabled", True)

# ---- tables --------------------------------------------------------------------------------------------------------

without("C27", "AWS::DynamoDB::Table", "TimeToLiveSpecification")
simple("C27", "AWS::DynamoDB::Table", "TimeToLiveSpecification.Enabled", False)
without("C27", "AWS::DynamoDB::Table", "PointInTimeRecoverySpecification")
simple("C26", "AWS::DynamoDB::Table", "KeySchema", [{"AttributeName": "dataset", "KeyType": "HASH"}])


@mutant("C26")
def nobody_writes_lineage(draft: Draft) -> None:
    types = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role")
    draft.unsay(lambda one: one["Effect"] == "Allow" and "dynamodb:" in str(one.get("Action")), *types)


@mutant("B46")
def jobs_write_to_another_database(draft: Draft) -> None:
    for properties in draft.properties("AWS::Glue::Job"):
        properties["DefaultArguments"]["--database"] = "elsewhere"


simple("L12", "AWS::Glue::Database", "DatabaseInput.Name", "with-hyphens")
simple("L12", "AWS::Athena::WorkGroup", "Name", "With-Hyphens")
GROUP = "AWS::Athena::WorkGroup"
simple("L09", GROUP, "WorkGroupConfiguration.EnforceWorkGroupConfiguration", False)
without("L09", GROUP, "WorkGroupConfiguration.BytesScannedCutoffPerQuery")
without("L09", GROUP, "WorkGroupConfiguration.ResultConfiguration.EncryptionConfiguration")
without("L09", GROUP, "WorkGroupConfiguration.ResultConfiguration")


@mutant("L09")
def results_by_the_key_of_updates(draft: Draft) -> None:
    for properties in draft.properties(GROUP):
        told = properties["WorkGroupConfiguration"]
        told["ResultConfigurationUpdates"] = told.pop("ResultConfiguration")


@mutant("C45")
def tables_are_not_partitioned(draft: Draft) -> None:
    for properties in draft.properties("Custom::IcebergTable"):
        for name in [name for name, value in properties.items() if "partition-specs" in str(value)]:
            del properties[name]
    for properties in draft.properties("AWS::Glue::Table"):
        properties["TableInput"].pop("PartitionKeys", None)
        properties["TableInput"].pop("Parameters", None)


@mutant("C45")
def metadata_that_nobody_can_read(draft: Draft) -> None:
    for properties in draft.properties("Custom::IcebergTable"):
        for name in [name for name, value in properties.items() if "partition-specs" in str(value)]:
            properties[name] = "{"
    draft.drop("AWS::Glue::Table")

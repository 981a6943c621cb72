"""The buckets: what each has, and what their policies answer."""

from __future__ import annotations

import pytest

from tapehouse.cloud.policy import Caller, Document

from .whole import PLACE, Whole

ANYTHING = Document.parse({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
ANYBODY = Caller.role("arn:aws:iam::111122223333:role/anybody")
SSE, KEY_ID = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
ALL = ("raw", "curated", "logs", "scripts", "results")
DATA = ("raw", "curated", "scripts", "results")


def bucket_name(purpose: str, environment: str = "test") -> str:
    return f"tapehouse-lake-{purpose}-{environment}-x1a2-111122223333-eu-central-1"


def bucket(found: Whole, purpose: str) -> dict[str, object]:
    name = bucket_name(purpose, found.settings.environment.value)
    return found.template.one("AWS::S3::Bucket", BucketName=name)


def rules(found: Whole, purpose: str) -> dict[str, dict[str, object]]:
    """Lifecycle rules by id."""
    return {one["Id"]: one for one in bucket(found, purpose)["LifecycleConfiguration"]["Rules"]}


def upload(found: Whole, purpose: str, **headers: str) -> str:
    """What the bucket's policy says to an upload by somebody who may do everything else: `allowed` or the reason."""
    arn = f"arn:aws:s3:::{bucket_name(purpose)}/landing/x"
    context = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3", **headers}
    decision = found.template.account.admits(ANYBODY, "s3:PutObject", arn, context, [ANYTHING])
    return "allowed" if decision else decision.reason


@pytest.mark.parametrize("purpose", ALL)
def test_buckets_are_versioned_closed_and_owned(in_test: Whole, purpose: str) -> None:
    found = bucket(in_test, purpose)
    assert found["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(found["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(found["PublicAccessBlockConfiguration"]) == 4
    assert found["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


@pytest.mark.parametrize("purpose", DATA)
def test_data_is_under_the_data_key_with_a_bucket_key_and_reads_are_logged(in_test: Whole, purpose: str) -> None:
    found = bucket(in_test, purpose)
    (rule,) = found["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == in_test.template.data_key
    logged = {"DestinationBucketName": bucket_name("logs"), "LogFilePrefix": f"{purpose}/"}
    assert found["LoggingConfiguration"] == logged


def test_access_logs_are_under_the_key_that_s3_can_deliver_with(in_test: Whole) -> None:
    (rule,) = bucket(in_test, "logs")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_only_our_buckets_deliver_access_logs(in_test: Whole) -> None:
    account, service = in_test.template.account, Caller.of_service("logging.s3.amazonaws.com")
    target = f"arn:aws:s3:::{bucket_name('logs')}/raw/2026-01-01"
    ours = {"aws:SourceAccount": "111122223333", "aws:SourceArn": f"arn:aws:s3:::{bucket_name('raw')}"}
    assert account.admits(service, "s3:PutObject", target, ours)
    assert not account.admits(service, "s3:PutObject", target, {**ours, "aws:SourceAccount": "999900001111"})
    assert not account.admits(service, "s3:PutObject", target, {**ours, "aws:SourceArn": "arn:aws:s3:::other"})


@pytest.mark.parametrize("purpose", DATA)
def test_uploads_without_headers_are_left_to_the_default(in_test: Whole, purpose: str) -> None:
    assert upload(in_test, purpose) == "allowed"


@pytest.mark.parametrize("purpose", DATA)
def test_uploads_under_the_buckets_key_are_allowed(in_test: Whole, purpose: str) -> None:
    assert upload(in_test, purpose, **{SSE: "aws:kms", KEY_ID: in_test.template.data_key}) == "allowed"


@pytest.mark.parametrize("purpose", DATA)
@pytest.mark.parametrize(
    "headers",
    [{SSE: "AES256"}, {SSE: "aws:kms"}, {SSE: "aws:kms", KEY_ID: PLACE.arn("kms", "key/another")}],
    ids=["in S3's own way", "by no key", "by another key"],
)
def test_uploads_encrypted_otherwise_are_denied(in_test: Whole, purpose: str, headers: dict[str, str]) -> None:
    assert upload(in_test, purpose, **headers) == "explicit deny"


@pytest.mark.parametrize("purpose", ALL)
@pytest.mark.parametrize(
    "headers",
    [
        {"s3:x-amz-acl": "public-read"},
        {"s3:x-amz-acl": "authenticated-read"},
        {"s3:x-amz-grant-read": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
        {"s3:x-amz-grant-full-control": 'id="1234"'},
    ],
    ids=["public", "anyone with an account", "granted to all", "granted to one"],
)
def test_uploads_that_share_are_denied(in_test: Whole, purpose: str, headers: dict[str, str]) -> None:
    assert upload(in_test, purpose, **headers) == "explicit deny"


@pytest.mark.parametrize("purpose", ALL)
@pytest.mark.parametrize(
    ("context", "allowed"),
    [
        ({"aws:SecureTransport": "false"}, False),
        ({"aws:SecureTransport": "true", "s3:TlsVersion": "1.1"}, False),
        ({"aws:SecureTransport": "true", "s3:TlsVersion": "1.2"}, True),
    ],
)
def test_tls_1_2_is_the_least(in_test: Whole, purpose: str, context: dict[str, str], allowed: bool) -> None:
    arn = f"arn:aws:s3:::{bucket_name(purpose)}/x"
    decision = in_test.template.account.admits(ANYBODY, "s3:GetObject", arn, context, [ANYTHING])
    assert bool(decision) is allowed


def test_raw_tells_its_events_by_itself(in_test: Whole) -> None:
    raw = bucket(in_test, "raw")
    assert raw["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert not in_test.template.of("Custom::S3BucketNotifications")


def test_landed_files_age_to_the_archive_and_go(in_test: Whole) -> None:
    raw = rules(in_test, "raw")["raw"]
    steps = [(one["StorageClass"], one["TransitionInDays"]) for one in raw["Transitions"]]
    assert steps == [("INTELLIGENT_TIERING", 0), ("GLACIER", 90), ("DEEP_ARCHIVE", 365)]
    assert raw["ExpirationInDays"] == 3650
    assert raw["NoncurrentVersionTransitions"] == [{"StorageClass": "GLACIER", "TransitionInDays": 30}]
    assert raw["NoncurrentVersionExpiration"] == {"NoncurrentDays": 180}
    assert rules(in_test, "raw")["landing"]["ExpirationInDays"] == 30
    lists = rules(in_test, "raw")["manifests"]
    assert (lists["Prefix"], lists["ExpirationInDays"]) == ("manifests/", 30)


def test_tables_never_expire_and_stay_readable(in_test: Whole) -> None:
    lake = rules(in_test, "curated")["lake"]
    assert "ExpirationInDays" not in lake
    steps = [(one["StorageClass"], one["TransitionInDays"]) for one in lake["Transitions"]]
    assert steps == [("INTELLIGENT_TIERING", 0), ("GLACIER_IR", 90)]
    # Metadata is smaller than this, and is not moved.
    minimum = bucket(in_test, "curated")["LifecycleConfiguration"]["TransitionDefaultMinimumObjectSize"]
    assert minimum == "all_storage_classes_128K"


@pytest.mark.parametrize("purpose", ["raw", "curated"])
def test_the_archive_tier_is_for_what_was_set_aside(in_test: Whole, purpose: str) -> None:
    (tiering,) = bucket(in_test, purpose)["IntelligentTieringConfigurations"]
    assert tiering["Status"] == "Enabled"
    assert tiering["Prefix"] == "archived/"
    assert tiering["Tierings"] == [{"AccessTier": "ARCHIVE_ACCESS", "Days": 90}]


@pytest.mark.parametrize("purpose", ALL)
def test_unfinished_uploads_are_given_up_anywhere(in_test: Whole, purpose: str) -> None:
    uploads = rules(in_test, purpose)["uploads"]
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert "Prefix" not in uploads


def test_results_are_forgotten(in_test: Whole) -> None:
    rule = rules(in_test, "results")["all"]
    assert rule["ExpirationInDays"] == 30
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_access_logs_are_kept_for_a_year_in_production(in_prod: Whole) -> None:
    rule = rules(in_prod, "logs")["all"]
    assert rule["ExpirationInDays"] == 365
    assert [one["StorageClass"] for one in rule["Transitions"]] == ["STANDARD_IA", "GLACIER"]


def test_buckets_are_emptied_exactly_where_they_are_deleted(in_test: Whole, in_prod: Whole) -> None:
    emptied = {one["Properties"]["Bucket"] for one in in_test.template.of("Custom::S3AutoDeleteObjects").values()}
    assert emptied == {bucket_name(purpose) for purpose in ALL}
    assert {one["DeletionPolicy"] for one in in_test.template.of("AWS::S3::Bucket").values()} == {"Delete"}
    assert not in_prod.template.of("Custom::S3AutoDeleteObjects")
    assert {one["DeletionPolicy"] for one in in_prod.template.of("AWS::S3::Bucket").values()} == {"Retain"}


def test_logs_are_emptied_when_nothing_is_left_to_be_logged(in_test: Whole) -> None:
    """What depends on something is removed before it: first the other buckets, then the emptier, then the logs."""
    emptiers = in_test.template.of("Custom::S3AutoDeleteObjects")
    (last,) = [name for name, one in emptiers.items() if one["Properties"]["Bucket"] == bucket_name("logs")]
    for one in in_test.template.of("AWS::S3::Bucket").values():
        waits = last in one.get("DependsOn", [])
        assert waits is (one["Properties"]["BucketName"] != bucket_name("logs"))


def test_all_buckets_are_told(in_test: Whole) -> None:
    assert len(set(in_test.storage.all)) == len(in_test.template.of("AWS::S3::Bucket")) == 5

"""What roles may not do even where something allows it."""

from __future__ import annotations

import json

import pytest

from tapehouse.cloud.policy import Caller, Document, Policies, Request, decide

from .whole import Whole, statements

ALLOWED = Document.parse({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
SSE, KEY_ID = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
RAW = "arn:aws:s3:::tapehouse-lake-raw-test-x1a2-111122223333-eu-central-1"
ROLE = Caller.role("arn:aws:iam::111122223333:role/tapehouse-lake-any")


def denied(found: Whole, action: str, resource: str, **context: str) -> bool:
    """Whether a role that is allowed everything else is denied this."""
    policy = Document.parse(found.template.one("AWS::IAM::ManagedPolicy")["PolicyDocument"], "denies")
    return decide(Request(ROLE, action, resource, context), Policies((ALLOWED, policy))).reason == "explicit deny"


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({SSE: "AES256"}, True),
        ({SSE: "aws:kms"}, True),
        ({SSE: "aws:kms", KEY_ID: "arn:aws:kms:eu-central-1:111122223333:key/another"}, True),
        ({SSE: "aws:kms", KEY_ID: "ours"}, False),
        ({"s3:x-amz-acl": "public-read"}, True),
        ({"s3:x-amz-acl": "private"}, False),
        ({"s3:x-amz-grant-read": "anyone"}, True),
    ],
)
def test_uploads(in_test: Whole, headers: dict[str, str], refused: bool) -> None:
    given = {name: in_test.template.data_key if value == "ours" else value for name, value in headers.items()}
    assert denied(in_test, "s3:PutObject", f"{RAW}/x", **given) is refused


def test_keys_are_not_ended(in_test: Whole) -> None:
    for key in (in_test.template.data_key, in_test.template.logs_key):
        assert denied(in_test, "kms:ScheduleKeyDeletion", key)
        assert denied(in_test, "kms:DisableKey", key)
        assert not denied(in_test, "kms:Decrypt", key)


@pytest.mark.parametrize("action", ["s3:PutBucketPolicy", "s3:PutBucketAcl", "s3:PutBucketPublicAccessBlock"])
def test_buckets_are_not_opened(in_test: Whole, action: str) -> None:
    assert denied(in_test, action, RAW)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"{RAW}/x"),
        ("kinesis:PutRecord", "arn:aws:kinesis:eu-central-1:111122223333:stream/any"),
        ("sqs:SendMessage", "arn:aws:sqs:eu-central-1:111122223333:any"),
        ("sns:Publish", "arn:aws:sns:eu-central-1:111122223333:any"),
        ("dynamodb:PutItem", "arn:aws:dynamodb:eu-central-1:111122223333:table/any"),
    ],
)
def test_nothing_goes_in_the_clear(in_test: Whole, action: str, resource: str) -> None:
    assert denied(in_test, action, resource, **{"aws:SecureTransport": "false"})
    assert not denied(in_test, action, resource, **{"aws:SecureTransport": "true"})


def test_it_only_denies(in_test: Whole) -> None:
    document = in_test.template.one("AWS::IAM::ManagedPolicy")["PolicyDocument"]
    assert {one["Effect"] for one in statements(document)} == {"Deny"}


def test_it_fits_into_a_managed_policy_with_the_longest_names(in_test: Whole) -> None:
    """IAM counts the characters that are no white space, up to 6,144; a region's name has 14 at most, not 12."""
    document = in_test.template.one("AWS::IAM::ManagedPolicy")["PolicyDocument"]
    longest = json.dumps(document, separators=(",", ":")).replace("eu-central-1", "ap-southeast-12")
    slack = 63 - len(RAW.rpartition(":")[2])
    assert len(longest) + slack * longest.count("tapehouse-lake-") <= 6144


@pytest.mark.parametrize("name", ["deployment", "consumer-risk"])
def test_it_is_on_roles(in_test: Whole, name: str) -> None:
    role = f"tapehouse-lake-{name}-test-x1a2-eu-central-1"
    arn = in_test.template.data_key
    assert in_test.template.account.allows(role, "kms:ScheduleKeyDeletion", arn).reason == "explicit deny"

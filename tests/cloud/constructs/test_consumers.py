"""What other accounts may do, by the role and by the bucket's policy."""

from __future__ import annotations

import pytest

from tapehouse.cloud.policy import Caller, Document

from .whole import CONSUMER, CONSUMER_ACCOUNT, Whole

ANYTHING = Document.parse({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
ROLE = "tapehouse-lake-consumer-risk-test-x1a2-eu-central-1"
BUCKET = "arn:aws:s3:::tapehouse-lake-curated-test-x1a2-111122223333-eu-central-1"
THEIRS = Caller.role(f"arn:aws:iam::{CONSUMER_ACCOUNT}:role/reader")
PREFIX = "lake/warehouse/us_equity_trades/"
SECURE = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
CASES = [
    ("s3:GetObject", f"{BUCKET}/{PREFIX}curated/data/1.parquet", {}, True),
    ("s3:GetObject", f"{BUCKET}/lake/warehouse/us_equity_quotes/1.parquet", {}, False),
    ("s3:PutObject", f"{BUCKET}/{PREFIX}curated/data/1.parquet", {}, False),
    ("s3:DeleteObject", f"{BUCKET}/{PREFIX}curated/data/1.parquet", {}, False),
    ("s3:ListBucket", BUCKET, {"s3:prefix": f"{PREFIX}curated/"}, True),
    ("s3:ListBucket", BUCKET, {"s3:prefix": "lake/"}, False),
    ("s3:ListBucket", BUCKET, {}, False),
    ("s3:GetBucketLocation", BUCKET, {}, True),
    ("s3:GetBucketPolicy", BUCKET, {}, False),
    ("s3:GetObject", f"{BUCKET.replace('curated', 'raw')}/{PREFIX}x", {}, False),
]


@pytest.mark.parametrize(("action", "resource", "context", "allowed"), CASES)
def test_the_role_reads_its_prefixes(
    in_test: Whole, action: str, resource: str, context: dict[str, str], allowed: bool
) -> None:
    assert bool(in_test.template.account.allows(ROLE, action, resource, {**SECURE, **context})) is allowed


@pytest.mark.parametrize(("action", "resource", "context", "allowed"), CASES)
def test_the_account_reads_its_prefixes(
    in_test: Whole, action: str, resource: str, context: dict[str, str], allowed: bool
) -> None:
    account = in_test.template.account
    assert bool(account.admits(THEIRS, action, resource, {**SECURE, **context}, [ANYTHING])) is allowed


def test_a_stranger_reads_nothing(in_test: Whole) -> None:
    stranger = Caller.role("arn:aws:iam::999900001111:role/reader")
    resource = f"{BUCKET}/{PREFIX}curated/data/1.parquet"
    assert not in_test.template.account.admits(stranger, "s3:GetObject", resource, SECURE, [ANYTHING])


def test_only_who_says_the_external_id_takes_the_role(in_test: Whole) -> None:
    account, arn = in_test.template.account, in_test.template.account.role(ROLE).arn
    agreed = {"sts:ExternalId": CONSUMER["external_id"]}
    assert account.admits(THEIRS, "sts:AssumeRole", arn, agreed, [ANYTHING])
    assert not account.admits(THEIRS, "sts:AssumeRole", arn, {"sts:ExternalId": "guessed"}, [ANYTHING])
    assert not account.admits(THEIRS, "sts:AssumeRole", arn, {}, [ANYTHING])
    stranger = Caller.role("arn:aws:iam::999900001111:role/reader")
    assert not account.admits(stranger, "sts:AssumeRole", arn, agreed, [ANYTHING])


def test_the_role_decrypts_through_s3_alone(in_test: Whole) -> None:
    account, key = in_test.template.account, in_test.template.data_key
    through = {"kms:CallerAccount": "111122223333", "kms:ViaService": "s3.eu-central-1.amazonaws.com"}
    assert account.allows(ROLE, "kms:Decrypt", key, through)
    assert not account.allows(ROLE, "kms:Decrypt", key, {"kms:CallerAccount": "111122223333"})
    assert not account.allows(ROLE, "kms:GenerateDataKey", key, through)


def test_roles_are_told_by_consumer(in_test: Whole) -> None:
    assert list(in_test.consumers.roles) == ["risk"]

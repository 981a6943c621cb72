"""Recorded calls asked again: what is denied, and which permission nobody would miss."""

from __future__ import annotations

from typing import Any

import pytest

from tapehouse.cloud.policy import Account, Call, PolicyError, denied, idle

READS = {"Sid": "Reads", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::tape/*"}
WRITES = {"Sid": "Writes", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::tape/*"}
NEVER = {"Sid": "Never", "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::tape/secret/*"}
GET = Call("judge", "s3:GetObject", "arn:aws:s3:::tape/a")
PUT = Call("judge", "s3:PutObject", "arn:aws:s3:::tape/a")


def account(*statements: dict[str, Any]) -> Account:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    version = "2012-10-17"
    documents = [{"PolicyDocument": {"Version": version, "Statement": [one]}, "PolicyName": "p"} for one in statements]
    role = {
        "RoleName": "judge",
        "AssumeRolePolicyDocument": {"Version": version, "Statement": trust},
        "Policies": documents,
    }
    return Account.of({"main": {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}}}})


def test_calls_that_are_not_allowed_are_told_with_the_reason() -> None:
    secret = Call("judge", "s3:GetObject", "arn:aws:s3:::tape/secret/a")
    found = denied(account(READS, NEVER), [GET, PUT, secret])
    assert [(call, decision.reason) for call, decision in found] == [(PUT, "implicit deny"), (secret, "explicit deny")]
    assert denied(account(READS, WRITES), [GET, PUT]) == []


def test_permissions_that_no_call_needs_are_told() -> None:
    asked = account(READS, WRITES, NEVER)
    assert [(role, one.sid) for role, one in idle(asked, [GET])] == [("Role", "Writes")]
    assert idle(asked, [GET, PUT]) == []
    assert [one.sid for _, one in idle(asked, [], roles=["Role"])] == ["Reads", "Writes"]


def test_what_two_statements_allow_is_missed_in_neither() -> None:
    assert [one.sid for _, one in idle(account(READS, {**READS, "Sid": "Again"}), [GET])] == ["Reads", "Again"]


def test_the_account_itself_is_not_changed() -> None:
    asked = account(READS)
    idle(asked, [GET])
    assert denied(asked, [GET]) == []


def test_calls_of_unknown_roles_are_refused() -> None:
    with pytest.raises(PolicyError, match="nobody"):
        denied(account(READS), [Call("nobody", "s3:GetObject", "*")])

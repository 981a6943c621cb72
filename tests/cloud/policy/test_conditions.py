"""Condition operators, one row each from AWS's reference: what holds, and what an absent key does."""

from __future__ import annotations

from typing import Any

import pytest

from tapehouse.cloud.policy import PolicyError, Request
from tapehouse.cloud.policy.conditions import holds
from tapehouse.cloud.policy.documents import texts
from tapehouse.cloud.policy.request import Caller

ABSENT: dict[str, Any] = {}


def judged(operator: str, expected: Any, context: dict[str, Any], key: str = "k") -> bool:
    request = Request(Caller.role("arn:aws:iam::111122223333:role/r"), "s3:GetObject", "arn:aws:s3:::b/o", context)
    facts = request.facts()
    return holds({operator: {key: texts(expected)}}, facts, lambda name: facts.get(name.lower()))


@pytest.mark.parametrize(
    ("operator", "expected", "context", "result"),
    [
        ("StringEquals", "a", {"k": "a"}, True),
        ("StringEquals", "a", {"k": "A"}, False),
        ("StringEquals", "a*", {"k": "ab"}, False),
        ("StringEquals", ["a", "b"], {"k": "b"}, True),
        ("StringEquals", "a", ABSENT, False),
        ("StringEqualsIgnoreCase", "a", {"k": "A"}, True),
        ("StringEqualsIfExists", "a", ABSENT, True),
        ("StringEqualsIfExists", "a", {"k": "b"}, False),
        ("StringNotEquals", "a", ABSENT, True),
        ("StringNotEquals", ["a", "b"], {"k": "b"}, False),
        ("StringNotEquals", ["a", "b"], {"k": "c"}, True),
        ("StringLike", "a?c*", {"k": "abcd"}, True),
        ("StringLike", "a?c", {"k": "abcd"}, False),
        ("StringLike", "a.c", {"k": "abc"}, False),
        ("StringNotLike", "a*", {"k": "b"}, True),
        ("StringNotLikeIfExists", "a*", ABSENT, True),
        ("Bool", "false", {"k": False}, True),
        ("Bool", False, {"k": "false"}, True),
        ("Bool", "true", ABSENT, False),
        ("BoolIfExists", "true", ABSENT, True),
        ("Null", "true", ABSENT, True),
        ("Null", "true", {"k": "x"}, False),
        ("Null", "false", ABSENT, False),
        ("Null", "false", {"k": "x"}, True),
        ("NumericLessThan", "1.2", {"k": "1.1"}, True),
        ("NumericLessThan", "1.2", {"k": "1.2"}, False),
        ("NumericLessThan", "1.2", {"k": "1.10"}, True),
        ("NumericLessThan", "1.2", ABSENT, False),
        ("NumericLessThan", "1.2", {"k": "new"}, False),
        ("NumericGreaterThanEquals", 10, {"k": 10}, True),
        ("NumericNotEquals", 10, {"k": 11}, True),
        ("DateLessThan", "2026-01-01T00:00:00Z", {"k": "2025-12-31T23:59:59Z"}, True),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", {"k": "2025-12-31T23:59:59Z"}, False),
        ("DateEquals", "1970-01-01T00:00:10Z", {"k": "10"}, True),
        ("DateEquals", "soon", {"k": "10"}, False),
        ("IpAddress", "10.0.0.0/8", {"k": "10.9.8.7"}, True),
        ("IpAddress", "10.0.0.0/8", {"k": "11.0.0.1"}, False),
        ("IpAddress", "10.0.0.0/8", {"k": "nowhere"}, False),
        ("NotIpAddress", "10.0.0.0/8", {"k": "11.0.0.1"}, True),
        ("NotIpAddress", "10.0.0.0/8", ABSENT, True),
        ("ArnLike", "arn:aws:glue:*:111122223333:*", {"k": "arn:aws:glue:eu-west-1:111122223333:job/x"}, True),
        ("ArnLike", "arn:aws:s3:::b*", {"k": "arn:aws:s3:::b/c:d"}, True),
        ("ArnLike", "arn:aws:*:job/x", {"k": "arn:aws:glue:eu-west-1:111122223333:job/x"}, False),
        ("ArnEquals", "arn:aws:sns:*:*:t", {"k": "arn:aws:sns:us-east-1:1:t"}, True),
        ("ArnNotLike", "arn:aws:iam::1:role/*", {"k": "arn:aws:iam::1:role/x"}, False),
        ("ArnNotEquals", "arn:aws:iam::1:role/y", ABSENT, True),
        ("ForAllValues:StringEquals", ["a", "b"], {"k": ["a"]}, True),
        ("ForAllValues:StringEquals", ["a", "b"], {"k": ["a", "c"]}, False),
        ("ForAllValues:StringEquals", ["a", "b"], ABSENT, True),
        ("ForAllValues:StringEquals", ["a", "b"], {"k": []}, True),
        ("ForAnyValue:StringEquals", ["a", "b"], {"k": ["a", "c"]}, True),
        ("ForAnyValue:StringEquals", ["a", "b"], {"k": ["c"]}, False),
        ("ForAnyValue:StringEquals", ["a", "b"], ABSENT, False),
        ("ForAnyValue:StringNotEquals", ["a"], {"k": ["a", "b"]}, True),
        ("ForAnyValue:StringNotEquals", ["a"], ABSENT, False),
        ("ForAllValues:StringNotLike", ["a*"], {"k": ["b", "ab"]}, False),
        ("StringEquals", "role-${aws:PrincipalAccount}", {"k": "role-111122223333"}, True),
        ("StringEquals", "${aws:PrincipalTag/team}", {"k": "x"}, False),
        ("StringNotEquals", "${aws:PrincipalTag/team}", {"k": "x"}, True),
        ("StringEquals", "${aws:PrincipalTag/team, 'none'}", {"k": "none"}, True),
        ("StringLike", "${*}x", {"k": "*x"}, True),
        ("StringLike", "${*}x", {"k": "ax"}, False),
        ("StringLike", "${other}", {"k": "ab", "other": "a*"}, False),
    ],
)
def test_operator(operator: str, expected: Any, context: dict[str, Any], result: bool) -> None:
    assert judged(operator, expected, context) is result


def test_keys_ignore_case_and_all_operators_must_hold() -> None:
    request = Request(Caller(), "s3:GetObject", "arn:aws:s3:::b/o", {"AWS:SourceAccount": "1"})
    block = {"StringEquals": {"aws:sourceaccount": ("1",)}, "Null": {"aws:SourceArn": ("true",)}}
    assert holds(block, request.facts(), None)
    assert not holds({**block, "Bool": {"aws:SecureTransport": ("false",)}}, request.facts(), None)


def test_unknown_operator_is_refused() -> None:
    with pytest.raises(PolicyError, match="StringEqual"):
        judged("StringEqual", "a", {"k": "a"})


def test_old_policy_version_takes_variables_as_text() -> None:
    assert holds({"StringEquals": {"k": ("${aws:username}",)}}, {"k": ["${aws:username}"]}, None)

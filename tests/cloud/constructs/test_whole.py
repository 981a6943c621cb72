"""What holds for all constructs together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint import api as cfnlint

from .whole import Template, Whole, listed, settings_of, statements, whole

REGIONS = ["eu-central-1"]
# Properties that are physical names, by resource type.
NAMES = {
    "AWS::Athena::WorkGroup": "Name",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
}


def names(template: Template) -> set[tuple[str, str]]:
    """Type and physical name of everything that has one."""
    found = {(kind, one["Properties"][name]) for kind, name in NAMES.items() for one in template.of(kind).values()}
    databases = template.of("AWS::Glue::Database").values()
    return found | {("AWS::Glue::Database", one["Properties"]["DatabaseInput"]["Name"]) for one in databases}


def documents(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy document in the template, with the id of its resource."""
    for name, one in template.body["Resources"].items():
        yield from ((name, document) for document in _within(one.get("Properties", {})))


def _within(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "Statement" in value:
            yield value
        for one in value.values():
            yield from _within(one)
    if isinstance(value, list):
        for one in value:
            yield from _within(one)


@pytest.mark.parametrize("where", ["in_test", "in_prod"])
def test_cfn_lint_finds_nothing(where: str, request: pytest.FixtureRequest) -> None:
    found: Whole = request.getfixturevalue(where)
    matches = cfnlint.lint(found.template.text, regions=REGIONS)
    # W3005: the CDK has every function depend on its role, which the function also refers to. Redundant, and harmless.
    assert [str(one) for one in matches if one.rule.id != "W3005"] == []


def test_another_suffix_shares_no_name(in_test: Whole, tmp_path: Path) -> None:
    other = whole(settings_of("test", suffix="y2b3"), tmp_path)
    one, another = names(in_test.template), names(other.template)
    assert len(one) == len(another) > 15
    assert not one & another
    assert "x1a2" not in other.template.text


def test_synthesis_is_a_function_of_its_inputs(in_test: Whole, tmp_path: Path) -> None:
    assert whole(settings_of("test"), tmp_path).template.text == in_test.template.text


@pytest.mark.parametrize("where", ["in_test", "in_prod"])
def test_no_account_region_or_partition_is_written_down(where: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(where).template.text
    assert set(re.findall(r"(?<![0-9a-f])\d{12}(?![0-9a-f])", text)) == {"444455556666"}  # the consumer's
    assert not re.search(r"\b(eu|us|ap|ca|sa|me|af|il)-[a-z]+-\d\b", text)
    assert "arn:aws" not in text


@pytest.mark.parametrize("where", ["in_test", "in_prod"])
def test_nothing_is_allowed_by_wildcard(where: str, request: pytest.FixtureRequest) -> None:
    """Actions never; resources where `*` is the resource itself (a key's policy), or a condition limits it."""
    found: Whole = request.getfixturevalue(where)
    for name, document in documents(found.template):
        for one in statements(document):
            if one["Effect"] == "Deny":
                continue
            assert not [action for action in listed(one["Action"]) if "*" in action], (name, one)
            if "*" in listed(one.get("Resource", "")):
                kind = found.template.body["Resources"][name]["Type"]
                assert kind == "AWS::KMS::Key" or "aws:ResourceAccount" in json.dumps(one["Condition"]), (name, one)


@pytest.mark.parametrize(("where", "policy"), [("in_test", "Delete"), ("in_prod", "Retain")])
def test_what_holds_data_is_kept_in_production_alone(where: str, policy: str, request: pytest.FixtureRequest) -> None:
    template = request.getfixturevalue(where).template
    kinds = ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::Glue::Database", "AWS::Glue::Table")
    for kind in kinds:
        for name, one in template.of(kind).items():
            assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == (policy, policy), name


def test_every_log_group_has_an_end(in_prod: Whole) -> None:
    groups = in_prod.template.of("AWS::Logs::LogGroup").values()
    assert all(one["Properties"]["RetentionInDays"] > 0 and "DeletionPolicy" in one for one in groups)

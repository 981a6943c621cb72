"""What tells production from an environment that can be destroyed, one test for each difference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tapehouse.cloud.conformance.stacks import Resource, Stacks

Deployed = Mapping[tuple[str, str], Stacks]


@pytest.fixture(params=["market-stream", "serverless-lake"])
def both(request: pytest.FixtureRequest, deployed: Deployed) -> tuple[Stacks, Stacks]:
    """Test and prod of a blueprint."""
    return deployed[request.param, "test"], deployed[request.param, "prod"]


def counts(stacks: Stacks, kind: str) -> int:
    return len(stacks.of(kind))


def one(stacks: Stacks, kind: str) -> Resource:
    (found,) = stacks.of(kind)
    return found


def test_removal_of_what_holds_data(both: tuple[Stacks, Stacks]) -> None:
    test, prod = both
    for kind in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::Kinesis::Stream"):
        assert {resource.removed for resource in test.of(kind)} <= {"Delete"}
        assert {resource.removed for resource in prod.of(kind)} <= {"Retain"}


def test_buckets_are_emptied_where_they_can_be_destroyed(both: tuple[Stacks, Stacks]) -> None:
    test, prod = both
    assert counts(test, "Custom::S3AutoDeleteObjects") == 5
    assert counts(prod, "Custom::S3AutoDeleteObjects") == 0


def test_key_window(both: tuple[Stacks, Stacks]) -> None:
    windows = [{key.get("PendingWindowInDays") for key in stacks.of("AWS::KMS::Key")} for stacks in both]
    assert windows == [{7}, {30}]


def test_deletion_protection_of_the_table(both: tuple[Stacks, Stacks]) -> None:
    assert [bool(one(stacks, "AWS::DynamoDB::Table").get("DeletionProtectionEnabled")) for stacks in both] == [
        False,
        True,
    ]


def test_a_nat_gateway_for_each_zone(both: tuple[Stacks, Stacks]) -> None:
    assert [counts(stacks, "AWS::EC2::NatGateway") for stacks in both] == [1, 2]


def test_workers(both: tuple[Stacks, Stacks]) -> None:
    assert [one(stacks, "AWS::Glue::Job").get("NumberOfWorkers") for stacks in both] == [2, 4]


def test_how_long_logs_are_kept(both: tuple[Stacks, Stacks]) -> None:
    kept = [{group.get("RetentionInDays") for group in stacks.of("AWS::Logs::LogGroup")} for stacks in both]
    assert kept == [{7}, {365}]


def test_what_a_query_may_read(both: tuple[Stacks, Stacks]) -> None:
    path = "WorkGroupConfiguration.BytesScannedCutoffPerQuery"
    limits = [one(stacks, "AWS::Athena::WorkGroup").get(path) for stacks in both]
    assert limits == [10_000_000_000, 1_000_000_000_000]


def test_termination_protection(assemblies: Mapping[tuple[str, str], Path]) -> None:
    for (_, environment), path in assemblies.items():
        artifacts = json.loads((path / "manifest.json").read_text("utf-8"))["artifacts"].values()
        stacks = [artifact for artifact in artifacts if artifact["type"] == "aws:cloudformation:stack"]
        assert len(stacks) == 2
        for stack in stacks:
            assert stack["properties"].get("terminationProtection", False) is (environment == "prod")


def test_queues_and_topics_go_with_either(both: tuple[Stacks, Stacks]) -> None:
    for stacks in both:
        for resource in stacks.of("AWS::SQS::Queue", "AWS::SNS::Topic"):
            assert resource.removed == "Delete"

"""Streams, their readers, and how they follow their volume."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.blueprints.market_stream import MarketStreamProps, MarketStreamStack
from tapehouse.cloud.capacity.plan import plan
from tapehouse.cloud.capacity.quotas import QuotaError
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.constructs.shard_scaling import shard_bounds
from tapehouse.cloud.synth import synthesize

from ..deployments import CONTRACTS, main, of_type, settings_of  # noqa: TID252 - shared with other folders

LARGE = {
    "region": "us-east-1",
    "stream": {"volumes": {"consolidated_trades": "50TB/day"}, "parallelization": 2},
    "quotas": {"lambda_concurrency": 10_000, "kinesis_shards": 20_000, "glue_workers": 10_000},
    "contracts": [CONTRACTS / "consolidated-trades.yaml"],
}


def only(stacks: Stacks, kind: str) -> Resource:
    (found,) = stacks.of(kind)
    return found


def validator(stacks: Stacks) -> Resource:
    (found,) = (one for one in stacks.of("AWS::Lambda::Function") if "stream_validator" in one.get("Handler"))
    return found


@pytest.fixture(scope="module")
def large(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Fifty terabytes a day, in production."""
    out = tmp_path_factory.mktemp("large") / "out"
    return main(synthesize(settings_of("prod", **LARGE), "market-stream", out, packages))


def test_a_stream_for_each_dataset_of_lines(stream: Stacks) -> None:
    found = only(stream, "AWS::Kinesis::Stream")
    assert found.name == "tapehouse-stream-stream-consolidated-trades-test-a1b2-us-east-1"
    assert found.get("RetentionPeriodHours") == 384
    assert found.get("ShardCount") == 1
    assert found.get("StreamModeDetails.StreamMode") == "PROVISIONED"
    assert found.get("StreamEncryption.EncryptionType") == "KMS"
    assert stream.key(found.get("StreamEncryption.KeyId")) is not None


def test_the_validator_has_a_throughput_of_its_own(stream: Stacks) -> None:
    consumer, mapping = only(stream, "AWS::Kinesis::StreamConsumer"), None
    for one in stream.of("AWS::Lambda::EventSourceMapping"):
        if one.get("EventSourceArn") == consumer.arn:
            mapping = one
    assert mapping is not None
    assert consumer.get("StreamARN") == only(stream, "AWS::Kinesis::Stream").arn
    (dead,) = (one for one in stream.of("AWS::SQS::Queue") if "-stream-dlq-" in one.name)
    expected = {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 1_000,
        "MaximumBatchingWindowInSeconds": 5,
        "ParallelizationFactor": 1,
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 86_400,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": dead.arn}},
    }
    assert {name: mapping.get(name) for name in expected} == expected


def test_the_validator_knows_its_streams(stream: Stacks) -> None:
    variables = validator(stream).get("Environment.Variables")
    assert json.loads(variables["TAPEHOUSE_STREAMS"]) == {
        only(stream, "AWS::Kinesis::Stream").name: "consolidated_trades"
    }
    assert variables["TAPEHOUSE_PARALLELIZATION"] == "1"
    assert variables["TAPEHOUSE_ENVIRONMENT"] == "test-a1b2"


def test_retention_outlasts_what_an_event_source_tries(stream: Stacks) -> None:
    """A position in the dead-letter queue can still be read when its letter is."""
    found = only(stream, "AWS::Kinesis::Stream")
    assert found.get("RetentionPeriodHours") * 3_600 > 86_400


def test_reserved_concurrency_is_shards_times_parallelization(large: Any) -> None:
    # 50 TB / 86,400 s x 3 is 1,736.1 MB/s; a shard takes one.
    (shards,) = (one["Properties"]["ShardCount"] for one in of_type(large, "AWS::Kinesis::Stream"))
    assert shards == 1_737
    (function,) = (
        one["Properties"]
        for one in of_type(large, "AWS::Lambda::Function")
        if "stream_validator" in one["Properties"]["Handler"]
    )
    assert function["ReservedConcurrentExecutions"] == 3_474
    formula = "3474 = shards x parallelization = 1737 x 2"
    assert function["Description"].endswith(formula)
    assert large["Outputs"]["ReservedConcurrency"]["Value"] == formula


def test_a_volume_above_a_quota_is_refused_by_its_name(packages: Packages, tmp_path: Path) -> None:
    settings = settings_of("prod", **{**LARGE, "quotas": {}})
    with pytest.raises(QuotaError, match="Concurrent executions"):
        synthesize(settings, "market-stream", tmp_path / "out", packages)


def test_refused_records_and_the_clock_start_what_widens_a_stream(stream: Stacks) -> None:
    rules = {one.id: one for one in stream.of("AWS::Events::Rule") if "Shards" in one.id}
    (on_alarm,) = (one for one in rules.values() if one.get("EventPattern"))
    (on_clock,) = (one for one in rules.values() if one.get("ScheduleExpression"))
    (alarm,) = (one for one in stream.of("AWS::CloudWatch::Alarm") if one.id == "ConsolidatedTradesThrottled")
    assert on_alarm.get("EventPattern.detail") == {"alarmName": [alarm.get("AlarmName")], "state": {"value": ["ALARM"]}}
    assert alarm.get("MetricName") == "WriteProvisionedThroughputExceeded"
    assert on_clock.get("ScheduleExpression") == "rate(1 hour)"
    (function,) = (one for one in stream.of("AWS::Lambda::Function") if "shard_scaling" in one.get("Handler"))
    permitted = {one.get("SourceArn") for one in stream.of("AWS::Lambda::Permission")}
    for rule in rules.values():
        (target,) = rule.get("Targets")
        assert target["Arn"] == function.arn
        assert rule.arn in permitted
        assert stream.find(target["DeadLetterConfig"]["Arn"], "AWS::SQS::Queue") is not None
    bounds = json.loads(function.get("Environment.Variables.TAPEHOUSE_SHARD_BOUNDS"))
    assert bounds == {only(stream, "AWS::Kinesis::Stream").name: [1, 2]}


def test_it_may_change_its_streams_and_no_other(stream: Stacks) -> None:
    (function,) = (one for one in stream.of("AWS::Lambda::Function") if "shard_scaling" in one.get("Handler"))
    found, account = only(stream, "AWS::Kinesis::Stream"), stream.account
    context = {"aws:SecureTransport": "true"}
    assert account.allows(function.get("Role"), "kinesis:UpdateShardCount", found.arn, context)
    assert not account.allows(function.get("Role"), "kinesis:UpdateShardCount", found.arn + "-other", context)


@pytest.mark.parametrize(
    ("quota", "expected"), [(None, (1_737, 3_474)), (1_737, (1_737, 1_737)), (2_000, (1_737, 2_000))]
)
def test_streams_are_widened_within_the_quota(quota: int | None, expected: tuple[int, int]) -> None:
    given: Mapping[str, Any] = {**LARGE, "quotas": {**LARGE["quotas"], "kinesis_shards": quota}}  # type: ignore[dict-item]
    settings = settings_of("prod", **given)
    names = ["consolidated_trades"]
    assert shard_bounds(settings, plan(settings, names, streamed=names), names) == {"consolidated_trades": expected}


def test_everything_can_be_reached_from_an_attribute(packages: Packages) -> None:
    stack = MarketStreamStack(
        App(analytics_reporting=False), "Main", props=MarketStreamProps(settings_of("test"), packages)
    )
    found = stack.streams.streams["consolidated_trades"]
    assert found.dataset.name == "consolidated_trades"
    assert stack.resolve(found.stream.ref)
    assert stack.resolve(found.consumer.attr_consumer_arn)
    assert stack.resolve(found.mapping.ref)
    assert stack.streams.concurrency == 1
    assert stack.streams.validator.timeout_seconds == 300
    assert stack.scaling is not None
    assert stack.scaling.bounds == {"consolidated_trades": (1, 2)}
    assert len(stack.scaling.rules) == 2
    for queue in (stack.streams.dead_letters, stack.objects.undelivered, stack.objects.queue.dead_letters):
        assert stack.resolve(queue.queue_arn)
    assert stack.resolve(stack.redrive.function.log_group.log_group_name)
    assert stack.job.security.encryption_configuration is not None

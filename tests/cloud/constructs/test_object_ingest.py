"""From an object that lands to a function that reads its event."""

from __future__ import annotations

from collections.abc import Mapping

from tapehouse.cloud.conformance.stacks import Resource, Stacks


def queue(stacks: Stacks, purpose: str) -> Resource:
    (found,) = (one for one in stacks.of("AWS::SQS::Queue") if one.name.startswith(f"tapehouse-lake-{purpose}-test-"))
    return found


def function(stacks: Stacks, handler: str) -> Resource:
    (found,) = (one for one in stacks.of("AWS::Lambda::Function") if handler in one.get("Handler"))
    return found


def landed(stacks: Stacks) -> Resource:
    (found,) = (one for one in stacks.of("AWS::Events::Rule") if "-landed-" in one.name)
    return found


def test_objects_under_landing_are_queued(lake: Stacks) -> None:
    (raw,) = (one for one in lake.of("AWS::S3::Bucket") if "-raw-" in one.name)
    rule = landed(lake)
    assert rule.get("EventPattern") == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [raw.name]}, "object": {"key": [{"prefix": "landing/"}]}},
    }
    (target,) = rule.get("Targets")
    assert target["Arn"] == queue(lake, "objects").arn
    assert target["DeadLetterConfig"]["Arn"] == queue(lake, "objects-dlq").arn
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3_600, "MaximumRetryAttempts": 24}


def test_the_queue_takes_messages_of_that_rule_and_of_no_other(lake: Stacks) -> None:
    for purpose in ("objects", "objects-dlq"):
        (policy,) = (one for one in lake.of("AWS::SQS::QueuePolicy") if queue(lake, purpose).ref in one.get("Queues"))
        (allowed,) = (one for one in policy.get("PolicyDocument.Statement") if one["Effect"] == "Allow")
        assert allowed["Action"] == "sqs:SendMessage"
        assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
        assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": landed(lake).arn}}


def test_the_rule_is_made_when_its_queues_admit_it(lake: Stacks) -> None:
    policies = {
        one.id
        for one in lake.of("AWS::SQS::QueuePolicy")
        if {queue(lake, "objects").ref, queue(lake, "objects-dlq").ref} & set(one.get("Queues"))
    }
    assert policies <= set(landed(lake).written["DependsOn"])


def test_batches_with_partial_failures_and_no_more_at_once_than_reserved(lake: Stacks) -> None:
    (mapping,) = lake.of("AWS::Lambda::EventSourceMapping")
    validator = function(lake, "object_validator")
    expected = {
        "EventSourceArn": queue(lake, "objects").arn,
        "BatchSize": 1_000,
        "MaximumBatchingWindowInSeconds": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 5},
    }
    assert {name: mapping.get(name) for name in expected} == expected
    assert lake.find(mapping.get("FunctionName"), "AWS::Lambda::Function") == validator
    assert validator.get("ReservedConcurrentExecutions") == 5


def test_production_waits_for_more_objects_a_run(deployed: Mapping[tuple[str, str], Stacks]) -> None:
    (mapping,) = deployed["serverless-lake", "prod"].of("AWS::Lambda::EventSourceMapping")
    assert (mapping.get("BatchSize"), mapping.get("MaximumBatchingWindowInSeconds")) == (1_000, 60)


def test_how_long_a_run_may_take_is_known_to_both(lake: Stacks) -> None:
    """All attempts of the job, each as long as it may be, and an hour."""
    (job,) = lake.of("AWS::Glue::Job")
    seconds = job.get("Timeout") * 60 * (job.get("MaxRetries") + 1) + 3_600
    for handler in ("object_validator", "redrive"):
        variables = function(lake, handler).get("Environment.Variables")
        assert variables["TAPEHOUSE_STARTED_SECONDS"] == str(seconds)


def test_the_validator_keeps_versions_and_lists(lake: Stacks) -> None:
    (raw,) = (one for one in lake.of("AWS::S3::Bucket") if "-raw-" in one.name)
    role, safe = function(lake, "object_validator").get("Role"), {"aws:SecureTransport": "true"}
    for folder, allowed in (("landing", True), ("manifests", True), ("raw", False)):
        assert bool(lake.account.allows(role, "s3:PutObject", f"{raw.arn}/{folder}/trades/a.txt", safe)) is allowed


def test_redrive_finds_contents_of_runs(lake: Stacks) -> None:
    (table,) = lake.of("AWS::DynamoDB::Table")
    role, safe = function(lake, "redrive").get("Role"), {"aws:SecureTransport": "true"}
    assert lake.account.allows(role, "dynamodb:Scan", table.arn, safe)
    assert not lake.account.allows(role, "dynamodb:DeleteItem", table.arn, safe)


def test_the_validator_knows_the_job_and_its_release(lake: Stacks) -> None:
    (job,) = lake.of("AWS::Glue::Job")
    variables = function(lake, "object_validator").get("Environment.Variables")
    assert variables["TAPEHOUSE_GLUE_JOB"] == job.name
    assert job.get("Command.ScriptLocation") == f"{variables['TAPEHOUSE_RELEASE']}/glue_job.py"
    assert variables["TAPEHOUSE_PIPELINE"] == "lake"


def test_dead_letters_can_be_taken_again(lake: Stacks) -> None:
    one, account, safe = function(lake, "redrive"), lake.account, {"aws:SecureTransport": "true"}
    for purpose in ("objects-dlq", "undelivered"):
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
            assert account.allows(one.get("Role"), action, queue(lake, purpose).arn, safe)
    assert account.allows(one.get("Role"), "sqs:SendMessage", queue(lake, "objects").arn, safe)
    assert not account.allows(one.get("Role"), "sqs:ReceiveMessage", queue(lake, "objects").arn, safe)
    assert one.get("ReservedConcurrentExecutions") == 1
    variables = one.get("Environment.Variables")
    assert {"TAPEHOUSE_QUEUE_URL", "TAPEHOUSE_DLQ_URL", "TAPEHOUSE_UNDELIVERED_URL"} <= set(variables)
    assert "TAPEHOUSE_STREAM_DLQ_URL" not in variables

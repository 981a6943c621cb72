"""Alarms and dashboards of both blueprints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack

from tapehouse.cloud.conformance.metrics import shown
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.monitoring.alarms import AlarmFactory, Bound, Missing, Watch
from tapehouse.cloud.monitoring.metrics import Metrics
from tapehouse.cloud.naming import Naming
from tapehouse.errors import UsageError

from ..deployments import monitoring  # noqa: TID252 - shared with other folders

ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
BLUEPRINTS = ("market-stream", "serverless-lake")
Deployed = Mapping[tuple[str, str], Stacks]


@pytest.fixture(params=BLUEPRINTS)
def stacks(request: pytest.FixtureRequest, deployed: Deployed) -> Stacks:
    return deployed[request.param, "prod"]


def alarm(stacks: Stacks, purpose: str) -> Resource:
    facts = stacks.facts
    name = f"tapehouse-{facts.service}-{purpose}-{facts.environment}-a1b2-us-east-1"
    (found,) = (one for one in stacks.of(*ALARMS) if one.get("AlarmName") == name)
    return found


def dimensions(body: Mapping[str, Any]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in body["Dimensions"]}


def test_every_alarm_tells_the_topic_when_it_goes_off_and_when_it_is_over(stacks: Stacks) -> None:
    (topic,) = stacks.of("AWS::SNS::Topic")
    for one in stacks.of(*ALARMS):
        assert one.get("AlarmActions") == one.get("OKActions") == [topic.arn], one
        assert len(one.get("AlarmDescription")) > 15


def test_every_alarm_says_what_no_data_means(stacks: Stacks) -> None:
    said = {one.get("TreatMissingData") for one in stacks.of("AWS::CloudWatch::Alarm")}
    assert said == {"notBreaching", "breaching"}
    assert alarm(stacks, "us-equity-trades-input-low").get("TreatMissingData") == "breaching"


def test_every_name_is_of_the_deployment_and_no_two_are_the_same(stacks: Stacks) -> None:
    names = [one.get("AlarmName") for one in stacks.of(*ALARMS)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"tapehouse-(stream|lake)-[a-z0-9-]+-prod-a1b2-us-east-1", name) for name in names)


@pytest.mark.parametrize(
    ("kind", "dimension"),
    [
        ("AWS::Kinesis::Stream", "StreamName"),
        ("AWS::Lambda::Function", "FunctionName"),
        ("AWS::SQS::Queue", "QueueName"),
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::Glue::Job", "JobName"),
        ("AWS::SNS::Topic", "TopicName"),
        ("AWS::Events::Rule", "RuleName"),
    ],
)
def test_every_part_has_an_alarm_and_a_widget(stacks: Stacks, kind: str, dimension: str) -> None:
    """By its own name: the monitoring stack computes what the other one is called."""
    bodies = [one.properties for one in stacks.of("AWS::CloudWatch::Alarm")]
    series = [body for body in bodies if "MetricName" in body]
    series += [
        query["MetricStat"]["Metric"] for body in bodies for query in body.get("Metrics", []) if "MetricStat" in query
    ]
    watched = {dimensions(one).get(dimension) for one in series if one.get("Dimensions")}
    on_boards = {metric.of(dimension) for widget in shown(stacks) for metric in widget.metrics}
    for one in stacks.of(kind):
        assert one.name in watched, one
        assert one.name in on_boards, one


def test_composites_name_alarms_that_there_are(stacks: Stacks) -> None:
    names = {one.get("AlarmName") for one in stacks.of(*ALARMS)}
    composites = stacks.of("AWS::CloudWatch::CompositeAlarm")
    assert len(composites) == 4
    reached = set()
    for one in composites:
        children = re.findall(r'ALARM\("([^"]+)"\)', one.get("AlarmRule"))
        assert len(children) <= 100
        assert set(children) <= names
        reached |= set(children)
    unhealthy = alarm(stacks, "pipeline-unhealthy").get("AlarmName")
    assert reached == names - {unhealthy}


def test_more_than_twenty_distinct_widgets(stacks: Stacks) -> None:
    assert len({widget.metrics for widget in shown(stacks)}) >= 20


def test_dashboards_stay_within_limits(assemblies: Mapping[tuple[str, str], Path]) -> None:
    for path in assemblies.values():
        for resource in monitoring(path)["Resources"].values():
            if resource["Type"] == "AWS::CloudWatch::Dashboard":
                board = json.loads(resource["Properties"]["DashboardBody"]["Fn::Sub"])
                assert len(board["widgets"]) <= 500
                assert all(one["x"] + one["width"] <= 24 for one in board["widgets"])


@pytest.mark.parametrize(
    "metric", ["RowsIn", "RowsValid", "RowsRejected", "Completeness", "FreshnessSeconds", "LatencySeconds", "BytesIn"]
)
def test_each_dataset_has_a_row_with_its_quality(stacks: Stacks, metric: str) -> None:
    for name in ("consolidated_trades", "us_equity_trades", "daily_bars"):
        assert any(
            one.name == metric and one.of("Dataset") == name and one.of("Environment") == "prod-a1b2"
            for widget in shown(stacks)
            for one in widget.metrics
        )


def test_how_far_readers_of_a_stream_are_behind(stream: Stacks) -> None:
    (consumer,) = stream.of("AWS::Kinesis::StreamConsumer")
    behind = alarm(stream, "consolidated-trades-behind")
    assert behind.get("MetricName") == "SubscribeToShardEvent.MillisBehindLatest"
    assert dimensions(behind.properties)["ConsumerName"] == consumer.get("ConsumerName")
    shared = alarm(stream, "consolidated-trades-iterator-age")
    assert shared.get("MetricName") == "GetRecords.IteratorAgeMilliseconds"
    assert alarm(stream, "stream-validator-iterator-age").get("MetricName") == "IteratorAge"


def test_too_little_comes_in_by_the_calendar_of_the_contract(stream: Stacks) -> None:
    low = alarm(stream, "consolidated-trades-input-low")
    expressions = {query["Id"]: query["Expression"] for query in low.get("Metrics") if "Expression" in query}
    # 1 GB a day, of which a tenth in five minutes.
    assert low.get("Threshold") == round(0.1 * 1e9 / 86_400 * 300)
    assert expressions["result"] == f"IF(open, FILL(m,0), {low.get('Threshold') + 1})"
    assert "HOUR(FILL(m,0))*60" in expressions["w"]
    assert "w>=870 AND w<1260" in expressions["open"]
    (series,) = (query for query in low.get("Metrics") if "MetricStat" in query)
    assert series["MetricStat"]["Metric"]["MetricName"] == "IncomingBytes"
    assert [query.get("ReturnData", True) for query in low.get("Metrics")] == [True, False, False, False]


def test_too_much_is_measured_from_the_peak(stream: Stacks) -> None:
    high = alarm(stream, "consolidated-trades-input-high")
    assert high.get("Threshold") == round(2 * 3 * 1e9 / 86_400 * 300)
    assert (high.get("EvaluationPeriods"), high.get("DatapointsToAlarm")) == (3, 3)


def test_files_are_judged_by_the_day(lake: Stacks) -> None:
    low = alarm(lake, "consolidated-trades-input-low")
    (series,) = (query["MetricStat"] for query in low.get("Metrics") if "MetricStat" in query)
    assert (series["Period"], series["Metric"]["MetricName"]) == (86_400, "BytesIn")
    assert low.get("Threshold") == 100_000_000


def test_freshness_is_what_the_contract_promises(lake: Stacks) -> None:
    assert alarm(lake, "daily-bars-stale").get("Threshold") == 4 * 86_400


def test_runs_that_fail_before_spark_begins_are_told(stacks: Stacks) -> None:
    (job,) = stacks.of("AWS::Glue::Job")
    (topic,) = stacks.of("AWS::SNS::Topic")
    rules = {one.name.removeprefix(f"tapehouse-{stacks.facts.service}-"): one for one in stacks.of("AWS::Events::Rule")}
    failed, late = rules["job-failed-prod-a1b2-us-east-1"], rules["job-late-prod-a1b2-us-east-1"]
    assert failed.get("EventPattern") == {
        "source": ["aws.glue"],
        "detail-type": ["Glue Job State Change"],
        "detail": {"jobName": [job.name], "state": ["ERROR", "FAILED", "STOPPED", "TIMEOUT"]},
    }
    assert late.get("EventPattern.detail-type") == ["Glue Job Run Status"]
    assert job.get("NotificationProperty.NotifyDelayAfter") == 96
    for rule in (failed, late):
        (target,) = rule.get("Targets")
        assert target["Arn"] == topic.arn
        (queue,) = (one for one in stacks.of("AWS::SQS::Queue") if one.arn == target["DeadLetterConfig"]["Arn"])
        (policy,) = (one for one in stacks.of("AWS::SQS::QueuePolicy") if queue.ref in one.get("Queues"))
        admitted = [
            statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            for statement in policy.get("PolicyDocument.Statement")
            if statement["Effect"] == "Allow"
        ]
        assert rule.arn in admitted
    assert alarm(stacks, "job-failed").get("MetricName") == "MatchedEvents"
    assert dimensions(alarm(stacks, "job-failed").properties) == {"RuleName": failed.name}


def test_how_long_runs_take(stacks: Stacks) -> None:
    duration = alarm(stacks, "job-duration")
    assert duration.get("MetricName") == "glue.driver.aggregate.elapsedTime"
    assert dimensions(duration.properties)["JobRunId"] == "ALL"
    assert dimensions(duration.properties)["Type"] == "count"
    assert duration.get("Period") == 7_200
    assert duration.get("Threshold") == 0.8 * 7_200_000


def test_gateways_are_watched_where_their_ids_are_known(stacks: Stacks) -> None:
    gateways = [one.ref for one in stacks.of("AWS::EC2::NatGateway")]
    found = [one for one in stacks.of("AWS::CloudWatch::Alarm") if one.get("Namespace") == "AWS/NATGateway"]
    assert sorted((dimensions(one.properties)["NatGatewayId"], one.get("MetricName")) for one in found) == sorted(
        (gateway, name) for gateway in gateways for name in ("ErrorPortAllocation", "PacketsDropCount")
    )
    assert len(gateways) == 2
    assert not any("monitoring" in one.stack for one in found)


def test_nothing_is_known_of_the_other_stack_but_names(assemblies: Mapping[tuple[str, str], Path]) -> None:
    for path in assemblies.values():
        template = monitoring(path)
        referred = set(re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"([^"]+)"', json.dumps(template)))
        assert referred <= {*template["Resources"], "AWS::Region", "AWS::AccountId", "AWS::Partition"}


def factory() -> tuple[AlarmFactory, Stack]:
    stack = Stack(App(analytics_reporting=False), "Main")
    return AlarmFactory(stack, Naming("tape", "lake", "test", "a1"), "arn:topic"), stack


def test_percentiles_are_told_from_statistics() -> None:
    made, stack = factory()
    metric = Metrics("test-a1", "lake").function("Duration", "f", "p99")
    one = made.make(Watch("slow", "It is slow.", metric, Bound.ABOVE, 1, Missing.UNKNOWN))
    assert (one.extended_statistic, one.statistic) == ("p99", None)
    assert stack.resolve(one.alarm_actions) == ["arn:topic"]


def test_more_children_than_an_alarm_may_have_are_refused() -> None:
    made, _ = factory()
    made.composite("all", "Everything.", [f"one-{number}" for number in range(100)])
    with pytest.raises(UsageError, match="101 alarms, and CloudWatch takes 100"):
        made.composite("more", "Everything.", [f"one-{number}" for number in range(101)])

"""How checks read metrics, event patterns and uses of resources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapehouse.cloud.conformance.event_patterns import fires
from tapehouse.cloud.conformance.metrics import Metric, widgets
from tapehouse.cloud.conformance.stacks import Facts, Resource, Stacks
from tapehouse.cloud.conformance.uses import stage
from tapehouse.errors import UsageError


def only(kind: str, properties: dict[str, Any]) -> Resource:
    template = {"Resources": {"One": {"Type": kind, "Properties": properties}}}
    return Stacks({"main": template}, Facts("tape", "lake", "test", "a1")).all[0]


EVENT = {"source": "aws.glue", "detail": {"state": "FAILED", "jobName": "tape-job", "runs": 3}}


@pytest.mark.parametrize(
    ("pattern", "result"),
    [
        ({"source": ["aws.glue"]}, True),
        ({"source": ["aws.s3"]}, False),
        ({"source": ["aws.s3", "aws.glue"], "detail": {"state": ["FAILED"]}}, True),
        ({"detail": {"state": ["SUCCEEDED"]}}, False),
        ({"detail": {"state": [{"anything-but": "SUCCEEDED"}]}}, True),
        ({"detail": {"state": [{"anything-but": ["SUCCEEDED", "FAILED"]}]}}, False),
        ({"detail": {"state": [{"anything-but": {"prefix": "FAIL"}}]}}, False),
        ({"detail": {"jobName": [{"prefix": "tape-"}]}}, True),
        ({"detail": {"jobName": [{"suffix": "-job"}]}}, True),
        ({"detail": {"jobName": [{"wildcard": "t*-j?b"}]}}, True),
        ({"detail": {"jobName": [{"equals-ignore-case": "TAPE-JOB"}]}}, True),
        ({"detail": {"gone": [{"exists": False}]}}, True),
        ({"detail": {"gone": [{"exists": True}]}}, False),
        ({"detail": {"gone": [{"prefix": "x"}]}}, False),
        ({"detail": {"gone": {"deep": ["x"]}}}, False),
        ({"detail": {"runs": [3]}}, True),
        ({"$or": [{"source": ["aws.s3"]}, {"source": ["aws.glue"]}]}, True),
        ({"$or": [{"source": ["aws.s3"]}]}, False),
    ],
)
def test_event_patterns(pattern: dict[str, Any], result: bool) -> None:
    assert fires(only("AWS::Events::Rule", {"EventPattern": pattern}), EVENT) is result


def test_a_disabled_rule_and_a_schedule_do_not_fire() -> None:
    assert not fires(only("AWS::Events::Rule", {"EventPattern": {}, "State": "DISABLED"}), EVENT)
    assert not fires(only("AWS::Events::Rule", {"ScheduleExpression": "rate(1 day)"}), EVENT)


def test_an_unknown_comparison_is_no_match_but_an_error() -> None:
    with pytest.raises(UsageError, match="cidr"):
        fires(only("AWS::Events::Rule", {"EventPattern": {"source": [{"cidr": "10.0.0.0/8"}]}}), EVENT)


def test_widgets_read_shorthand_searches_and_expressions() -> None:
    rows: list[list[Any]] = [
        ["AWS/Lambda", "Errors", "FunctionName", "a", {"stat": "Sum"}],
        [".", "Throttles", ".", "."],
        ["...", "b"],
        [{"expression": "SEARCH('{Tapehouse,Environment,Dataset} MetricName=\"RowsIn\" Environment=\"test\"', 'Sum')"}],
        [{"expression": "m1 + m2"}],
    ]
    body = {
        "widgets": [
            {"type": "metric", "properties": {"title": "t", "metrics": rows}},
            {"type": "text", "properties": {"markdown": "# x"}},
            {"type": "metric", "properties": {"annotations": {}}},
        ]
    }
    board = only("AWS::CloudWatch::Dashboard", {"DashboardBody": json.dumps(body)})
    (widget,) = widgets(board)
    assert widget.metrics == {
        Metric("AWS/Lambda", "Errors", (("FunctionName", "a"),)),
        Metric("AWS/Lambda", "Throttles", (("FunctionName", "a"),)),
        Metric("AWS/Lambda", "Throttles", (("FunctionName", "b"),)),
        Metric("Tapehouse", "RowsIn", (("Dataset", "*"), ("Environment", "test"))),
    }
    assert len(widget.expressions) == 2


def test_a_bucket_that_nothing_shows_a_use_of_is_known_by_its_name() -> None:
    found = Stacks(
        {"main": {"Resources": {"B": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "tape-lake-raw-test"}}}}},
        Facts("tape", "lake", "test", "a1"),
    )
    assert [one.id for one in stage(found, "raw")] == ["B"]
    assert stage(found, "curated") == []

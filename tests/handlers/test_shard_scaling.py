"""Streams that follow their volume: the arithmetic, and the calls."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tapehouse.handlers import shard_scaling
from tapehouse.handlers.shard_scaling import Load, scale, shards_for

QUIET = Load(0, 0, 0)


@pytest.mark.parametrize(
    ("load", "shards", "bounds", "expected"),
    [
        pytest.param(QUIET, 4, (4, 8), 4, id="never below what is planned"),
        pytest.param(Load(2_800_000, 0, 0), 4, (4, 8), 4, id="full to 70 %"),
        pytest.param(Load(2_800_001, 0, 0), 4, (4, 8), 5, id="a byte more"),
        pytest.param(Load(0, 2_801, 0), 4, (4, 8), 5, id="records count as well"),
        pytest.param(Load(0, 0, 1), 4, (4, 8), 8, id="refused: twice as many"),
        pytest.param(Load(0, 0, 1), 6, (4, 8), 8, id="refused: no more than allowed"),
        pytest.param(Load(0, 0, 1), 8, (4, 8), 8, id="refused at the bound: nothing is left to do"),
        pytest.param(Load(50e6, 0, 0), 4, (4, 100), 8, id="one step at most doubles"),
        pytest.param(QUIET, 16, (4, 32), 8, id="one step at most halves"),
        pytest.param(Load(2_400_000, 0, 0), 5, (1, 8), 5, id="four in place of five is not worth a change"),
        pytest.param(Load(2_000_000, 0, 0), 4, (1, 8), 3, id="three in place of four is"),
        pytest.param(QUIET, 3, (1, 8), 2, id="an odd number is halved upwards"),
    ],
)
def test_shards_for(load: Load, shards: int, bounds: tuple[int, int], expected: int) -> None:
    assert shards_for(load, shards, bounds) == expected


@given(
    st.builds(Load, st.floats(0, 1e9), st.floats(0, 1e6), st.floats(0, 1e6)),
    st.integers(1, 5_000),
    st.integers(1, 1_000),
    st.integers(1, 10),
)
def test_a_step_is_one_that_the_service_allows(load: Load, shards: int, fewest: int, factor: int) -> None:
    most = fewest * factor
    wanted = shards_for(load, shards, (fewest, most))
    assert shards / 2 <= wanted <= 2 * shards
    # From within the bounds a step never leads out of them.
    if fewest <= shards <= most:
        assert fewest <= wanted <= most


class Kinesis:
    """A stream that is as wide as it was told, and keeps what it was told."""

    def __init__(self, shards: dict[str, int], status: str = "ACTIVE", refuse: str = "") -> None:
        self.shards, self.status, self.refuse = shards, status, refuse

    def describe_stream_summary(self, **asked: Any) -> Any:
        summary = {"OpenShardCount": self.shards[asked["StreamName"]], "StreamStatus": self.status}
        return {"StreamDescriptionSummary": summary}

    def update_shard_count(self, **asked: Any) -> None:
        assert asked["ScalingType"] == "UNIFORM_SCALING"
        if asked["StreamName"] == self.refuse:
            raise ClientError({"Error": {"Code": "LimitExceededException", "Message": "ten a day"}}, "UpdateShardCount")
        self.shards[asked["StreamName"]] = asked["TargetShardCount"]


class CloudWatch:
    """Sums by stream and metric, whichever window is asked for; and the windows."""

    def __init__(self, **sums: list[float]) -> None:
        self.sums, self.windows = sums, {}

    def get_metric_statistics(self, **asked: Any) -> Any:
        assert asked["Namespace"] == "AWS/Kinesis"
        assert asked["Statistics"] == ["Sum"]
        self.windows[asked["MetricName"]] = asked["EndTime"] - asked["StartTime"]
        return {"Datapoints": [{"Sum": value} for value in self.sums.get(asked["MetricName"], [])]}


def test_a_stream_is_widened_by_its_busiest_five_minutes() -> None:
    kinesis = Kinesis({"tape": 2})
    cloudwatch = CloudWatch(IncomingBytes=[300 * 1e6, 300 * 2e6, 300 * 1e6])
    assert scale({"tape": (2, 4)}, kinesis, cloudwatch) == {"changed": {"tape": 3}}
    assert kinesis.shards == {"tape": 3}
    assert cloudwatch.windows["IncomingBytes"] == dt.timedelta(days=1)
    assert cloudwatch.windows["WriteProvisionedThroughputExceeded"] == dt.timedelta(minutes=15)


def test_the_second_of_two_invocations_does_nothing() -> None:
    kinesis, cloudwatch = Kinesis({"tape": 2}), CloudWatch(IncomingBytes=[300 * 2e6])
    scale({"tape": (2, 4)}, kinesis, cloudwatch)
    assert scale({"tape": (2, 4)}, kinesis, cloudwatch) == {"changed": {}}


def test_a_stream_that_is_being_changed_is_left_alone() -> None:
    kinesis = Kinesis({"tape": 2}, status="UPDATING")
    assert scale({"tape": (2, 4)}, kinesis, CloudWatch(WriteProvisionedThroughputExceeded=[5])) == {"changed": {}}


def test_one_that_cannot_be_changed_does_not_hold_up_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    kinesis = Kinesis({"a": 1, "b": 1}, refuse="a")
    with pytest.raises(RuntimeError, match=r"a: .*LimitExceeded"):
        scale({"a": (1, 2), "b": (1, 2)}, kinesis, CloudWatch(WriteProvisionedThroughputExceeded=[5]))
    assert kinesis.shards == {"a": 1, "b": 2}
    assert json.loads(capsys.readouterr().out)["changed"] == {"b": 2}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Clients of the process, as boto3 makes them, with the calls that they would send."""
    import boto3
    from botocore.stub import Stubber

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    clients = {name: boto3.client(name) for name in ("kinesis", "cloudwatch")}
    monkeypatch.setattr(boto3, "client", clients.__getitem__)
    with Stubber(clients["kinesis"]) as kinesis, Stubber(clients["cloudwatch"]) as cloudwatch:
        yield kinesis, cloudwatch


def test_the_handler_takes_its_bounds_from_the_environment(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With AWS's own models of the calls: a wrong parameter fails here."""
    kinesis, cloudwatch = server
    monkeypatch.setenv("TAPEHOUSE_SHARD_BOUNDS", '{"tape": [1, 2]}')
    summary = {
        "StreamName": "tape",
        "StreamARN": "arn:aws:kinesis:eu-central-1:111122223333:stream/tape",
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "EnhancedMonitoring": [],
        "OpenShardCount": 1,
    }
    kinesis.add_response("describe_stream_summary", {"StreamDescriptionSummary": summary}, {"StreamName": "tape"})
    for sums in ([1.0], [1.0], [7.0]):
        cloudwatch.add_response("get_metric_statistics", {"Datapoints": [{"Sum": one} for one in sums]})
    kinesis.add_response(
        "update_shard_count", {}, {"StreamName": "tape", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}
    )
    assert shard_scaling.handler({}, None) == {"changed": {"tape": 2}}
    kinesis.assert_no_pending_responses()
    cloudwatch.assert_no_pending_responses()

"""Widens streams that refuse their producers, and narrows them when the volume has gone.

Started by the alarms of refused records, and every hour for what an alarm does not tell: that it is still on after a
first step, and that there is far more room than is used. Nothing is kept between invocations: a second one finds the
stream being changed, or wide enough, and does nothing.

Environment: TAPEHOUSE_SHARD_BOUNDS, JSON of {stream: [fewest, most]}.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHARD_BYTES_PER_SECOND = 1_000_000
SHARD_RECORDS_PER_SECOND = 1_000
# A shard is meant to be used this far at the busiest: keys are never spread evenly.
UTILISATION = 0.7
# Fewer shards are taken only when that spares a quarter of them: a stream may be changed ten times a day.
WORTH_NARROWING = 0.75
PERIOD_SECONDS = 300
WINDOW_HOURS = 24
# Records refused longer ago are no reason: the stream may have been widened since.
REFUSED_WINDOW_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Load:
    """Of a stream: its busiest five minutes of the last day, per second, and records refused of late."""

    bytes_per_second: float
    records_per_second: float
    refused: float


def shards_for(load: Load, shards: int, bounds: tuple[int, int]) -> int:
    """How many shards a stream that has `shards` should have next, within its bounds. One step at most doubles or
    halves them, as the service allows.
    """
    fewest, most = bounds
    needed = max(
        math.ceil(load.bytes_per_second / (SHARD_BYTES_PER_SECOND * UTILISATION)),
        math.ceil(load.records_per_second / (SHARD_RECORDS_PER_SECOND * UTILISATION)),
        2 * shards if load.refused > 0 else 1,
    )
    wanted = min(max(needed, fewest), most)
    if wanted >= shards:
        return min(wanted, 2 * shards)
    return max(wanted, math.ceil(shards / 2)) if wanted <= WORTH_NARROWING * shards else shards


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Bring every stream to what it needs. Returns {stream: shards} of those that were changed.

    A stream that cannot be changed does not hold up the others; then the invocation fails, and tells all of them.
    """
    bounds = json.loads(os.environ["TAPEHOUSE_SHARD_BOUNDS"])
    return scale({name: (int(low), int(high)) for name, (low, high) in bounds.items()}, *_clients())


def scale(bounds: Mapping[str, tuple[int, int]], kinesis: Any, cloudwatch: Any) -> dict[str, Any]:
    """`handler`, with its clients."""
    from botocore.exceptions import ClientError

    changed: dict[str, int] = {}
    failed: list[str] = []
    for stream, limits in sorted(bounds.items()):
        try:
            shards = _scale(stream, limits, kinesis, cloudwatch)
        except ClientError as error:
            failed.append(f"{stream}: {error}")
            continue
        if shards is not None:
            changed[stream] = shards
    print(json.dumps({"changed": changed, "failed": failed}))
    if failed:
        raise RuntimeError("; ".join(failed))
    return {"changed": changed}


def _scale(stream: str, bounds: tuple[int, int], kinesis: Any, cloudwatch: Any) -> int | None:
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    if summary["StreamStatus"] != "ACTIVE":
        return None
    shards = int(summary["OpenShardCount"])
    wanted = shards_for(_load(stream, cloudwatch), shards, bounds)
    if wanted == shards:
        return None
    kinesis.update_shard_count(StreamName=stream, TargetShardCount=wanted, ScalingType="UNIFORM_SCALING")
    return wanted


def _load(stream: str, cloudwatch: Any) -> Load:
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(hours=WINDOW_HOURS)
    late = dt.timedelta(seconds=REFUSED_WINDOW_SECONDS)
    return Load(
        max(_sums(stream, "IncomingBytes", now - day, now, cloudwatch)) / PERIOD_SECONDS,
        max(_sums(stream, "IncomingRecords", now - day, now, cloudwatch)) / PERIOD_SECONDS,
        sum(_sums(stream, "WriteProvisionedThroughputExceeded", now - late, now, cloudwatch)),
    )


def _sums(stream: str, metric: str, start: dt.datetime, end: dt.datetime, cloudwatch: Any) -> Sequence[float]:
    found = cloudwatch.get_metric_statistics(
        Namespace="AWS/Kinesis",
        MetricName=metric,
        Dimensions=[{"Name": "StreamName", "Value": stream}],
        StartTime=start,
        EndTime=end,
        Period=PERIOD_SECONDS,
        Statistics=["Sum"],
    )
    return [0.0, *(float(point["Sum"]) for point in found["Datapoints"])]


def _clients() -> tuple[Any, Any]:
    import boto3

    return boto3.client("kinesis"), boto3.client("cloudwatch")

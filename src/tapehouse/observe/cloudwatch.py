"""A run's numbers as metrics of CloudWatch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from tapehouse import aws
from tapehouse.errors import TapehouseError, UsageError
from tapehouse.observe.delivery import Delivery

SCHEME = "cloudwatch:"
_NAMESPACE = re.compile(r"[A-Za-z0-9._/#-]{1,255}")
_DIMENSIONS = ("Environment", "Pipeline")
_DATUMS_AT_ONCE = 1000
_UNITS = {"Completeness": "Percent", "FreshnessSeconds": "Seconds", "LatencySeconds": "Seconds", "BytesIn": "Bytes"}


@dataclass(frozen=True, slots=True)
class CloudWatch:
    """A namespace, and the dimensions that every metric has besides `Dataset`."""

    namespace: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, target: str) -> CloudWatch:
        """For `cloudwatch:NAMESPACE?Environment=..&Pipeline=..`. Raises UsageError for anything else."""
        namespace, _, query = target.removeprefix(SCHEME).partition("?")
        given = dict(parse_qsl(query))
        wrong = not target.startswith(SCHEME) or not _NAMESPACE.fullmatch(namespace) or namespace.startswith("AWS/")
        if wrong or set(given) != set(_DIMENSIONS):
            raise UsageError(
                f"metrics: {target!r} is not understood",
                fix="write cloudwatch:NAMESPACE?Environment=NAME&Pipeline=NAME",
            )
        return cls(namespace, tuple((name, given[name]) for name in _DIMENSIONS))

    def tell(self, dataset: str, values: Mapping[str, float], at: datetime) -> Delivery:
        """Put one value of each metric. Never raises."""
        target = f"{SCHEME}{self.namespace}"
        dimensions = [{"Name": name, "Value": value} for name, value in (*self.dimensions, ("Dataset", dataset))]
        data: list[dict[str, Any]] = [
            {
                "MetricName": name,
                "Dimensions": dimensions,
                "Timestamp": at,
                "Value": float(value),
                "Unit": _UNITS.get(name, "Count"),
            }
            for name, value in values.items()
        ]
        try:
            client = aws.client("cloudwatch", patient=False)
            for start in range(0, len(data), _DATUMS_AT_ONCE):
                client.put_metric_data(Namespace=self.namespace, MetricData=data[start : start + _DATUMS_AT_ONCE])
        except TapehouseError as error:
            return Delivery(target, delivered=False, warning=f"{target}: {error.message}")
        except Exception as error:  # boto3 raises types of its own, and telling must not stop a run
            return Delivery(target, delivered=False, warning=f"{target}: {error}")
        return Delivery(target, delivered=True)

"""CloudWatch metrics in the embedded format: a line in the log that the service turns into metrics, at no call."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping

NAMESPACE = "Tapehouse"
_UNITS = {
    "Completeness": "Percent",
    "FreshnessSeconds": "Seconds",
    "LatencySeconds": "Seconds",
    "BytesIn": "Bytes",
}


def emit(environment: str, pipeline: str, dataset: str, values: Mapping[str, float]) -> None:
    """One value of each metric, with the dimensions that all our metrics have."""
    dimensions = {"Environment": environment, "Pipeline": pipeline, "Dataset": dataset}
    declared = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": declared}
    line = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}, **dimensions, **values}
    print(json.dumps(line), file=sys.stdout, flush=True)

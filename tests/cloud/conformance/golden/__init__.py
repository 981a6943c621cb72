"""A deployment written by hand, as plain as it can be while it meets every row: what the checks are developed against,
so that neither they nor their mutants depend on the constructs.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from tapehouse.cloud.conformance.stacks import Deployment, Facts, Stacks

from .compute import compute
from .data import data
from .network import network
from .parts import Kind, name, outputs, tagged
from .security import security
from .watching import watching

DATASETS = ("trades",)


def golden(blueprint: str) -> Deployment:
    """Both environments of a blueprint."""
    streamed = blueprint == "market-stream"
    return Deployment(blueprint, _stacks(streamed, "test"), _stacks(streamed, "prod"))


def _stacks(streamed: bool, environment: str) -> Stacks:
    kind = Kind("stream" if streamed else "lake", environment, streamed)
    main: dict[str, Any] = {"Resources": {}}
    for part in (security, network, data, compute):
        main["Resources"].update(part(kind))
    main["Outputs"] = outputs(kind, main["Resources"])
    monitoring: dict[str, Any] = {"Resources": watching(kind)}
    monitoring["Outputs"] = outputs(kind, monitoring["Resources"], "monitoring-")
    for template in (main, monitoring):
        tagged(kind, template["Resources"])
    facts = Facts(
        application="tape",
        service=kind.service,
        environment=environment,
        suffix="a1",
        datasets=DATASETS,
        volume=50e12 if streamed else 1e9,
        peak_factor=2.0,
        as_of=date(2026, 11, 27),
    )
    stack = f"tape-{kind.service}-{environment}-a1"
    return Stacks({stack: main, f"{stack}-monitoring": monitoring}, facts)


__all__ = ["DATASETS", "golden", "name"]

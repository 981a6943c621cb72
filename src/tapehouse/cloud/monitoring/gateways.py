"""Alarms of NAT gateways. They get their ids when they are made, so these alarms stand beside them, in their stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapehouse.cloud.monitoring.alarms import Bound, Missing, Watch
from tapehouse.cloud.monitoring.metrics import Metrics

DROPPED_PACKETS = 100


def gateway_purposes(count: int) -> list[str]:
    """Of the alarms of so many gateways."""
    return [f"nat-{number}-{what}" for number in range(count) for what in ("ports", "drops")]


def gateway_watches(metrics: Metrics, gateway_ids: Sequence[str]) -> Iterator[Watch]:
    """Alarms of these gateways."""
    for number, gateway in enumerate(gateway_ids):
        yield Watch(
            f"nat-{number}-ports", "Connections to one address are more than a gateway has ports for.",
            metrics.gateway("ErrorPortAllocation", gateway), Bound.ABOVE, 0, Missing.FINE,
        )  # fmt: skip
        yield Watch(
            f"nat-{number}-drops", "The gateway drops packets; AWS says to look for its own troubles.",
            metrics.gateway("PacketsDropCount", gateway), Bound.ABOVE, DROPPED_PACKETS, Missing.FINE, 3, 2,
        )  # fmt: skip

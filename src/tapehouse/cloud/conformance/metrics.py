"""Metrics in alarms and dashboards, in one form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import ALARM, listed


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; of a search expression, only what the expression says."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @property
    def values(self) -> set[str]:
        """Values of its dimensions."""
        return {value for _, value in self.dimensions}

    def of(self, dimension: str) -> str | None:
        """Value of one dimension."""
        return dict(self.dimensions).get(dimension)

    @property
    def custom(self) -> bool:
        """Whether it is ours to name: neither AWS's nor Glue's own."""
        return not self.namespace.startswith("AWS/") and self.namespace != "Glue"


@dataclass(frozen=True, slots=True)
class Watch:
    """An alarm: the metrics it reads and the expressions it computes."""

    resource: Resource
    metrics: tuple[Metric, ...]
    expressions: tuple[str, ...] = ()

    @property
    def comparison(self) -> str:
        return str(self.resource.get("ComparisonOperator", ""))


@dataclass(frozen=True, slots=True)
class Widget:
    """A dashboard's graph or number of metrics."""

    title: str
    metrics: frozenset[Metric]
    expressions: tuple[str, ...] = field(default=())


_SEARCH = re.compile(r"\{\s*\"?([^,}\"]+)\"?\s*(?:,([^}]*))?\}")
_SEARCH_NAME = re.compile(r'MetricName\s*=\s*"?([\w.]+)"?')
_SEARCH_PAIR = re.compile(r'(\w+)\s*=\s*"([^"]+)"')


def alarms(stacks: Stacks) -> list[Watch]:
    """Metric alarms of all stacks."""
    return [_watch(one) for one in stacks.of(ALARM)]


def _watch(alarm: Resource) -> Watch:
    found: list[Metric] = []
    expressions: list[str] = []
    if alarm.get("MetricName"):
        found.append(_metric(alarm.properties))
    for query in listed(alarm.get("Metrics")):
        if "MetricStat" in query:
            found.append(_metric(query["MetricStat"]["Metric"]))
        elif "Expression" in query:
            expressions.append(str(query["Expression"]))
            found.extend(_searched(expressions[-1]))
    return Watch(alarm, tuple(found), tuple(expressions))


def _metric(body: Mapping[str, Any]) -> Metric:
    pairs = sorted((str(one["Name"]), str(one["Value"])) for one in listed(body.get("Dimensions")))
    return Metric(str(body.get("Namespace", "")), str(body.get("MetricName", "")), tuple(pairs))


def widgets(dashboard: Resource) -> Iterator[Widget]:
    """Metric widgets of a dashboard (texts and alarm states are none)."""
    body = dashboard.get("DashboardBody", "{}")
    for one in json.loads(body).get("widgets", []) if isinstance(body, str) else body.get("widgets", []):
        properties = one.get("properties", {})
        if one.get("type") == "metric" and properties.get("metrics"):
            found, expressions = _lines(properties["metrics"])
            yield Widget(str(properties.get("title", "")), frozenset(found), tuple(expressions))


def _lines(rows: list[list[Any]]) -> tuple[list[Metric], list[str]]:
    found: list[Metric] = []
    expressions: list[str] = []
    previous: list[str] = []
    for row in rows:
        options = row[-1] if row and isinstance(row[-1], Mapping) else {}
        if "expression" in options:
            expressions.append(str(options["expression"]))
            found.extend(_searched(expressions[-1]))
            continue
        parts = _unabridged([str(part) for part in row if not isinstance(part, Mapping)], previous)
        previous = parts
        pairs = sorted(zip(parts[2::2], parts[3::2], strict=False))
        found.append(Metric(parts[0], parts[1] if len(parts) > 1 else "", tuple(pairs)))
    return found, expressions


def _unabridged(row: list[str], previous: list[str]) -> list[str]:
    """A dashboard's line in full: `.` repeats one part of the line above, `...` all that come before the rest."""
    if row and row[0] == "...":
        return previous[: len(previous) - len(row) + 1] + row[1:]
    return [previous[index] if part == "." and index < len(previous) else part for index, part in enumerate(row)]


def _searched(expression: str) -> Iterator[Metric]:
    if "SEARCH(" not in expression:
        return
    space, name = _SEARCH.search(expression), _SEARCH_NAME.search(expression)
    if space and name:
        named = {key: value for key, value in _SEARCH_PAIR.findall(expression) if key != "MetricName"}
        for dimension in (space.group(2) or "").split(","):
            named.setdefault(dimension.strip().strip('"'), "*")
        yield Metric(space.group(1).strip(), name.group(1), tuple(sorted((k, v) for k, v in named.items() if k)))


def shown(stacks: Stacks) -> list[Widget]:
    """Metric widgets of all dashboards."""
    return [one for board in stacks.of("AWS::CloudWatch::Dashboard") for one in widgets(board)]


def on_widgets(stacks: Stacks, name: str, value: str) -> bool:
    """Whether a widget shows the metric of that name with a dimension of that value."""
    return any(metric.name == name and value in metric.values for one in shown(stacks) for metric in one.metrics)


def alarmed(stacks: Stacks, name: str, value: str) -> bool:
    """Whether an alarm reads the metric of that name with a dimension of that value."""
    return any(metric.name == name and value in metric.values for one in alarms(stacks) for metric in one.metrics)

"""Dashboards: rows of widgets, as data, and the body that CloudWatch takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tapehouse.cloud.monitoring.metrics import Formula, Metric
from tapehouse.errors import UsageError

# CloudWatch's own limits. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
WIDGETS_MAX = 500
WIDGET_METRICS_MAX = 500
COLUMNS = 24
_HEIGHT = 6
_TITLE_HEIGHT = 1


@dataclass(frozen=True, slots=True)
class Graph:
    """Lines over time. `bound` draws a horizontal line where an alarm goes off; `unit` labels the axis."""

    title: str
    lines: Sequence[Metric | Formula]
    unit: str = ""
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """Lines of whatever matches a search expression: things whose ids nobody knows before they are made."""

    title: str
    expression: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class States:
    """The states of alarms, by their names for `Fn::Sub`."""

    title: str
    alarms: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and what stands below it, each as wide as the others, four in a line."""

    title: str
    widgets: Sequence[Graph | Search | States]


def body(rows: Iterable[Row], name: str) -> str:
    """JSON of a dashboard, for `Fn::Sub`. UsageError when it has more widgets than CloudWatch takes."""
    widgets: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        placed = list(_placed(row, top))
        widgets.extend(placed)
        top = placed[-1]["y"] + placed[-1]["height"]
    if len(widgets) > WIDGETS_MAX:
        raise UsageError(
            f"dashboard {name} would have {len(widgets)} widgets, and CloudWatch takes {WIDGETS_MAX}",
            fix="deploy the contracts in two deployments, each with a suffix of its own",
        )
    return json.dumps({"periodOverride": "auto", "widgets": widgets}, separators=(",", ":"))


def _placed(row: Row, top: int) -> Iterator[dict[str, Any]]:
    yield _at(0, top, COLUMNS, _TITLE_HEIGHT, "text", {"markdown": f"## {row.title}"})
    top += _TITLE_HEIGHT
    for start in range(0, len(row.widgets), 4):
        line = row.widgets[start : start + 4]
        width = COLUMNS // len(line)
        for place, widget in enumerate(line):
            kind, properties = _drawn(widget)
            yield _at(place * width, top, width, _HEIGHT, kind, properties)
        top += _HEIGHT


def _at(x: int, y: int, width: int, height: int, kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "x": x, "y": y, "width": width, "height": height, "properties": properties}


def _drawn(widget: Graph | Search | States) -> tuple[str, dict[str, Any]]:
    if isinstance(widget, States):
        prefix = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:"
        return "alarm", {"title": widget.title, "alarms": [prefix + name for name in widget.alarms]}
    shared: dict[str, Any] = {"title": widget.title, "region": "${AWS::Region}", "view": "timeSeries"}
    if widget.unit:
        shared["yAxis"] = {"left": {"label": widget.unit, "showUnits": False, "min": 0}}
    if isinstance(widget, Search):
        return "metric", {**shared, "metrics": [[{"expression": widget.expression, "id": "e0"}]]}
    if widget.bound is not None:
        shared["annotations"] = {"horizontal": [{"label": "alarm", "value": widget.bound}]}
    return "metric", {**shared, "metrics": [line for one in enumerate(widget.lines) for line in _line(*one)]}


def _line(number: int, one: Metric | Formula) -> Iterator[list[Any]]:
    if isinstance(one, Metric):
        yield _series(one, {"label": one.label} if one.label else {})
        return
    # Ids are of the whole widget, so those of a formula get its number.
    renamed = {name: f"{name}{number}" for name in (*one.inputs, *one.steps)}
    for step, text in one.steps.items():
        yield [{"expression": _renamed(text, renamed), "id": renamed[step], "visible": False}]
    for name, metric in one.inputs.items():
        yield _series(metric, {"id": renamed[name], "visible": False})
    yield [{"expression": _renamed(one.expression, renamed), "id": f"e{number}", "label": one.label}]


def _series(metric: Metric, options: dict[str, Any]) -> list[Any]:
    pairs = [part for pair in metric.dimensions for part in pair]
    return [metric.namespace, metric.name, *pairs, {"stat": metric.statistic, "period": metric.seconds, **options}]


def _renamed(expression: str, names: dict[str, str]) -> str:
    import re

    return re.sub(r"\b[a-z]\w*\b", lambda found: names.get(found[0], found[0]), expression)

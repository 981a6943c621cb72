"""Widgets as data, and the body that CloudWatch takes."""

from __future__ import annotations

import json

import pytest

from tapehouse.cloud.monitoring.dashboards import Graph, Row, Search, States, body
from tapehouse.cloud.monitoring.metrics import Formula, Metric, Metrics
from tapehouse.errors import UsageError

METRICS = Metrics("test-a1", "stream")
ROWS = METRICS.own("RowsIn", "trades")


def test_rows_are_stacked_and_widgets_share_a_line() -> None:
    graph = Graph("Rows", [ROWS])
    made = json.loads(body([Row("First", [graph] * 5), Row("Second", [graph])], "board"))["widgets"]
    assert [(one["x"], one["y"], one["width"]) for one in made] == [
        (0, 0, 24), (0, 1, 6), (6, 1, 6), (12, 1, 6), (18, 1, 6), (0, 7, 24), (0, 13, 24), (0, 14, 24),
    ]  # fmt: skip
    assert made[0]["properties"] == {"markdown": "## First"}


def test_a_metric_is_written_with_its_dimensions_statistic_and_label() -> None:
    (widget,) = json.loads(body([Row("R", [Graph("Rows", [ROWS.labelled("rows")], "count", 5)])], "board"))["widgets"][
        1:
    ]
    assert widget["properties"]["metrics"] == [
        [
            "Tapehouse", "RowsIn", "Dataset", "trades", "Environment", "test-a1", "Pipeline", "stream",
            {"stat": "Sum", "period": 300, "label": "rows"},
        ]
    ]  # fmt: skip
    assert widget["properties"]["yAxis"]["left"]["label"] == "count"
    assert widget["properties"]["annotations"]["horizontal"][0]["value"] == 5
    assert widget["properties"]["region"] == "${AWS::Region}"


def test_formulas_of_one_widget_do_not_share_ids() -> None:
    share = Formula("IF(a>0, 100*step/a, 0)", {"a": ROWS}, "%", {"step": "FILL(a,0)"})
    (widget,) = json.loads(body([Row("R", [Graph("Shares", [share, share])])], "board"))["widgets"][1:]
    lines = widget["properties"]["metrics"]
    ids = [line[-1]["id"] for line in lines]
    assert len(set(ids)) == len(ids) == 6
    assert lines[2] == [{"expression": "IF(a0>0, 100*step0/a0, 0)", "id": "e0", "label": "%"}]
    assert lines[0] == [{"expression": "FILL(a0,0)", "id": "step0", "visible": False}]
    assert lines[1][-1]["visible"] is False


def test_alarm_states_and_searches() -> None:
    made = json.loads(body([Row("R", [States("S", ["a-${AWS::Region}"]), Search("F", "SEARCH(x)", "bytes")])], "b"))
    states, search = made["widgets"][1:]
    assert states["type"] == "alarm"
    assert states["properties"]["alarms"] == [
        "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:a-${AWS::Region}"
    ]
    assert search["properties"]["metrics"] == [[{"expression": "SEARCH(x)", "id": "e0"}]]


def test_more_widgets_than_cloudwatch_takes_are_refused() -> None:
    rows = [Row("R", [Graph("Rows", [ROWS])] * 100)] * 5
    with pytest.raises(UsageError, match="505 widgets, and CloudWatch takes 500") as refused:
        body(rows, "board")
    assert "two deployments" in refused.value.fix


def test_own_metrics_always_carry_the_environment() -> None:
    assert dict(ROWS.dimensions) == {"Environment": "test-a1", "Pipeline": "stream", "Dataset": "trades"}


def test_periods_are_kept_apart_from_what_is_measured() -> None:
    assert ROWS.every(60) == Metric("Tapehouse", "RowsIn", ROWS.dimensions, "Sum", 60)
    assert Formula("a", {"a": ROWS.every(60)}, "a").seconds == 60

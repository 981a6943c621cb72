"""Alarms: a metric, a bound, and somebody who is told. There is no way to make one without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aws_cdk import Fn, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from tapehouse.cloud.monitoring.metrics import Formula, Metric
from tapehouse.cloud.naming import Naming
from tapehouse.errors import UsageError

NAME_LIMIT = 255
# Of a composite alarm's rule.
CHILDREN_MAX = 100


class Missing(StrEnum):
    """What no data means. Each alarm says it: there is no default that is right for most.

    FINE: nothing happened, which is well. BAD: something should always happen. UNKNOWN: the last state stands.
    """

    FINE = "notBreaching"
    BAD = "breaching"
    UNKNOWN = "ignore"


class Bound(StrEnum):
    """On which side of its threshold a value is bad."""

    ABOVE = "GreaterThanThreshold"
    AT_LEAST = "GreaterThanOrEqualToThreshold"
    BELOW = "LessThanThreshold"


@dataclass(frozen=True, slots=True)
class Watch:
    """An alarm as data. `purpose` becomes part of its name; it goes off when `points` of the last `periods` values are
    bad. `description` tells who is called at night what it means.
    """

    purpose: str
    description: str
    metric: Metric | Formula
    bound: Bound
    threshold: float
    missing: Missing
    periods: int = 1
    points: int = 1


class AlarmFactory:
    """Makes alarms in `scope` that tell a topic when they go off and when they are over. `topic` is its ARN: a token,
    or a text for `Fn::Sub`.
    """

    def __init__(self, scope: Construct, naming: Naming, topic: str) -> None:
        self._scope = scope
        self._naming = naming
        self._texts: dict[str, str] = {}
        self._topic = self._sub(topic)

    def make(self, watch: Watch) -> cloudwatch.CfnAlarm:
        """The alarm."""
        shared: dict[str, Any] = {
            "alarm_name": self._sub(self.name(watch.purpose)),
            "alarm_description": watch.description,
            "comparison_operator": watch.bound.value,
            "threshold": watch.threshold,
            "evaluation_periods": watch.periods,
            "datapoints_to_alarm": watch.points,
            "treat_missing_data": watch.missing.value,
            "alarm_actions": [self._topic],
            "ok_actions": [self._topic],
        }
        source = self._formula(watch.metric) if isinstance(watch.metric, Formula) else self._metric(watch.metric)
        return cloudwatch.CfnAlarm(self._scope, _camel(watch.purpose), **shared, **source)

    def composite(self, purpose: str, description: str, children: Sequence[str]) -> cloudwatch.CfnCompositeAlarm:
        """An alarm that is on while one of the alarms of those purposes is; at most `CHILDREN_MAX`."""
        if len(children) > CHILDREN_MAX:
            raise UsageError(
                f"alarm {purpose} would watch {len(children)} alarms, and CloudWatch takes {CHILDREN_MAX}",
                fix="deploy the contracts in two deployments, each with a suffix of its own",
            )
        rule = " OR ".join(f'ALARM("{self.name(child)}")' for child in children)
        return cloudwatch.CfnCompositeAlarm(
            self._scope,
            _camel(purpose),
            alarm_name=self._sub(self.name(purpose)),
            alarm_description=description,
            alarm_rule=str(Fn.sub(rule)),
            alarm_actions=[self._topic],
            ok_actions=[self._topic],
        )

    def name(self, purpose: str) -> str:
        """Name of the alarm of that purpose, for `Fn::Sub`."""
        return self._naming.text(purpose, limit=NAME_LIMIT)

    def _metric(self, metric: Metric) -> dict[str, Any]:
        # What is no plain statistic is a percentile.
        kind = "extended_statistic" if metric.statistic.startswith("p") else "statistic"
        return {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "dimensions": self._dimensions(metric),
            kind: metric.statistic,
            "period": metric.seconds,
        }

    def _formula(self, formula: Formula) -> dict[str, Any]:
        own = cloudwatch.CfnAlarm
        queries = [
            own.MetricDataQueryProperty(id="result", expression=formula.expression, label=formula.label),
            *(
                own.MetricDataQueryProperty(id=step, expression=text, return_data=False)
                for step, text in formula.steps.items()
            ),
        ]
        for name, metric in formula.inputs.items():
            series = own.MetricProperty(
                namespace=metric.namespace, metric_name=metric.name, dimensions=self._dimensions(metric)
            )
            stat = own.MetricStatProperty(metric=series, period=metric.seconds, stat=metric.statistic)
            queries.append(own.MetricDataQueryProperty(id=name, metric_stat=stat, return_data=False))
        return {"metrics": queries}

    def _dimensions(self, metric: Metric) -> list[cloudwatch.CfnAlarm.DimensionProperty]:
        return [
            cloudwatch.CfnAlarm.DimensionProperty(name=name, value=self._sub(value))
            for name, value in metric.dimensions
        ]

    def _sub(self, text: str) -> str:
        # A token is what it is; a text with pseudo parameters becomes one.
        if "${" not in text or Token.is_unresolved(text):
            return text
        if text not in self._texts:
            self._texts[text] = str(Fn.sub(text))
        return self._texts[text]


def _camel(purpose: str) -> str:
    return "".join(word.capitalize() for word in purpose.split("-"))

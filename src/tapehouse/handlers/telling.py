"""What functions tell people and CloudWatch of the rows they have judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tapehouse.handlers import metrics
from tapehouse.handlers.judging import Dataset, Exceeded, Findings
from tapehouse.handlers.surroundings import Surroundings, log
from tapehouse.observe.alerts import Alert, AlertLevel, SnsSink

# A rule that is broken in every batch of a shard is told once in this time by each process, not once a batch.
QUIET_SECONDS = 60


class Telling:
    """Alerts of one process. `clock` is in seconds."""

    def __init__(self, here: Surroundings, sns: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._here, self._clock = here, clock
        self._sink = SnsSink(here.alert_topic, sns) if here.alert_topic else None
        self._told: dict[tuple[str, str], float] = {}

    def judged(self, dataset: Dataset, findings: Findings, place: str, *, part: bool = False) -> None:
        """How old the newest row is, and an alert where more rows break a rule than the contract allows. `place` is
        where they have landed; `part` says that they are only the beginning of what has.

        Rows are counted by the run that takes them: it judges all of them, and proves its counts.
        """
        if not findings.rows:
            return
        if findings.newest_ns is not None:
            self.count(dataset.name, {"FreshnessSeconds": max(0.0, time.time() - findings.newest_ns / 1e9)})
        self._alert(dataset, dataset.exceeded(findings), place, part=part)

    def count(self, dataset: str, values: dict[str, float]) -> None:
        """Metrics of a dataset."""
        metrics.emit(self._here.environment, self._here.pipeline, dataset, values)

    def _alert(self, dataset: Dataset, exceeded: Sequence[Exceeded], place: str, *, part: bool) -> None:
        now = self._clock()
        rules = []
        for one in exceeded:
            last = self._told.get((dataset.name, one.code))
            if last is None or now - last >= QUIET_SECONDS:
                self._told[dataset.name, one.code] = now
                rules.append(one)
        if not rules:
            return
        facts = {
            "environment": self._here.environment,
            "pipeline": self._here.pipeline,
            "dataset": dataset.name,
            "contract": dataset.contract.name,
            "version": dataset.contract.version,
            "place": place,
            "judged": "the beginning" if part else "all",
            "rules": [
                {
                    "code": one.code or "(all rejected rows)",
                    "count": one.count,
                    "rows": one.rows,
                    "share": one.share,
                    "bound": one.bound,
                }
                for one in rules
            ],
        }
        worst = max(rules, key=lambda one: one.share)
        what = f"rule {worst.code}" if worst.code else "rejected rows"
        title = f"{dataset.name}: {what} {worst.count} of {worst.rows} rows, bound {worst.bound:.2%}"
        alert = Alert(AlertLevel.WARNING, title, place, facts)
        delivery = None if self._sink is None else self._sink.send(alert)
        log("quality", told=bool(delivery and delivery.delivered), warning=delivery and delivery.warning, **facts)

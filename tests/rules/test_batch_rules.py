"""Rules on a whole batch: control totals, freshness, and batches unlike those before."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tapehouse.contracts.model import BatchRule, Contract, Severity
from tapehouse.contracts.rules import registry
from tapehouse.kernel.batch_rules import BatchTotals, judge_batch

HOUR = 3600 * 10**9


@pytest.fixture
def judged(bench):
    def judge(
        implementation: dict[str, Any],
        totals: BatchTotals,
        history: list[BatchTotals] | None = None,
        landed_ns: int = 0,
    ):
        kind = registry()[implementation["rule"]]
        params = {key: value for key, value in implementation.items() if key != "rule"}
        jsonschema.validate(params, dict(kind.schema))
        assert kind.build(bench.scope, None, params).broken is None
        rule = BatchRule("code", kind.name, params, Severity.WARN)
        base = bench.contract()
        contract = Contract("c", "c", "1", "", "", base.columns, (), (rule,))
        (finding,) = judge_batch(contract, totals, history or [], landed_ns)
        assert (finding.code, finding.severity) == ("code", Severity.WARN)
        return finding

    return judge


HISTORY = [BatchTotals(rows, {"size": rows * 10, "price": rows * 10_000}) for rows in (100, 90, 5000, 110, 100)]


def test_row_count_against_the_median(judged) -> None:
    rule = {"rule": "row_count_anomaly"}
    assert [judged(rule, BatchTotals(rows), HISTORY).broken for rows in (49, 50, 200, 201)] == [
        True,
        False,
        False,
        True,
    ]
    finding = judged(rule, BatchTotals(49), HISTORY)
    assert (finding.observed, finding.bound) == ("49", "between 50.0 and 200.0 (median 100 of 5 batches)")


def test_too_little_history_is_said_not_guessed(judged) -> None:
    finding = judged({"rule": "row_count_anomaly"}, BatchTotals(0), HISTORY[:4])
    assert not finding.broken
    assert not finding.judged
    assert finding.bound == "not judged: 4 of 5 batches of history"
    assert judged({"rule": "row_count_anomaly", "minHistory": 4}, BatchTotals(0), HISTORY[:4]).broken


def test_only_the_last_batches_count(judged) -> None:
    rule = {"rule": "row_count_anomaly", "window": 1, "minHistory": 1}
    assert not judged(rule, BatchTotals(5000), HISTORY[:3]).broken
    assert judged(rule, BatchTotals(5000), HISTORY).broken


def test_volume_is_written_at_its_scale(judged) -> None:
    assert not judged({"rule": "volume_anomaly"}, BatchTotals(1, {"size": 1000}), HISTORY).broken
    finding = judged({"rule": "volume_anomaly", "column": "price"}, BatchTotals(1, {"price": 12_345}), HISTORY)
    assert finding.broken
    assert (finding.observed, finding.bound) == (
        "1.2345",
        "between 50.0000 and 200.0000 (median 100.0000 of 5 batches)",
    )


def test_freshness(judged) -> None:
    rule = {"rule": "freshness", "max": "1h"}
    assert not judged(rule, BatchTotals(1, last_event_ns=0), landed_ns=HOUR).broken
    finding = judged(rule, BatchTotals(1, last_event_ns=0), landed_ns=HOUR + 500_000_000)
    assert finding.broken
    assert (finding.observed, finding.bound) == ("3600.5s", "latest event at most 1h before landing")
    assert judged(rule, BatchTotals(0)).broken


def test_fixed_control_totals(judged) -> None:
    rule = {"rule": "control_total", "rows": 2, "sums": {"price": "3.5", "size": 30}}
    assert not judged(rule, BatchTotals(2, {"price": 35_000, "size": 30})).broken
    finding = judged(rule, BatchTotals(2, {"price": 35_001, "size": 30}))
    assert finding.broken
    assert finding.observed == "rows=2, price=3.5001, size=30"
    assert finding.bound == "rows=2, price=3.5, size=30"
    assert judged(rule, BatchTotals(3, {"price": 35_000, "size": 30})).broken
    assert judged({"rule": "control_total", "rows": 0}, BatchTotals(1)).broken


def test_totals_stated_by_a_trailer(judged) -> None:
    rule = {"rule": "control_total", "rowsFrom": "count", "sumsFrom": {"price": "total"}}
    sums = {"price": 35_000}
    assert not judged(rule, BatchTotals(2, sums, stated={"count": "2", "total": "3.50"})).broken
    assert judged(rule, BatchTotals(2, sums, stated={"count": "2", "total": "3.51"})).broken
    assert judged(rule, BatchTotals(2, sums, stated={"count": "2", "total": "three"})).broken
    missing = judged(rule, BatchTotals(2, sums, stated={"count": "2"}))
    assert missing.broken
    assert missing.bound == "rows=2, price=not stated in the batch"

"""The compiled rules against a naive evaluator: one row at a time, in plain Python, straight from the definitions.

Trees and frames are generated, with the extremes of 64 bits among the numbers, so that a product that wraps or a sum
that is rounded shows; and every batch is also judged in random slices, which must change nothing.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import HealthCheck, given, note, settings
from naive import Naive
from trees import BATCH, BATCH_TESTS, CONDITIONS, LISTINGS

from tapehouse.contracts import expr as e
from tapehouse.contracts.model import RowRule
from tapehouse.kernel.verdict import Judge, JudgeState

TRIALS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def references(bench):
    return bench.references(listings=LISTINGS)


def _frame(bench, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return bench.frame({name: [row[name] for row in rows] for name in rows[0]})


def _expected(conditions: list[e.Expr], rows: list[dict[str, Any]]) -> list[int]:
    naive = Naive(rows)
    return [sum(1 << i for i, node in enumerate(conditions) if naive.value(node, at)) for at in range(len(rows))]


def _rules(conditions: list[e.Expr]) -> tuple[RowRule, ...]:
    return tuple(RowRule(f"rule_{i}", "test", node, observed=e.Null()) for i, node in enumerate(conditions))


@TRIALS
@given(st.lists(CONDITIONS, min_size=1, max_size=3), BATCH, st.data())
def test_ordered_rules_whole_and_in_slices(bench, references, conditions, rows, data) -> None:
    note("\n".join(map(str, conditions)))
    judge = Judge(bench.contract(*_rules(conditions)), references)
    frame, expected = _frame(bench, rows), _expected(conditions, rows)
    whole = judge.verdict(judge.annotate(frame, JudgeState()))
    assert whole["_broken"].to_list() == expected
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=4)))
    state, found = JudgeState(), []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        found += judge.verdict(judge.annotate(frame[start:end], state))["_broken"].to_list()
    assert found == expected


@TRIALS
@given(st.lists(BATCH_TESTS, min_size=1, max_size=3), BATCH)
def test_whole_batch_rules(bench, references, conditions, rows) -> None:
    note("\n".join(map(str, conditions)))
    judge = Judge(bench.contract(*_rules(conditions)), references)
    assert judge.scope == e.Scope.BATCH
    verdict = judge.verdict(judge.annotate(_frame(bench, rows), JudgeState()))
    assert verdict["_broken"].to_list() == _expected(conditions, rows)

"""The table: complete, decided, and in agreement with what the blueprints have."""

from __future__ import annotations

from itertools import groupby

import pytest

from tapehouse.cloud.conformance.registry import checked
from tapehouse.cloud.conformance.rows import blueprints, pairs, row, rows
from tapehouse.cloud.conformance.stacks import Deployment
from tapehouse.errors import UsageError

from .mutants import MUTANTS

OWNERS = {"A": "nightly-spark", "B": "emr-workflow", "C": "market-stream", "L": "serverless-lake", "P": "payments"}
COUNTS = {"A": 18, "B": 48, "C": 48, "L": 21, "P": 34}
# What a row is about, of rows that apply only where it is.
RESOURCES = {
    "AWS::Kinesis::Stream": {"C14", "C34", "C36", "C37", "C38", "C47"},
    "AWS::StepFunctions::StateMachine": {"B27", "B28", "B29"},
    "AWS::EMR::Cluster": {"A01", "A02", "B01", "B09", "B23"},
}


def test_every_row_is_there_once_and_numbered() -> None:
    for letter, found in groupby(rows(), key=lambda one: one[0]):
        assert list(found) == [f"{letter}{number:02}" for number in range(1, COUNTS[letter] + 1)]


def test_each_row_applies_to_its_own_blueprint_and_says_why_to_others() -> None:
    for one in rows().values():
        assert one.blueprint == OWNERS[one.id[0]]
        assert one.blueprint in one.applies_to
        assert one.reason or len(one.applies_to) == 1
        assert one.requirement
    undecided = [
        one.id for one in rows().values() if one.id[0] in "ABC" and not one.reason and one.blueprint != "market-stream"
    ]
    assert undecided == []


@pytest.mark.parametrize("kind", RESOURCES)
def test_rows_apply_where_their_resource_is(kind: str, ours: dict[str, Deployment]) -> None:
    for name, deployment in ours.items():
        for row_id in RESOURCES[kind]:
            assert (name in row(row_id).applies_to) == bool(deployment.test.of(kind)), (row_id, name)


def test_rows_about_parameters_apply_to_templates_that_have_some(ours: dict[str, Deployment]) -> None:
    for name, deployment in ours.items():
        found = [one for template in deployment.prod.templates.values() for one in template.get("Parameters", {})]
        assert (name in row("B43").applies_to) == bool(found)


def test_every_pair_has_a_check_or_must_be_run() -> None:
    assert [one.id for one, _ in pairs() if one.id not in checked() and not one.run] == []


def test_every_checked_row_has_a_mutant() -> None:
    applied = {one.id for one, _ in pairs()} & set(checked())
    assert applied - {one.row for one in MUTANTS} == set()


def test_unknown_names_are_told() -> None:
    with pytest.raises(UsageError, match="Z99"):
        row("Z99")
    with pytest.raises(UsageError, match="market-stream"):
        list(pairs("market-steam"))
    assert {name for _, name in pairs("market-stream")} == {"market-stream"} < set(blueprints())

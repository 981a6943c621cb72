"""Every check against a template that is right and against ones that are wrong, none of them ours."""

from __future__ import annotations

from functools import cache

import pytest

from tapehouse.cloud.conformance.registry import checked, violations
from tapehouse.cloud.conformance.rows import blueprints, pairs
from tapehouse.cloud.conformance.stacks import Deployment, Facts, Stacks

from .golden import golden
from .mutants import MUTANTS, Draft, Mutant


@cache
def deployment(blueprint: str) -> Deployment:
    return golden(blueprint)


CHECKED = [(row.id, name) for row, name in pairs() if row.id in checked()]
APPLICABLE = [
    pytest.param(mutant, name, id=f"{mutant.row}-{name}-{mutant.name}")
    for mutant in MUTANTS
    for name in blueprints()
    if (mutant.row, name) in CHECKED
]


@pytest.mark.parametrize(("row", "blueprint"), CHECKED)
def test_a_right_template_breaks_nothing(row: str, blueprint: str) -> None:
    assert violations(row, deployment(blueprint)) == []


@pytest.mark.parametrize(("mutant", "blueprint"), APPLICABLE)
def test_a_mutant_is_found(mutant: Mutant, blueprint: str) -> None:
    draft = Draft(deployment(blueprint))
    mutant.change(draft)
    assert draft.changed
    assert violations(mutant.row, draft.deployment())


@pytest.mark.parametrize(("row", "blueprint"), CHECKED)
def test_every_pair_has_a_mutant(row: str, blueprint: str) -> None:
    assert any(mutant.row == row for mutant in MUTANTS)


@pytest.mark.parametrize("row", sorted(checked()))
def test_nothing_is_not_enough(row: str) -> None:
    """Templates without resources break every row: absence is a violation."""
    stacks = [Stacks({"main": {"Resources": {}}}, Facts("tape", "lake", kind, "a1")) for kind in ("test", "prod")]
    assert violations(row, Deployment("serverless-lake", stacks[0], stacks[1]))


def test_a_violation_names_environment_and_resource() -> None:
    draft = Draft(deployment("serverless-lake"))
    for properties in draft.properties("AWS::KMS::Key"):
        properties["EnableKeyRotation"] = False
    found = violations("C01", draft.deployment())
    assert found[0] == "test: Key DataKey: EnableKeyRotation is not true"
    assert len(found) == 4

"""Every row on our own blueprints as they are synthesized: met, and broken by each of its mutants."""

from __future__ import annotations

import pytest

from tapehouse.cloud.conformance.registry import checked, violations
from tapehouse.cloud.conformance.rows import pairs
from tapehouse.cloud.conformance.stacks import Deployment

from .mutants import MUTANTS, Draft

pytestmark = pytest.mark.xdist_group("conformance")

PAIRS = [
    pytest.param(
        row.id,
        blueprint,
        marks=pytest.mark.proves(row.id, blueprint=blueprint, proof="asserted"),
        id=f"{row.id}-{blueprint}",
    )
    for row, blueprint in pairs()
    if row.id in checked()
]


@pytest.mark.parametrize(("row", "blueprint"), PAIRS)
def test_row_is_met_and_each_mutant_breaks_it(row: str, blueprint: str, ours: dict[str, Deployment]) -> None:
    deployment = ours[blueprint]
    assert violations(row, deployment) == []
    for mutant in [one for one in MUTANTS if one.row == row]:
        draft = Draft(deployment)
        mutant.change(draft)
        assert draft.changed, f"{mutant.name} changes nothing of {blueprint}"
        assert violations(row, draft.deployment()), f"{mutant.name} breaks {row}, and its check does not see it"

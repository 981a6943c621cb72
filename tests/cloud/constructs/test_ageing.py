"""Lifecycle rules before they are in a template."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapehouse.arguments import load_contract
from tapehouse.cloud.constructs.ageing import (
    LEAST_DAYS,
    Ageing,
    Step,
    checked,
    curated_ageing,
    logs_ageing,
    raw_ageing,
    raw_days_of,
    results_ageing,
    scripts_ageing,
)
from tapehouse.errors import UsageError

from .whole import CONTRACTS


def faults(*rules: Ageing) -> str:
    with pytest.raises(UsageError) as caught:
        checked(rules)
    assert caught.value.fix
    return caught.value.message


@given(st.one_of(st.none(), st.integers(1, 20_000)))
def test_landed_bytes_may_be_kept_for_any_time(days: int | None) -> None:
    """Whatever contracts ask for, the rules descend; a class is skipped where its least stay does not fit."""
    rules = {rule.name: rule for rule in raw_ageing(days)}
    raw = rules["raw"]
    assert raw.expire == days
    if days is not None:
        assert all(step.days + LEAST_DAYS[step.storage_class] <= days for step in raw.steps)
        longest = 365 + 180
        assert ("DEEP_ARCHIVE" in {step.storage_class for step in raw.steps}) is (days >= longest)


@pytest.mark.parametrize(
    "rules", [curated_ageing(), logs_ageing(production=True), logs_ageing(production=False), scripts_ageing(),
              results_ageing(), raw_ageing()]
)  # fmt: skip
def test_every_bucket_gives_up_unfinished_uploads_within_a_week(rules: tuple[Ageing, ...]) -> None:
    (uploads,) = [rule for rule in rules if rule.abort is not None]
    assert uploads.prefix == ""
    assert 1 <= (uploads.abort or 0) <= 7


def test_expiry_before_the_last_class_is_refused() -> None:
    assert "DEEP_ARCHIVE from day 365 to 400" in faults(Ageing("a", steps=(Step("DEEP_ARCHIVE", 365),), expire=400))


def test_classes_lead_downwards() -> None:
    steps = (Step("GLACIER", 90), Step("GLACIER_IR", 200))
    assert "GLACIER does not lead to GLACIER_IR" in faults(Ageing("a", steps=steps))


def test_a_class_is_left_no_sooner_than_it_bills() -> None:
    steps = (Step("GLACIER_IR", 90), Step("DEEP_ARCHIVE", 179))
    assert "less than the 90 days that it bills" in faults(Ageing("a", steps=steps))


def test_classes_that_take_no_young_objects_get_none() -> None:
    assert "takes objects from 30 days on, not 29" in faults(Ageing("a", steps=(Step("STANDARD_IA", 29),)))


def test_unknown_classes_are_told() -> None:
    assert "class COLD is none of STANDARD_IA" in faults(Ageing("a", steps=(Step("COLD", 90),)))


def test_noncurrent_versions_descend_as_well() -> None:
    rule = Ageing("a", noncurrent=(Step("GLACIER", 30),), noncurrent_expire=60)
    assert faults(rule).startswith("a: noncurrent GLACIER from day 30 to 60")


@pytest.mark.parametrize("slow", ["GLACIER", "DEEP_ARCHIVE"])
def test_what_is_read_at_any_time_stays_readable(slow: str) -> None:
    assert f"would go to {slow}" in faults(Ageing("lake", steps=(Step(slow, 90),), live=True))
    assert checked([Ageing("lake", steps=(Step(slow, 90),), live=False)])


@pytest.mark.parametrize("days", [0, 8])
def test_uploads_are_given_up_within_a_week(days: int) -> None:
    assert f"after {days} days" in faults(Ageing("a", abort=days))


def test_nothing_expires_at_once() -> None:
    assert "objects would expire after 0 days" in faults(Ageing("a", expire=0))


def test_two_rules_for_one_object_are_refused() -> None:
    both = faults(Ageing("all", expire=30), Ageing("landing", "landing/", expire=10))
    assert both == "all and landing both apply under 'landing/'"
    assert "both apply" in faults(Ageing("a", "x/", noncurrent_expire=30), Ageing("b", "x/y/", noncurrent_expire=9))


def test_rules_side_by_side_or_about_different_things_are_sound() -> None:
    assert len(checked([Ageing("a", "a/", expire=1), Ageing("b", "b/", expire=2)])) == 3
    assert len(checked([Ageing("a", expire=1), Ageing("b", noncurrent_expire=2)])) == 3


def test_contracts_that_keep_bytes_for_ever_win() -> None:
    contract = load_contract(CONTRACTS / "us-equity-trades.yaml")
    assert contract.retention.raw_days is None
    assert raw_days_of([contract]) is None
    assert raw_days_of([]) is None


def test_of_several_times_the_longest_counts() -> None:
    contract = load_contract(CONTRACTS / "us-equity-trades.yaml")
    kept = [replace(contract, retention=replace(contract.retention, raw_days=days)) for days in (100, 400)]
    assert raw_days_of(kept) == 400
    assert raw_days_of([*kept, contract]) is None

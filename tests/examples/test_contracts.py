"""Every example contract loads, is complete, and says why it is as it is."""

from __future__ import annotations

import re

import pytest

from .support import CONTRACTS, example

NAMES = sorted(path.stem for path in CONTRACTS.glob("*.yaml"))
OURS = [
    "daily-bars", "fx-bid-bars", "fx-quotes", "minute-bars", "order-book", "retail-invoices", "us-equity-daily-bars",
    "us-equity-quotes", "us-equity-trades",
]  # fmt: skip


def test_the_promised_contracts_are_there() -> None:
    assert {*OURS, "consolidated-trades"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_loads_under_its_own_name(name: str) -> None:
    assert example(name).name == name


@pytest.mark.parametrize("name", OURS)
def test_names_owner_retention_freshness_and_budget(name: str) -> None:
    contract = example(name)
    assert contract.owner
    assert contract.retention.curated_days
    assert contract.retention.quarantine_days
    assert contract.service_levels["freshness"]["seconds"] > 0
    assert contract.budget is not None


@pytest.mark.parametrize("name", NAMES)
def test_rule_codes_are_stable_names(name: str) -> None:
    codes = [rule.code for rule in example(name).rules]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", code) for code in codes)


@pytest.mark.parametrize("name", OURS)
def test_opens_with_what_the_data_is_and_how_to_run_it(name: str) -> None:
    text = (CONTRACTS / f"{name}.yaml").read_text()
    head = text[: text.index("apiVersion")]
    assert head.startswith("# ")
    assert f"tapehouse run examples/contracts/{name}.yaml" in head


@pytest.mark.parametrize("name", ["us-equity-trades", "us-equity-quotes", "fx-quotes", "order-book", "retail-invoices"])
def test_feeds_without_identity_are_never_deduplicated(name: str) -> None:
    assert example(name).key is None


def test_side_update_sentinel_is_declared_on_both_sides() -> None:
    contract = example("us-equity-quotes")
    for name in ("bid", "bid_size", "ask", "ask_size"):
        assert contract.column(name).sentinels == (0,)


def test_a_snapshot_does_not_decide_where_an_order_lies_in_time() -> None:
    assert example("order-book").event_time.name == "ts_recv"

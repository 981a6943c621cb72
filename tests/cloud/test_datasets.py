"""Datasets by their contracts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tapehouse.cloud.datasets import datasets_of, names_of
from tapehouse.errors import ContractError, UsageError

from .constructs.whole import CONTRACTS, settings_of


def test_datasets_come_by_name_whatever_the_order() -> None:
    paths = [CONTRACTS / "us-equity-trades.yaml", CONTRACTS / "consolidated-trades.yaml"]
    for order in (paths, paths[::-1]):
        assert names_of(datasets_of(settings_of("test", contracts=order))) == (
            "consolidated_trades",
            "us_equity_trades",
        )


def test_purposes_are_hyphenated() -> None:
    (found,) = datasets_of(settings_of("test", contracts=[CONTRACTS / "us-equity-trades.yaml"]))
    assert found.purpose == "us-equity-trades"
    assert found.path == CONTRACTS / "us-equity-trades.yaml"


@pytest.mark.parametrize(
    ("name", "streamable"),
    [("consolidated-trades", True), ("us-equity-trades", False), ("order-book", False)],
    ids=["lines", "the path says the symbol", "binary"],
)
def test_records_can_come_one_by_one_where_they_say_all_themselves(name: str, streamable: bool) -> None:
    (found,) = datasets_of(settings_of("test", contracts=[CONTRACTS / f"{name}.yaml"]))
    assert found.streamable is streamable


def test_two_contracts_of_one_name_are_told(tmp_path: Path) -> None:
    other = tmp_path / "copy.yaml"
    shutil.copy(CONTRACTS / "us-equity-trades.yaml", other)
    with pytest.raises(UsageError, match="are both dataset us_equity_trades") as caught:
        datasets_of(settings_of("test", contracts=[CONTRACTS / "us-equity-trades.yaml", other]))
    assert "rename" in caught.value.fix


def test_a_wrong_contract_is_told(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("kind: Nothing\n")
    with pytest.raises(ContractError):
        datasets_of(settings_of("test", contracts=[wrong]))

"""Contracts that change, collide or are judged again in parts on a lake that holds rows already."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tapehouse.errors import ContractError, LakeError, UsageError
from tapehouse.runs.replay import backfill
from tapehouse.runs.result import Status
from tapehouse.runs.verify import verify

from .conftest import NewLake
from .support import Bench, replaced, trade, write_csv

NAME = "\nname: consolidated-trades "
BARS = "          - {name: bars_1m, kind: bars, intervalSeconds: 60}\n"


def test_contracts_whose_names_give_one_namespace_are_kept_apart(bench: Bench, tmp_path: Path) -> None:
    bench.run(write_csv(tmp_path / "a.csv", [trade(number=1)]))
    other = replaced(tmp_path, "other.yaml", {NAME: "\nname: consolidated_trades "})
    with pytest.raises(LakeError, match=r"consolidated_trades\.\* with contract consolidated-trades"):
        bench.run(write_csv(tmp_path / "b.csv", [trade(number=2)]), contract=other)
    bench.clean()


def test_a_namespace_with_quarantine_alone_is_taken_too(new_lake: NewLake, tmp_path: Path) -> None:
    lavish = {"value: 0.10": "value: 1.0"}
    bench = new_lake(made=replaced(tmp_path, "lavish.yaml", lavish))
    assert bench.run(write_csv(tmp_path / "a.csv", [trade(price="-1.0000")])).proof.counts["quarantined"] == 1
    assert bench.lake.table("consolidated_trades", "curated") is None
    other = replaced(tmp_path, "other.yaml", {NAME: "\nname: Consolidated-Trades ", **lavish})
    with pytest.raises(LakeError, match="rename one of them"):
        bench.run(write_csv(tmp_path / "b.csv", [trade(number=2)]), contract=other)


def test_no_contract_takes_the_name_of_the_house(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="name 'tapehouse'"):
        replaced(tmp_path, "house.yaml", {NAME: "\nname: tapehouse "})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tapehouse.scale, value: 6": "tapehouse.scale, value: 4"}, r"price is decimal\(18, 6\) in the lake"),
        ({"by: hour": "by: day"}, r"partitioned by hour\(_event_time\) in the lake, not by day"),
    ],
)
def test_a_contract_the_lake_cannot_take_is_refused_before_reading(
    bench: Bench, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    bench.run(write_csv(tmp_path / "a.csv", [trade(number=1)]))
    later = replaced(tmp_path, "later.yaml", {"version: 1.0.0": "version: 2.0.0", **changes})
    with pytest.raises(LakeError, match=said):
        bench.run(write_csv(tmp_path / "b.csv", [trade(number=2)]), contract=later)
    with pytest.raises(LakeError, match=said):
        backfill(later, lake=bench.lake, references=bench.references)
    bench.clean()


def test_a_derived_table_added_later_covers_what_was_published_before(bench: Bench, tmp_path: Path) -> None:
    bench.run(write_csv(tmp_path / "a.csv", [trade("15:00:00", 1), trade("16:00:00", 2)]))
    more = {BARS: BARS + BARS.replace("1m", "5m").replace("60", "300"), "version: 1.0.0": "version: 1.1.0"}
    bench.run(write_csv(tmp_path / "b.csv", [trade("17:00:00", 3)]), contract=replaced(tmp_path, "more.yaml", more))
    assert bench.rows("bars_5m").height == 3
    assert verify(bench.lake, deep=True).findings == []


def test_a_derived_table_left_out_for_a_while_is_made_whole_again(bench: Bench, tmp_path: Path) -> None:
    bench.run(write_csv(tmp_path / "a.csv", [trade("15:00:00", 1)]))
    bench.run(
        write_csv(tmp_path / "b.csv", [trade("15:00:30", 2), trade("18:00:00", 4)]),
        contract=replaced(
            tmp_path, "less.yaml", {"value:\n" + BARS: "value: []\n", "version: 1.0.0": "version: 1.1.0"}
        ),
    )
    bench.run(write_csv(tmp_path / "c.csv", [trade("17:00:00", 3)]))
    assert sorted(bench.rows("bars_1m")["trades"]) == [1, 1, 2]
    assert verify(bench.lake, deep=True).findings == []


def test_backfill_of_one_batch_brings_back_the_copy_that_was_dropped_for_its_row(
    new_lake: NewLake, tmp_path: Path
) -> None:
    bench = new_lake()
    fine = [trade("15:00:00", 100 + n) for n in range(20)]  # keeps the run within the budget
    first = bench.run(write_csv(tmp_path / "a.csv", [trade("15:00:00", 1, price="170.0000"), *fine]))
    second = bench.run(write_csv(tmp_path / "b.csv", [trade("15:00:00", 1, price="169.0000")]))
    third = bench.run(write_csv(tmp_path / "c.csv", [trade("15:00:00", 9)]))
    assert second.proof.counts["duplicates"] == 1
    stricter = replaced(tmp_path, "stricter.yaml", {'max: "20%"': 'max: "0.1%"', "version: 1.0.0": "version: 1.1.0"})
    again = backfill(stricter, lake=bench.lake, references=bench.references, batches=[first.batches[0].digest])
    assert again.status == Status.PUBLISHED
    assert {batch.digest for batch in again.batches} == {first.batches[0].digest, second.batches[0].digest}
    assert third.batches[0].digest not in {batch.digest for batch in again.batches}
    assert {str(price) for price in bench.rows("curated")["price"]} == {"169.000000"}
    assert bench.rows("curated").height == 22
    bench.clean()


@pytest.mark.parametrize("moment", ["2024-03-08", dt.datetime(2024, 3, 8)])
def test_backfill_wants_moments_with_a_zone(bench: Bench, tmp_path: Path, moment: dt.datetime) -> None:
    bench.run(write_csv(tmp_path / "a.csv", [trade(number=1)]))
    with pytest.raises(UsageError, match="no time with a zone"):
        backfill(bench.contract, lake=bench.lake, references=bench.references, since=moment)


@pytest.mark.parametrize("seconds", ["7200", "2400", "25200"])
def test_bars_that_reach_over_partitions_are_refused_at_load(tmp_path: Path, seconds: str) -> None:
    with pytest.raises(ContractError, match=f"bars of {seconds} s do not fit into partitions by hour"):
        replaced(tmp_path, "wide.yaml", {"intervalSeconds: 60": f"intervalSeconds: {seconds}"})


def test_verify_of_a_contract_that_is_not_there_is_no_success(bench: Bench, tmp_path: Path) -> None:
    bench.run(write_csv(tmp_path / "a.csv", [trade(number=1)]))
    with pytest.raises(UsageError, match="consolidated-trade'") as caught:
        verify(bench.lake, contract="consolidated-trade")
    assert "consolidated-trades" in caught.value.fix

"""The truth of generated trades holds for every record, by a judge of its own."""

from __future__ import annotations

import csv
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from tape_judge import fields_of, judge, records

from tapehouse.errors import UsageError
from tapehouse.synthetic.faults import TRADE_FAULTS
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated, read_truth

ROWS = 30_000


def digest(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def references(made: Generated) -> dict[str, Decimal]:
    assert made.reference is not None
    with made.reference.open(newline="") as file:
        return {row["symbol"]: Decimal(row["ref_price"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    shares = dict.fromkeys(TRADE_FAULTS, 0.004)
    return generate_trades(tmp_path_factory.mktemp("tape"), rows=ROWS, seed=7, files=3, faults=shares, symbols=40)


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        generate_trades(tmp_path / name, rows=5_000, seed=3)
    generate_trades(tmp_path / "other", rows=5_000, seed=4)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    other, one = digest(tmp_path / "other"), digest(tmp_path / "one")
    assert all(other[name] != one[name] for name in one)


def test_bytes_do_not_depend_on_the_block_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_trades(tmp_path / "one", rows=5_000, seed=3)
    monkeypatch.setattr("tapehouse.synthetic.trades.BLOCK_ROWS", 311)
    generate_trades(tmp_path / "two", rows=5_000, seed=3)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_the_rows_of_a_tape_do_not_depend_on_the_number_of_files(tmp_path: Path) -> None:
    one, many = (generate_trades(tmp_path / str(n), rows=2_000, seed=3, files=n) for n in (1, 7))
    assert [r for f in one.files for r in records(f)] == [r for f in many.files for r in records(f)]


def test_every_record_breaks_exactly_what_the_truth_says(made: Generated) -> None:
    truth = read_truth(made.truth)
    demanded = {(row["file"], row["row"]): row for row in truth.iter_rows(named=True) if row["kind"] != "duplicate"}
    known, seen = references(made), 0
    for path in made.files:
        for number, record in enumerate(records(path)):
            broken, row = judge(record, known), demanded.get((path.name, number))
            codes, also = (set(row["codes"]), set(row["also"])) if row else (set(), set())
            assert codes <= broken <= codes | also, (path.name, number, record, row)
            seen += 1
    assert seen == ROWS == made.rows


def test_exactly_the_later_received_of_each_key_are_duplicates(made: Generated) -> None:
    truth = read_truth(made.truth)
    copies = {
        (row["file"], row["row"]): (row["original_file"], row["original_row"])
        for row in truth.filter(pl.col("kind") == "duplicate").iter_rows(named=True)
    }
    spoiled = set(truth.filter(pl.col("kind") != "duplicate").select("file", "row").iter_rows())
    by_key: dict[tuple[str, str], list[tuple[int, tuple[str, int], list[str]]]] = {}
    for path in made.files:
        for number, record in enumerate(records(path)):
            if (path.name, number) not in spoiled:
                fields, _ = fields_of(record)
                by_key.setdefault((fields[3], fields[6]), []).append((int(fields[1]), (path.name, number), fields))
    found = {}
    for rows in by_key.values():
        first, *later = sorted(rows)
        assert all(row[0] > first[0] for row in later)
        assert all(row[2][:1] + row[2][2:] == first[2][:1] + first[2][2:] for row in later)
        found |= {row[1]: first[1] for row in later}
    assert found == copies
    assert len(copies) == made.faults["duplicate"]


def test_copies_lie_in_the_same_and_in_other_files_before_and_after(made: Generated) -> None:
    copies = read_truth(made.truth).filter(pl.col("kind") == "duplicate")
    places = copies.select("file", "row", "original_file", "original_row").rows()
    sorts = {(file == other, (file, row) < (other, number)) for file, row, other, number in places}
    assert sorts == {(same, before) for same in (True, False) for before in (True, False)}


def test_one_fault_per_row_and_counts_as_asked(made: Generated) -> None:
    truth = read_truth(made.truth)
    assert truth.select("file", "row").is_unique().all()
    assert dict(truth.group_by("kind").len().iter_rows()) == dict(made.faults) == dict.fromkeys(TRADE_FAULTS, 120)


def test_clean_rows_lie_on_the_bounds_of_the_rules(tmp_path: Path) -> None:
    made = generate_trades(tmp_path, rows=40_000, seed=1, faults={})
    assert read_truth(made.truth).height == 0
    reference = pl.read_csv(made.reference, schema_overrides={"symbol": pl.String, "ref_price": pl.Decimal(18, 4)})
    rows = pl.concat([pl.read_csv(path, schema_overrides={"price": pl.Decimal(18, 4)}) for path in made.files])
    rows = rows.join(reference, on="symbol", nulls_equal=True).with_columns(
        pl.col("ts_event").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ns").dt.epoch("ns").alias("event")
    )
    delay = rows["ts_recv"] - rows["event"]
    assert rows.height == 40_000
    assert (delay.min(), delay.max()) == (0, 3_600 * 10**9)
    ratio = set(rows.select((pl.col("price") * 10 / pl.col("ref_price")).cast(pl.Float64)).to_series())
    assert (min(ratio), max(ratio)) == (8.0, 12.0)
    clock = rows["event"] % (86_400 * 10**9)
    assert (clock.min(), clock.max()) == (52_200 * 10**9, 75_600 * 10**9 - 1)


def test_neither_half_of_the_key_is_a_key(made: Generated) -> None:
    rows = [fields_of(record)[0] for path in made.files for record in records(path)]
    numbers = [fields[6] for fields in rows if fields]
    assert len(set(numbers)) < 0.6 * len(numbers)


def test_truth_as_csv_reads_back_the_same(tmp_path: Path) -> None:
    first = generate_trades(tmp_path / "p", rows=3_000, seed=1)
    second = generate_trades(tmp_path / "c", rows=3_000, seed=1, truth="csv")
    assert second.truth.name == "truth.csv"
    assert read_truth(first.truth).equals(read_truth(second.truth))


def test_progress_is_told_every_row(tmp_path: Path) -> None:
    told: list[int] = []
    generate_trades(tmp_path, rows=1_000, seed=1, files=3, on_rows=told.append)
    assert told == [333, 333, 334]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rows": 0}, "rows=0"),
        ({"rows": 3, "files": 4}, "3 rows cannot fill 4 files"),
        ({"rows": 100, "date": "2024-03-03"}, "2024-03-03 is no weekday"),
        ({"rows": 100, "date": "soon"}, "'soon' is not a date"),
        ({"rows": 100, "symbols": 0}, "symbols=0"),
        ({"rows": 10, "faults": {"late": 0.6, "bad_price": 0.6}}, "need 12 places and there are 10"),
        ({"rows": 10, "faults": {"duplicate": 0.6}}, "need 12 places and there are 10"),
        ({"rows": 10, "faults": {"latte": 0.6}}, "no fault is called 'latte'"),
        ({"rows": 10, "faults": {"late": 1.5}}, "share of late is 1.5"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        generate_trades(tmp_path / "out", seed=1, **arguments)  # type: ignore[arg-type]
    assert words in refused.value.message
    assert not (tmp_path / "out").exists()

"""Judging again: `replay` of quarantined records, `backfill` of whole batches, records closed by hand (I6)."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tapehouse.contracts.model import Contract, Retention
from tapehouse.errors import UsageError
from tapehouse.lake.home import Lake
from tapehouse.lake.read import scan
from tapehouse.runs.context import Silence
from tapehouse.runs.quarantined import discard, export_quarantine, list_quarantine, show_quarantined
from tapehouse.runs.read import house_table
from tapehouse.runs.replay import backfill, replay
from tapehouse.runs.result import RunResult, Status
from tapehouse.runs.retention import apply_retention
from tapehouse.runs.tables import LINEAGE
from tapehouse.synthetic.truth import Generated

from .conftest import NewLake
from .support import EXAMPLE, HEADER, Bench, replaced, same, trade, write_csv

RELAXED = {
    "version: 1.0.0": "version: 1.1.0",
    "implementation: {rule: range, min: 0, minExclusive: true}": "implementation: {rule: range, min: -1000}",
    'max: "20%"': 'max: "100000%"',
    "{rule: lateness, max: 1h}": "{rule: lateness, max: 100h}",
}


@pytest.fixture
def relaxed(tmp_path: Path) -> Contract:
    """Takes any price near or far, above -1000, and rows up to 100 hours late."""
    return replaced(tmp_path, "relaxed.yaml", RELAXED)


def open_rows(bench: Bench) -> set[tuple[str, int]]:
    listed = list_quarantine(bench.lake, bench.contract.name, limit=10_000)
    return set(listed.rows.select("_batch", "_row").iter_rows())


def test_replay_lands_what_now_passes_and_nothing_twice(bench: Bench, tape: Generated, relaxed: Contract) -> None:
    first = bench.run(*tape.files)
    before, stood = open_rows(bench), bench.rows("curated")
    result = replay(relaxed, lake=bench.lake, references=bench.references)
    assert result.status == Status.PUBLISHED
    assert result.proof.closed
    moved = result.proof.counts["curated"]
    assert moved >= 6
    assert open_rows(bench) < before
    assert len(before) - len(open_rows(bench)) == moved
    table = bench.lake.table("consolidated_trades", "curated")
    assert table is not None
    rows = scan(table).collect()
    news = rows.filter(pl.col("_knowledge_time") > pl.col("_knowledge_time").min())
    assert news.height == moved
    assert set(news.select("_batch", "_row").iter_rows()) == before - open_rows(bench)
    assert (news["_event_time"].dt.date() == dt.date(2024, 3, 4)).all()
    assert (news["_knowledge_time"] > news["_event_time"]).all()
    assert stood.join(bench.rows("curated"), on=["_batch", "_row"], how="anti").height == 0
    bench.clean()
    now = bench.content()
    again = replay(relaxed, lake=bench.lake, references=bench.references)
    assert again.status == Status.NOTHING
    same(bench.content(), now)
    assert bench.runs()["run_id"].to_list() == [first.run_id, result.run_id]
    bench.clean()


def test_a_replayed_lake_has_the_bars_of_one_that_was_relaxed_from_the_start(
    bench: Bench, tape: Generated, relaxed: Contract, new_lake: NewLake
) -> None:
    bench.run(*tape.files)
    replay(relaxed, lake=bench.lake, references=bench.references)
    other = new_lake("other", relaxed)
    other.run(*tape.files)
    assert bench.content()["bars_1m"].equals(other.content()["bars_1m"])
    assert bench.content()["curated"].equals(other.content()["curated"])
    assert open_rows(bench) == open_rows(other)


def test_a_dry_run_says_what_would_be_and_publishes_nothing(bench: Bench, tape: Generated, relaxed: Contract) -> None:
    bench.run(*tape.files)
    before, runs = bench.content(), bench.runs().height
    preview = replay(relaxed, lake=bench.lake, references=bench.references, dry_run=True)
    assert preview.status == Status.PREVIEW
    assert preview.snapshots == {}
    same(bench.content(), before)
    assert bench.runs().height == runs
    real = replay(relaxed, lake=bench.lake, references=bench.references)
    assert real.proof.counts["curated"] == preview.proof.counts["withheld"]
    assert backfill(bench.contract, lake=bench.lake, references=bench.references, dry_run=True).status == Status.PREVIEW


def test_replay_of_some_rules_or_batches_alone(bench: Bench, tape: Generated, relaxed: Contract) -> None:
    result = bench.run(*tape.files)
    only = replay(relaxed, lake=bench.lake, references=bench.references, rules=["late"])
    assert only.rows_in == only.proof.counts["curated"] == result.rules["late"]
    digest = result.batches[0].digest
    here = {row for row in open_rows(bench) if row[0] == digest}
    one = replay(relaxed, lake=bench.lake, references=bench.references, batches=[digest[:12]])
    assert one.rows_in == len(here)
    assert {batch.digest for batch in one.batches} == {digest}
    with pytest.raises(UsageError, match="no rule 'no_such_rule'"):
        replay(relaxed, lake=bench.lake, references=bench.references, rules=["no_such_rule"])
    with pytest.raises(UsageError, match="begins with 'ffffffff'"):
        replay(relaxed, lake=bench.lake, references=bench.references, batches=["ffffffff"])
    bench.clean()


def test_replaying_under_the_same_contract_changes_nothing(bench: Bench, tape: Generated) -> None:
    bench.run(*tape.files)
    before, batches = bench.content(), bench.batches().height
    assert replay(bench.contract, lake=bench.lake, references=bench.references).status == Status.NOTHING
    same(bench.content(), before)
    assert bench.batches().height == batches


def test_a_replayed_record_whose_key_came_meanwhile_is_a_duplicate(
    bench: Bench, tmp_path: Path, relaxed: Contract
) -> None:
    lines = [trade("14:40:00", n, price="-1.0000" if n == 5 else "169.0000") for n in range(30)]
    bench.run(write_csv(tmp_path / "a.csv", lines))
    bench.run(write_csv(tmp_path / "b.csv", [trade("14:40:00", 5)]))
    result = replay(relaxed, lake=bench.lake, references=bench.references)
    assert result.proof.counts["duplicates"] == 1
    assert result.proof.counts["curated"] == 0
    assert open_rows(bench) == set()
    bench.clean()
    assert replay(relaxed, lake=bench.lake, references=bench.references).status == Status.NOTHING


def test_a_malformed_record_replays_when_the_feed_now_takes_it(new_lake: NewLake, tmp_path: Path) -> None:
    narrow = replaced(tmp_path, "narrow.yaml", {"emptyIsNull: true}": "emptyIsNull: true, maxRecordBytes: 1024}"})
    bench = new_lake(made=narrow)
    lines = [trade("14:40:00", n) for n in range(30)]
    lines[4] = lines[4].replace("@", "@" * 2_000)
    result = bench.run(write_csv(tmp_path / "a.csv", lines))
    assert result.rules == {"malformed_length": 1}
    wide = replaced(tmp_path, "wide.yaml", {})
    again = replay(wide, lake=bench.lake, references=bench.references)
    assert again.proof.counts["curated"] == 1
    assert open_rows(bench) == set()
    bench.clean()


def test_backfill_replaces_what_the_batches_gave(
    bench: Bench, tape: Generated, relaxed: Contract, new_lake: NewLake
) -> None:
    bench.run(*tape.files)
    replay(relaxed, lake=bench.lake, references=bench.references)
    result = backfill(bench.contract, lake=bench.lake, references=bench.references)
    assert result.status == Status.PUBLISHED
    assert result.rows_in == tape.rows
    other = new_lake("other")
    other.run(*tape.files)
    for name in ("curated", "bars_1m"):
        assert bench.content()[name].equals(other.content()[name]), name
    same(bench.partitions(), other.partitions())
    assert open_rows(bench) == open_rows(other)
    bench.clean()
    relaxed_result = backfill(relaxed, lake=bench.lake, references=bench.references)
    assert relaxed_result.proof.counts["curated"] > result.proof.counts["curated"]
    bench.clean()


def test_backfill_of_one_batch_keeps_the_others(
    bench: Bench, tape: Generated, new_lake: NewLake, tmp_path: Path
) -> None:
    """The contract now refuses large trades; one batch alone, of which no other holds copies, is judged by it."""
    text, bounds = EXAMPLE.read_text(encoding="utf-8"), "{rule: range, min: 0, minExclusive: true}"
    at = text.index("- name: size_not_positive")
    rule = text[at : text.index(bounds, at) + len(bounds)]
    changes = {"version: 1.0.0": "version: 2.0.0", "    value: 0.10": "    value: 1"}
    strict = replaced(tmp_path, "strict.yaml", {**changes, rule: rule.replace("min: 0,", "min: 0, max: 300,")})
    first = bench.run(*tape.files)
    copied = set(bench.rows("duplicates").filter(pl.col("_kept_batch") != pl.col("_batch"))["_kept_batch"])
    digest = next(batch.digest for batch in first.batches if batch.digest not in copied)
    stood = bench.content()["curated"]
    result = backfill(strict, lake=bench.lake, references=bench.references, batches=[digest[:9]])
    assert [batch.digest for batch in result.batches] == [digest]
    now = bench.content()["curated"]
    others = pl.col("_batch") != digest
    assert now.filter(others).equals(stood.filter(others))
    assert now.filter(~others)["size"].max() == 300
    assert 0 < now.filter(~others).height < stood.filter(~others).height
    bench.clean()


def test_backfill_by_time(bench: Bench, tmp_path: Path) -> None:
    for day in ("2024-03-05", "2024-03-06", "2024-03-07"):
        bench.run(
            write_csv(tmp_path / f"{day}.csv", [trade("15:00:00", int(day[-2:]) * 10 + n, day=day) for n in range(3)])
        )
    since, until = dt.datetime(2024, 3, 6, tzinfo=dt.UTC), dt.datetime(2024, 3, 7, tzinfo=dt.UTC)
    result = backfill(bench.contract, lake=bench.lake, references=bench.references, since=since, until=until)
    assert [Path(batch.origin).name for batch in result.batches] == ["2024-03-06.csv"]
    with pytest.raises(UsageError, match="no landed batch"):
        backfill(
            bench.contract, lake=bench.lake, references=bench.references, until=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        )
    bench.clean()


def test_records_closed_by_hand_stay_and_are_not_replayed(bench: Bench, tape: Generated, relaxed: Contract) -> None:
    bench.run(*tape.files)
    listed = list_quarantine(bench.lake, bench.contract.name, rule="late")
    batch, row = listed.rows.select("_batch", "_row").row(0)
    with pytest.raises(UsageError, match="needs a reason"):
        discard(bench.lake, bench.contract.name, batch, [row], " ")
    assert discard(bench.lake, bench.contract.name, batch, [row, 10**9], "known outage") == 1
    assert discard(bench.lake, bench.contract.name, batch, [row], "again") == 0
    assert (batch, row) not in open_rows(bench)
    shown = show_quarantined(bench.lake, bench.contract.name, batch[:16], row)
    assert (shown["mark"], shown["why"]) == ("discarded", "known outage")
    every = list_quarantine(bench.lake, bench.contract.name, every=True, limit=10_000)
    assert every.total == list_quarantine(bench.lake, bench.contract.name).total + 1
    assert (batch, row) in set(every.rows.select("_batch", "_row").iter_rows())
    bench.clean()
    replay(relaxed, lake=bench.lake, references=bench.references)
    assert bench.rows("curated").filter((pl.col("_batch") == batch) & (pl.col("_row") == row)).height == 0
    bench.clean()
    with pytest.raises(UsageError, match="not in quarantine"):
        show_quarantined(bench.lake, bench.contract.name, batch, 10**9)


@pytest.mark.parametrize("suffix", [".parquet", ".ndjson", ".csv", ".raw"])
def test_quarantine_leaves_as_a_file(bench: Bench, tape: Generated, tmp_path: Path, suffix: str) -> None:
    result = bench.run(*tape.files)
    path = tmp_path / f"out{suffix}"
    assert export_quarantine(bench.lake, bench.contract.name, path, rule="late") == result.rules["late"]
    rows = list_quarantine(bench.lake, bench.contract.name, rule="late").rows
    lines = [raw.rstrip(b"\r\n").decode() for raw in rows["_raw"]]
    if suffix == ".raw":
        assert [line for line in path.read_text().splitlines() if line] == lines
        mended = tmp_path / "mended.csv"
        mended.write_text("\n".join([HEADER, path.read_text()]))
        assert pl.read_csv(mended).height == len(lines)
    elif suffix == ".csv":
        read = pl.read_csv(path)
        assert [raw.rstrip("\r\n") for raw in read["_raw"]] == lines
        assert all("late" in codes.split() for codes in read["reasons"])
    elif suffix == ".ndjson":
        read_lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [one["_raw"].rstrip("\r\n") for one in read_lines] == lines
        assert all(one["reasons"][0]["bound"] for one in read_lines)
    else:
        assert pl.read_parquet(path)["_raw"].to_list() == rows["_raw"].to_list()
    with pytest.raises(UsageError, match=r"out\.xlsx"):
        export_quarantine(bench.lake, bench.contract.name, tmp_path / "out.xlsx")


@pytest.mark.parametrize("suffix", [".parquet", ".ndjson", ".csv", ".raw"])
def test_a_lake_without_quarantine_has_an_empty_one(
    bench: Bench, tmp_path: Path, suffix: str, relaxed: Contract
) -> None:
    bench.run(write_csv(tmp_path / "a.csv", [trade("15:00:00", n) for n in range(5)]))
    listed = list_quarantine(bench.lake, bench.contract.name)
    assert (listed.total, listed.groups) == (0, {})
    assert {"_batch", "_row", "_raw", "_event_time", "reasons", "mark", "why"} <= set(listed.rows.columns)
    assert export_quarantine(bench.lake, bench.contract.name, tmp_path / f"out{suffix}") == 0
    assert discard(bench.lake, bench.contract.name, "", [1], "why not") == 0
    assert replay(relaxed, lake=bench.lake, references=bench.references).status == Status.NOTHING
    later = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
    assert apply_retention(bench.lake, bench.contract, now=later).expired == ("2024-03-08-15",)


class _AtReading(Silence):
    """Does something once, when the run begins to read."""

    def __init__(self, what: Callable[[], None]) -> None:
        self._what = what
        self._done = False

    def stage(self, name: str) -> None:
        if name == "read" and not self._done:
            self._done = True
            self._what()


def test_two_replays_at_once_curate_a_record_once(bench: Bench, tape: Generated, relaxed: Contract) -> None:
    bench.run(*tape.files)
    outcomes: list[RunResult] = []

    def again() -> None:
        outcomes.append(replay(relaxed, lake=Lake.open(bench.lake.root), references=bench.references))

    other = threading.Thread(target=again)
    first = replay(relaxed, lake=bench.lake, references=bench.references, progress=_AtReading(other.start))
    other.join()
    assert first.status == Status.PUBLISHED
    assert outcomes[0].status == Status.NOTHING
    bench.clean()


def test_retention_books_closed_quarantine_and_keeps_what_is_open(bench: Bench, tape: Generated) -> None:
    bench.run(*tape.files)
    contract = dataclasses.replace(bench.contract, retention=Retention(quarantine_days=1))
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
    assert apply_retention(bench.lake, contract, now=later).quarantine_rows == 0
    for digest, rows in pl.DataFrame(sorted(open_rows(bench)), schema=["b", "r"], orient="row").group_by("b"):
        discard(bench.lake, bench.contract.name, str(digest[0]), rows["r"].to_list(), "test prints")
    count = bench.rows("quarantine").height
    assert count
    assert apply_retention(bench.lake, contract, now=later).quarantine_rows == count
    assert bench.rows("quarantine").height == 0
    bench.clean()


def test_landed_bytes_that_another_contract_needs_outlive_retention(
    bench: Bench, tape: Generated, tmp_path: Path
) -> None:
    other = replaced(tmp_path, "other.yaml", {"name: consolidated-trades": "name: other-trades"})
    bench.run(*tape.files)
    bench.run(*tape.files, contract=other)
    for digest, rows in pl.DataFrame(sorted(open_rows(bench)), schema=["b", "r"], orient="row").group_by("b"):
        discard(bench.lake, bench.contract.name, str(digest[0]), rows["r"].to_list(), "test prints")
    contract = dataclasses.replace(bench.contract, retention=Retention(raw_days=1))
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
    assert apply_retention(bench.lake, contract, now=later).raw_batches == len(tape.files)
    bench.clean()
    with pytest.raises(UsageError, match="no landed batch"):
        backfill(bench.contract, lake=bench.lake, references=bench.references)
    assert replay(other, lake=bench.lake, references=bench.references, dry_run=True).rows_in


def test_lineage_has_an_edge_from_every_batch_and_reference_to_every_table(bench: Bench, tape: Generated) -> None:
    result = bench.run(*tape.files)
    edges = house_table(bench.lake, LINEAGE)
    curated = edges.filter(pl.col("output").str.ends_with(".curated") & (pl.col("input_kind") == "batch"))
    assert sorted(curated["rows"]) == sorted(batch.proof.counts["curated"] for batch in result.batches)
    tables = {output.rpartition(".")[2] for output in edges["output"]}
    assert tables == {"curated", "bars_1m", "quarantine", "duplicates"}
    assert edges.filter(pl.col("input_kind") == "reference").height == len(result.references) * len(tables)


def test_bytes_that_are_no_text_are_told_apart_from_text_that_looks_like_them(bench: Bench, tmp_path: Path) -> None:
    spoiled = trade("15:00:00", 1, symbol="A").encode().replace(b",A,", b",\xff,")
    lookalike = trade("15:00:01", 2, symbol="\\xff").encode()
    path = tmp_path / "a.csv"
    good = [trade("15:00:02", number).encode() for number in range(10, 60)]
    path.write_bytes(b"\n".join([HEADER.encode(), spoiled, lookalike, *good, b""]))
    assert bench.run(path).status == Status.PUBLISHED
    shown = [row["_raw"] for row in list_quarantine(bench.lake, bench.contract.name).as_dict()["rows"]]
    assert shown == [{"base64": base64.b64encode(spoiled).decode()}, lookalike.decode()]

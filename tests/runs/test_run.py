"""Runs over a small tape: the proof, what makes a lake the same, and what a run refuses (I1, I3, I5)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tapehouse.engines import embedded
from tapehouse.errors import FeedError, ReferenceDataError, UsageError
from tapehouse.lake.home import Lake
from tapehouse.runs import collect
from tapehouse.runs.history import list_runs, show_run
from tapehouse.runs.quarantine import QuarantineStage
from tapehouse.runs.quarantined import list_quarantine
from tapehouse.runs.result import RunResult, Status
from tapehouse.runs.run import run
from tapehouse.runs.stage import Piece, Stage
from tapehouse.synthetic.truth import Generated

from .conftest import NewLake
from .support import HEADER, Bench, replaced, rule, same, trade, worker, write_csv


def test_the_proof_closes_and_says_where_every_row_is(bench: Bench, tape: Generated) -> None:
    result = bench.run(*tape.files)
    assert result.status == Status.PUBLISHED
    assert result.proof.closed
    assert result.proof.gaps() == []
    assert result.rows_in == tape.rows
    counts = result.proof.counts
    assert sum(counts.values()) == tape.rows
    assert counts == {
        "curated": bench.rows("curated").height,
        "quarantined": bench.rows("quarantine").height,
        "duplicates": bench.rows("duplicates").height,
        "filtered": 0,
    }
    assert counts["duplicates"] == tape.faults["duplicate"]
    for batch in result.batches:
        assert batch.proof.closed
    assert sum(batch.proof.records for batch in result.batches) == tape.rows
    sums = result.proof.as_dict()["in"]["sums"]
    assert int(sums["size"]) == sum(int(part["sums"].get("size", 0)) for part in _parts(result))
    assert result.to_polars().height == counts["curated"]
    json.dumps(result.as_dict())
    bench.clean()


def _parts(result: RunResult) -> list[dict[str, dict[str, str]]]:
    proof = result.proof.as_dict()
    return [proof[name] for name in ("curated", "quarantined", "duplicates", "filtered")]


def test_curated_rows_are_the_files_values(bench: Bench, tape: Generated) -> None:
    """Every curated row against the line it came from, read anew as text."""
    bench.run(*tape.files)
    curated = bench.rows("curated")
    digests = {path: bench.lake.raw.digest(path) for path in tape.files}
    for path, digest in digests.items():
        lines = path.read_bytes().split(b"\n")[1:]
        for row in curated.filter(pl.col("_batch") == digest).sample(40, seed=1).iter_rows(named=True):
            fields = lines[row["_row"]].decode().split(",")
            assert str(row["price"]) == f"{float(fields[4]):.6f}"
            assert [str(row[name]) for name in ("ts_recv", "symbol", "venue", "size", "trade_id")] == [
                fields[1], fields[2], fields[3], fields[5], fields[6]
            ]  # fmt: skip
            assert row["_event_time"].strftime("%Y-%m-%dT%H:%M:%S.%f") == fields[0][:26]
            assert str(row["ts_event"])[-9:] == fields[0][20:29]


@pytest.mark.parametrize("again", ["same run", "later", "other name", "both"])
def test_the_same_content_changes_the_lake_once(bench: Bench, tape: Generated, tmp_path: Path, again: str) -> None:
    file = tape.files[0]
    copy = tmp_path / "copy of it.csv"
    copy.write_bytes(file.read_bytes())
    first = bench.run(file, copy) if again == "same run" else bench.run(file)
    assert first.rows_in == tape.rows // 4
    before = bench.content()
    if again != "same run":
        given = {"later": [file], "other name": [copy], "both": [copy, file, tape.files[1]]}[again]
        second = bench.run(*given)
        if again == "both":
            assert second.rows_in == tape.rows // 4
            assert len(second.skipped) == 2
            assert bench.batches().height == 2
            bench.clean()
            return
        assert second.status == Status.NOTHING
        assert second.rows_in == 0
        assert second.skipped == tuple(map(str, given))
    assert bench.batches().height == bench.runs().height == 1
    same(bench.content(), before)
    bench.clean()


def test_two_processes_with_the_same_files_change_the_lake_once(
    bench: Bench, tape: Generated, new_lake: NewLake
) -> None:
    Lake.open(bench.lake.root)
    both = [worker(bench, *tape.files), worker(bench, *tape.files[::-1])]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ended = [process.stdin.write("go\n") and process.stdin.flush() for process in both if process.stdin is not None]
    assert len(ended) == 2
    outcomes = []
    for process in both:
        out, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        outcomes.append(out.strip())
    assert sorted(outcomes) == ["nothing", "published"]
    assert bench.runs().height == 1
    other = new_lake("other")
    other.run(*tape.files)
    same(bench.content(), other.content())
    bench.clean()


def test_the_order_of_files_makes_no_difference(new_lake: NewLake, tape: Generated) -> None:
    one, other = new_lake("one"), new_lake("other")
    first, second = one.run(*tape.files), other.run(*(tape.files[at] for at in (2, 0, 3, 1)))
    same(one.content(), other.content())
    same(one.partitions(), other.partitions())
    assert first.proof == second.proof
    assert dict(first.rules) == dict(second.rules)
    assert first.complete_through == second.complete_through


def test_how_records_are_split_into_files_makes_no_difference(
    new_lake: NewLake, tape: Generated, tmp_path: Path
) -> None:
    """One file of everything, and nine files dealt out line by line: the same rows, duplicates and bars."""
    lines = [line for file in tape.files for line in file.read_bytes().split(b"\n")[1:] if line]
    whole, many = new_lake("whole"), new_lake("many")
    (tmp_path / "all.csv").write_bytes(b"\n".join([HEADER.encode(), *lines]))
    for number in range(9):
        (tmp_path / f"part{number}.csv").write_bytes(b"\r\n".join([HEADER.encode(), *lines[number::9], b""]))
    one = whole.run(tmp_path / "all.csv")
    other = many.run(*sorted(tmp_path.glob("part*.csv")))
    assert one.rows_in == other.rows_in == tape.rows
    assert one.proof.counts == other.proof.counts
    assert dict(one.rules) == dict(other.rules)
    names = [column.name for column in whole.contract.columns]
    for label, rows in whole.partitions().items():
        stored = many.partitions()[label]
        assert rows.select("symbol", "ts_event").equals(stored.select("symbol", "ts_event"))
        assert rows.select(names).sort(names).equals(stored.select(names).sort(names))
    assert whole.content()["bars_1m"].equals(many.content()["bars_1m"])


def test_slices_and_spilling_make_no_difference(
    new_lake: NewLake, tape: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that may hold 20 kB, quarantine that may hold 1 kB, slices of 16 kB: everything goes over the disk."""
    usual, tight = new_lake("usual"), new_lake("tight")
    usual.run(*tape.files)
    stages: list[Stage] = []
    quarantines: list[QuarantineStage] = []

    def small(made: list[object], kind: object, **bounds: int) -> object:
        def make(folder: Path) -> object:
            made.append(kind(folder, **bounds))  # type: ignore[operator]
            return made[-1]

        return make

    monkeypatch.setattr(collect, "Stage", small(stages, Stage, memory_bytes=20_000))  # type: ignore[arg-type]
    monkeypatch.setattr(collect, "QuarantineStage", small(quarantines, QuarantineStage, flush_bytes=1_000))  # type: ignore[arg-type]
    monkeypatch.setattr(embedded, "SLICE_BYTES", 16_384)
    tight.run(*tape.files)
    assert stages[0]._spilled > 10
    assert quarantines[0]._files
    same(usual.content(), tight.content())
    same(usual.partitions(), tight.partitions())
    assert not list((tight.lake.root / "staging").iterdir())
    tight.clean()


def test_late_rows_join_their_partition_and_its_bars(new_lake: NewLake, tape: Generated) -> None:
    """The file in the middle comes last: bars equal those of one run over everything."""
    whole, late = new_lake("whole"), new_lake("late")
    whole.run(*tape.files)
    late.run(tape.files[0], tape.files[2], tape.files[3])
    last = late.run(tape.files[1])
    assert last.status == Status.PUBLISHED
    assert whole.content()["bars_1m"].equals(late.content()["bars_1m"])
    rows = [bench.content()["curated"] for bench in (whole, late)]
    assert rows[0].height == rows[1].height
    late.clean()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_bars_of_prints_in_the_same_nanosecond_do_not_depend_on_who_came_first(
    new_lake: NewLake, tmp_path: Path, order: tuple[int, ...]
) -> None:
    files = [
        write_csv(
            tmp_path / f"{n}.csv", [trade("15:00:00.5", 10 * n + k, price=f"{160 + 3 * n + k}.0000") for k in range(3)]
        )
        for n in range(3)
    ]
    whole, apart = new_lake("whole"), new_lake("apart")
    whole.run(*files)
    for number in order:
        apart.run(files[number])
    assert whole.content()["bars_1m"].equals(apart.content()["bars_1m"])
    assert whole.content()["curated"].equals(apart.content()["curated"])
    apart.clean()


def test_a_broken_budget_publishes_nothing_and_keeps_the_reasons(bench: Bench, tmp_path: Path) -> None:
    good = write_csv(tmp_path / "good.csv", [trade("14:31:00", n) for n in range(20)])
    bad = write_csv(
        tmp_path / "bad.csv", [trade("14:32:00", 100 + n, price="-1" if n < 3 else "169.0000") for n in range(20)]
    )
    bench.run(good)
    before = bench.content()
    result = bench.run(bad)
    assert result.status == Status.STOPPED
    assert "15.00%" in result.stopped_because[0]
    assert result.proof.closed
    assert result.proof.counts["withheld"] == 17
    assert result.snapshots == {}
    same(bench.content(), before)
    folder = bench.lake.stopped / result.run_id
    kept = pl.read_parquet(folder / "quarantine-*.parquet")
    assert kept.height == 3
    assert {reason["code"] for row in kept["reasons"] for reason in row} == {"price_not_positive", "price_band"}
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped"
    latest = list_runs(bench.lake)[0]
    assert (latest["status"], latest["run_id"], latest["curated"]) == ("stopped", result.run_id, 0)
    assert latest["stopped_because"] == list(result.stopped_because)
    assert bench.batches().height == 1
    bench.clean()
    again = bench.run(bad)
    assert again.status == Status.STOPPED


def test_a_budget_reached_exactly_publishes(bench: Bench, tmp_path: Path) -> None:
    lines = [trade("14:32:00", n, price="-1" if n < 2 else "169.0000") for n in range(20)]
    assert bench.run(write_csv(tmp_path / "a.csv", lines)).status == Status.PUBLISHED


def test_a_rules_own_budget_stops_the_run(new_lake: NewLake, tmp_path: Path) -> None:
    strict = replaced(tmp_path, "strict.yaml", {"{rule: lateness, max: 1h}": "{rule: lateness, max: 1h, budget: 0.01}"})
    bench = new_lake(made=strict)
    lines = [trade("14:32:00", n, delay_ns=10**13 if n == 1 else 5) for n in range(50)]
    result = bench.run(write_csv(tmp_path / "a.csv", lines))
    assert result.status == Status.STOPPED
    assert result.stopped_because == ("rule late: 1 of 50 records (2.00%), the budget is 1.00%",)


def test_warnings_are_flagged_and_not_rejected(new_lake: NewLake, tmp_path: Path) -> None:
    warn = rule("odd_lot", "warning", '{rule: expression, broken: "size < 100"}')
    warn += rule("large", "warning", '{rule: expression, broken: "size > 1000"}')
    bench = new_lake(made=replaced(tmp_path, "warn.yaml", {}, warn))
    sizes = ["100", "99", "1001", "1", "100"]
    result = bench.run(write_csv(tmp_path / "a.csv", [trade("14:32:00", n, size=size) for n, size in enumerate(sizes)]))
    assert result.warnings == {"odd_lot": 2, "large": 1}
    assert result.proof.counts["quarantined"] == 0
    codes = [one.code for one in bench.contract.rules]
    bits = {name: 1 << codes.index(name) for name in ("odd_lot", "large")}
    flags = bench.rows("curated").sort("_row")["_flags"].to_list()
    assert flags == [0, bits["odd_lot"], bits["large"], bits["odd_lot"], 0]
    bench.clean()


def test_quarantine_keeps_the_bytes_and_every_reason(bench: Bench, tape: Generated, tmp_path: Path) -> None:
    tricky = tmp_path / "tricky.csv"
    lines = [trade("14:33:00", n).encode() for n in range(60)]
    lines[3] = b"nonsense,,ZZZ,NOWHERE,-1,0,,,,"
    lines[7] = b"only,three,fields"
    lines[9] = lines[9].replace(b"AAPL", b"A\xff\xfeL")
    lines[11] = lines[11].replace(b"169.0000", b'"169,0"')
    tricky.write_bytes(b"\r\n".join([HEADER.encode(), *lines]))
    bench.run(*tape.files, tricky)
    paths = {bench.lake.raw.digest(path): path for path in (*tape.files, tricky)}
    rows = bench.rows("quarantine")
    for row in rows.iter_rows(named=True):
        raw = paths[row["_batch"]].read_bytes()
        assert raw[row["_offset"] : row["_offset"] + row["_length"]] == row["_raw"]
        assert row["_raw"].rstrip(b"\r\n") == raw.split(b"\n")[row["_row"] + 1].rstrip(b"\r")
        assert row["reasons"]
        assert row["contract_version"] == "1.0.0"
        for reason in row["reasons"]:
            assert reason["severity"] == "reject"
            assert reason["bound"]
    worst = rows.filter((pl.col("_batch") == bench.lake.raw.digest(tricky)) & (pl.col("_row") == 3))["reasons"][0]
    assert {reason["code"]: reason["observed"] for reason in worst} == {
        "ts_event_invalid": "nonsense",
        "ts_recv_invalid": None,
        "symbol_unknown": "ZZZ",
        "venue_unknown": "NOWHERE",
        "price_not_positive": "-1.000000",
        "size_not_positive": "0",
        "trade_id_missing": None,
    }


def test_a_row_without_event_time_is_quarantined_though_no_rule_asks(new_lake: NewLake, tmp_path: Path) -> None:
    text = "      - name: ts_event_invalid\n"
    loose = replaced(
        tmp_path, "loose.yaml",
        {"failed(ts_event) or ts_event is null": "failed(ts_event)", text: text.replace("invalid", "unreadable")},
    )  # fmt: skip
    bench = new_lake(made=loose)
    lines = [trade("14:33:00", n) for n in range(30)]
    lines[4] = lines[4][lines[4].index(",") :]
    result = bench.run(write_csv(tmp_path / "a.csv", lines))
    assert result.rules == {"ts_event_missing": 1}
    (row,) = bench.rows("quarantine").to_dicts()
    assert [reason["code"] for reason in row["reasons"]] == ["ts_event_missing"]
    assert row["_raw"].startswith(b",")
    bench.clean()


@pytest.mark.parametrize("content", [HEADER + "\n", HEADER])
def test_a_file_without_records_is_a_batch_of_none(bench: Bench, tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.csv").write_text(content)
    result = bench.run(tmp_path / "empty.csv")
    assert result.status == Status.PUBLISHED
    assert result.rows_in == 0
    assert bench.run(tmp_path / "empty.csv").status == Status.NOTHING
    bench.clean()


def test_every_row_bad_and_allowed_leaves_no_curated_table(new_lake: NewLake, tmp_path: Path) -> None:
    lax = replaced(tmp_path, "lax.yaml", {"    value: 0.10": "    value: 1"})
    bench = new_lake(made=lax)
    result = bench.run(write_csv(tmp_path / "a.csv", [trade("14:33:00", n, price="x") for n in range(5)]))
    assert result.status == Status.PUBLISHED
    assert result.proof.counts == {"curated": 0, "quarantined": 5, "duplicates": 0, "filtered": 0}
    assert bench.rows("curated").height == 0
    bench.clean()


def test_duplicates_name_the_row_that_was_kept(new_lake: NewLake, tmp_path: Path) -> None:
    """Kept is the first received, whichever file it came in; what is published stays, though it was received later."""
    bench = new_lake()
    early = write_csv(tmp_path / "early.csv", [trade("14:30:01", 1, delay_ns=10), trade("14:30:02", 2, delay_ns=900)])
    later = write_csv(tmp_path / "later.csv", [trade("14:30:01", 1, delay_ns=500), trade("14:30:02", 2, delay_ns=20)])
    result = bench.run(later, early)
    a, b = bench.lake.raw.digest(early), bench.lake.raw.digest(later)
    assert result.proof.counts["duplicates"] == 2
    dropped = bench.rows("duplicates").sort("_row").select("_batch", "_row", "_kept_batch", "_kept_row").rows()
    assert dropped == [(b, 0, a, 0), (a, 1, b, 1)]
    third = write_csv(tmp_path / "third.csv", [trade("14:30:01", 1, delay_ns=1), trade("14:30:03", 3)])
    result = bench.run(third)
    assert result.proof.counts["duplicates"] == 1
    assert result.proof.counts["curated"] == 1
    c = bench.lake.raw.digest(third)
    assert (c, 0, a, 0) in bench.rows("duplicates").select("_batch", "_row", "_kept_batch", "_kept_row").rows()
    bench.clean()


def test_without_a_key_identical_prints_are_all_kept(new_lake: NewLake, tmp_path: Path) -> None:
    key = "value: {columns: [venue, trade_id], keepFirstBy: [ts_recv], windowDays: 7}"
    old = f"      - property: tapehouse.key\n        {key}\n"
    bench = new_lake(made=replaced(tmp_path, "keyless.yaml", {old: ""}))
    result = bench.run(write_csv(tmp_path / "a.csv", [trade("14:30:01", 1)] * 10))
    assert result.proof.counts["curated"] == 10
    bench.clean()


def test_a_key_outside_its_window_is_another_trade(new_lake: NewLake, tmp_path: Path) -> None:
    """The window bounds how far back the lake is searched: 7 days."""
    bench = new_lake()
    bench.run(write_csv(tmp_path / "a.csv", [trade("15:00:00", 1, day="2024-03-01")]))
    near = bench.run(write_csv(tmp_path / "b.csv", [trade("14:59:59", 1, day="2024-03-08")]))
    far = bench.run(write_csv(tmp_path / "c.csv", [trade("15:00:01", 1, day="2024-03-08")]))
    assert near.proof.counts["duplicates"] == 1
    assert far.proof.counts["curated"] == 1
    bench.clean()


def test_what_cannot_be_read_leaves_the_lake_as_it_was(bench: Bench, tape: Generated, tmp_path: Path) -> None:
    bench.run(tape.files[0])
    before, runs = bench.content(), bench.runs().height
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FeedError, match=r"other\.csv"):
        bench.run(tape.files[1], tmp_path / "other.csv")
    with pytest.raises(UsageError, match="names no file"):
        bench.run(tmp_path / "absent.csv")
    with pytest.raises(ReferenceDataError):
        run(bench.contract, [tape.files[1]], lake=bench.lake, references={})
    same(bench.content(), before)
    assert bench.runs().height == runs
    assert not list((bench.lake.root / "staging").iterdir())
    bench.clean()


def test_folders_and_patterns_name_their_files_once(bench: Bench, tape: Generated) -> None:
    folder = tape.files[0].parent
    result = bench.run(folder / "trades*.csv", folder / "trades_00.csv")
    assert result.rows_in == tape.rows


def test_history_of_a_run(bench: Bench, tape: Generated) -> None:
    first = bench.run(tape.files[0])
    second = bench.run(tape.files[1])
    assert [row["run_id"] for row in list_runs(bench.lake)] == [second.run_id, first.run_id]
    assert [row["run_id"] for row in list_runs(bench.lake, limit=1)] == [second.run_id]
    assert list_runs(bench.lake, contract="other") == []
    shown = show_run(bench.lake, second.run_id)
    assert shown["rows_in"] == second.rows_in
    assert shown["proof"] == second.proof.as_dict()
    assert shown["rules"] == {**second.rules, **second.warnings}
    assert [batch["digest"] for batch in shown["batch_list"]] == [batch.digest for batch in second.batches]
    assert shown["snapshots"] == second.snapshots
    tables = {edge["output"].removeprefix("consolidated_trades.") for edge in shown["lineage"]}
    assert {"curated", "bars_1m", "quarantine"} <= tables <= {"curated", "bars_1m", "quarantine", "duplicates"}
    metrics = {(one["metric"], one["column"]): one["value"] for one in shown["metrics"]}
    assert metrics["rows_in", ""] == second.rows_in
    assert metrics["rows_curated", ""] == second.proof.counts["curated"]
    assert {column: value for (name, column), value in metrics.items() if name == "rule_broken"} == second.rules
    assert metrics["low", "price"] < metrics["high", "price"]
    json.dumps(shown)
    with pytest.raises(UsageError, match="2 runs begin"):
        show_run(bench.lake, first.run_id[:8])
    with pytest.raises(UsageError, match="no run begin"):
        show_run(bench.lake, "nothing")


def test_listing_quarantine_by_rule_and_batch(bench: Bench, tape: Generated) -> None:
    result = bench.run(*tape.files)
    listed = list_quarantine(bench.lake, bench.contract.name, limit=5)
    assert listed.total == result.proof.counts["quarantined"]
    assert listed.groups == dict(result.rules)
    assert listed.rows.height == 5
    late = list_quarantine(bench.lake, bench.contract.name, rule="late")
    assert late.total == result.rules["late"]
    digest = result.batches[0].digest
    mine = list_quarantine(bench.lake, bench.contract.name, batch=digest[:10])
    assert mine.total == result.batches[0].proof.counts["quarantined"]
    assert set(mine.rows["_batch"]) == {digest}
    json.dumps(mine.as_dict())
    with pytest.raises(UsageError, match="no batches of contract"):
        list_quarantine(bench.lake, "other")


def test_stage_keeps_pieces_in_order_whoever_came_first(tmp_path: Path) -> None:
    rows = pl.DataFrame({"n": [1, 2, 3]})
    stage = Stage(tmp_path / "spill", memory_bytes=int(rows.estimated_size()))
    for partition, batch, first in ((5, 1, 0), (5, 0, 3), (5, 0, 0), (2, 1, 9)):
        stage.add(Piece(partition, batch, first, 3, rows, np.array([1])))
    assert stage.partitions == [2, 5]
    ranks = np.array([1, 0])
    order = [(piece.batch, piece.first_row) for piece in stage.pieces(5, ranks)]
    assert order == [(1, 0), (0, 0), (0, 3)]
    assert len(list((tmp_path / "spill").iterdir())) == 3
    assert all(piece.frame().equals(rows) for piece in stage)
    assert all(piece.good()["n"].to_list() == [1, 3] for piece in stage), "bad rows do not count"
    stage.drop({0})
    assert [piece.batch for piece in stage] == [1, 1]
    stage.release(2)
    assert stage.partitions == [5]
    assert stage.pieces(2, ranks) == []

"""Compaction, expiry, retention, orphans: less to keep, and not one row changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake import journal
from tapehouse.lake.compact import compact
from tapehouse.lake.expire import expire, expire_partitions
from tapehouse.lake.orphans import orphans, usage
from tapehouse.lake.publish import recover
from tapehouse.lake.read import read_curated, scan_files
from tapehouse.lake.spec import TableSpec
from tapehouse.lake.table import Partition

from .support import RUNS, START, TRADES, Bench, trades


def files_present(bench: Bench) -> int:
    return len(list((bench.lake.warehouse / "trades" / "curated" / "data").rglob("*.parquet")))


def fill(bench: Bench, runs: int = 6) -> None:
    """`runs` runs over two hours, so that each hour has a file from each run."""
    for number in range(runs):
        bench.run(f"r{number}", trades(number * 20, 10), trades(number * 20 + 10, 10, hour=1))


class Killed(BaseException):
    """Stands for the end of the process: nothing may be tidied by an `except Exception`."""


def stop_at(step: str) -> Callable[[str], None]:
    def fault(name: str) -> None:
        if name == step:
            raise Killed

    return fault


def test_compaction_merges_files_keeps_rows_and_order(bench: Bench) -> None:
    fill(bench)
    before = read_curated(bench.table()).sort("trade_id")
    done = compact(bench.lake, bench.table())
    assert [(p.label, p.files_before, p.files_after, p.rows) for p in done.partitions] == [
        ("2024-01-02-14", 6, 1, 60),
        ("2024-01-02-15", 6, 1, 60),
    ]
    table = bench.table()
    assert read_curated(table).sort("trade_id").equals(before)
    for file in table.files():
        rows = scan_files(table.schema, [file.path]).collect()
        assert rows.equals(rows.sort("symbol", "trade_id"))
    info = table.snapshots()[-1]
    assert (info.operation, info.rows_total, info.files_total) == ("replace", 120, 2)
    assert info.snapshot_id == done.snapshot_id
    assert table.ice.scan().to_arrow().num_rows == 120
    assert table.rows(as_of="r2") == 60  # time travel stays
    assert compact(bench.lake, table).partitions == ()


def test_compaction_keeps_every_type_it_meets(bench: Bench) -> None:
    kinds = pa.schema(
        [
            pa.field("n", pa.int64(), nullable=False),
            pa.field("reasons", pa.large_list(pa.struct([("code", pa.large_string()), ("bound", pa.large_string())]))),
            pa.field("raw", pa.large_binary()),
            pa.field("day", pa.date32()),
            pa.field("x", pa.float64()),
            pa.field("ok", pa.bool_()),
            pa.field("at", pa.timestamp("us", "UTC")),
        ]
    )
    spec = TableSpec("trades", "quarantine", kinds, None, ("n",))
    for number in range(3):
        rows = {
            "n": [9 - number, number],
            "reasons": [[{"code": "late", "bound": "1h"}], None],
            "raw": [b"\x00\xff", None],
            "day": [datetime(2024, 1, 2).date(), None],
            "x": [float("nan"), None],
            "ok": [True, None],
            "at": [START, None],
        }
        bench.run(f"r{number}", pl.DataFrame(rows, schema=pl.Schema(kinds)), spec=spec)
    before = scan_files(kinds, [file.path for file in bench.table(spec).files()]).collect().sort("n", "ok")
    assert compact(bench.lake, bench.table(spec)).partitions[0].files_after == 1
    (file,) = bench.table(spec).files()
    after = scan_files(kinds, [file.path]).collect()
    assert after["n"].is_sorted()
    assert after.sort("n", "ok").equals(before)
    assert bench.table(spec).ice.scan().to_arrow().num_rows == 6


def test_compaction_fills_columns_younger_than_a_file(bench: Bench) -> None:
    bench.run("r1", trades(0, 5))
    wider = replace(TRADES, schema=TRADES.schema.append(pa.field("venue", pa.large_string())))
    bench.run("r2", trades(5, 5).with_columns(venue=pl.lit("XNAS")), spec=wider)
    compact(bench.lake, bench.table())
    rows = read_curated(bench.table()).sort("trade_id")
    assert rows["venue"].to_list() == [None] * 5 + ["XNAS"] * 5


def test_compaction_respects_size_memory_and_count(bench: Bench) -> None:
    fill(bench)
    sizes = [file.bytes for file in bench.table().files()]
    assert compact(bench.lake, bench.table(), target_bytes=min(sizes)).partitions == ()
    assert compact(bench.lake, bench.table(), memory_bytes_max=1).partitions == ()
    assert compact(bench.lake, bench.table(), min_files=7).partitions == ()
    halves = compact(bench.lake, bench.table(), target_bytes=max(sizes) * 3 + 10)
    assert [p.files_after for p in halves.partitions] == [2, 2]
    with pytest.raises(LakeError, match="min_files at least 2"):
        compact(bench.lake, bench.table(), min_files=1)


def test_compaction_that_would_lose_a_row_changes_nothing(bench: Bench) -> None:
    fill(bench, 2)
    victim = bench.table().files()[0]
    rows = pl.read_parquet(victim.path)
    rows.head(9).write_parquet(victim.path)  # the disk lost a row behind the lake's back
    with pytest.raises(LakeError, match=r"would change rows .I1.*20 stated"):
        compact(bench.lake, bench.table())
    assert len(bench.table().snapshots()) == 2
    assert files_present(bench) == 4


@pytest.mark.parametrize(("step", "merged"), [("synced", False), ("journal", True), ("after trades.curated", True)])
def test_compaction_stopped_midway_is_finished_or_undone(bench: Bench, step: str, merged: bool) -> None:
    fill(bench, 3)
    with pytest.raises(Killed):
        compact(bench.lake, bench.table(), run_id="c1", fault=stop_at(step))
    with bench.lake.lock():
        assert recover(bench.lake) == (["c1"] if merged else [])
    assert len(bench.table().files()) == (2 if merged else 6)
    assert bench.ids() == list(range(60))
    assert journal.pending(bench.lake.journal) == []


def test_expiry_forgets_snapshots_and_removes_only_their_files(bench: Bench) -> None:
    fill(bench, 4)
    compact(bench.lake, bench.table())
    assert files_present(bench) == 10
    done = expire(bench.lake, bench.table(), keep_last=2)
    assert len(done.snapshot_ids) == 3
    assert files_present(bench) == 10  # the one before the compaction still needs its eight
    table = bench.table()
    assert table.snapshots()[0].run_id == "r3"
    assert read_curated(table, as_of="r3").height == 80
    with pytest.raises(UsageError, match="no snapshot of run r1"):
        read_curated(table, as_of="r1")
    done = expire(bench.lake, table, keep_last=1)
    assert files_present(bench) == 2
    assert done.files_removed > 8
    assert done.bytes_removed > 0
    assert bench.ids() == list(range(80))
    assert bench.table().ice.scan().to_arrow().num_rows == 80
    assert expire(bench.lake, table, keep_last=1).snapshot_ids == ()
    assert orphans(bench.lake, older_than=timedelta(0)).paths == ()


def test_expiry_by_age_keeps_the_younger(bench: Bench) -> None:
    bench.run("r0", trades(0, 5))
    time.sleep(0.02)
    middle = datetime.now(UTC)
    time.sleep(0.02)
    bench.run("r1", trades(5, 5))
    bench.run("r2", trades(10, 5))
    assert len(expire(bench.lake, bench.table(), older_than=middle, keep_last=3).snapshot_ids) == 0
    assert len(expire(bench.lake, bench.table(), older_than=middle).snapshot_ids) == 1
    assert [info.run_id for info in bench.table().snapshots()] == ["r1", "r2"]
    assert bench.table().rows(as_of=middle) == 0


def test_expiry_stopped_midway_leaves_orphans_and_no_damage(bench: Bench) -> None:
    fill(bench, 3)
    compact(bench.lake, bench.table())
    with pytest.raises(Killed):
        expire(bench.lake, bench.table(), keep_last=1, fault=stop_at("forgotten"))
    assert bench.ids() == list(range(60))
    assert orphans(bench.lake).paths == ()  # too young
    found = orphans(bench.lake, older_than=timedelta(0), remove=True)
    assert sum(path.suffix == ".parquet" for path in found.paths) == 6
    assert files_present(bench) == 2
    assert bench.ids() == list(range(60))


@pytest.mark.parametrize("arguments", [{}, {"keep_last": 0}, {"older_than": datetime(2024, 1, 1)}])
def test_expiry_needs_sensible_limits(bench: Bench, arguments: dict[str, object]) -> None:
    fill(bench, 1)
    with pytest.raises(UsageError):
        expire(bench.lake, bench.table(), **arguments)  # type: ignore[arg-type]


def test_retention_spares_what_is_young_or_protected(bench: Bench) -> None:
    bench.run("r0", *(trades(hour * 10, 10, hour=hour) for hour in range(5)))
    limit = START + timedelta(hours=3, minutes=30)
    done = expire_partitions(bench.lake, bench.table(), limit, protect={"2024-01-02-15"})
    assert done.expired == ("2024-01-02-14", "2024-01-02-16")
    assert done.protected == ("2024-01-02-15",)
    assert (done.rows_removed, done.files_removed) == (20, 2)
    assert bench.ids() == [*range(10, 20), *range(30, 50)]
    info = bench.table().snapshots()[-1]
    assert (info.operation, info.rows_total) == ("delete", 30)
    assert bench.table().rows(as_of="r0") == 50
    again = expire_partitions(
        bench.lake, bench.table(), limit, protect=lambda part: part.start == START + timedelta(hours=1)
    )
    assert (again.snapshot_id, again.expired, again.protected) == (None, (), ("2024-01-02-15",))
    expire(bench.lake, bench.table(), keep_last=1)
    assert files_present(bench) == 3


def test_retention_can_empty_a_table(bench: Bench) -> None:
    bench.run("r0", trades(0, 10))
    seen: list[Partition] = []
    expire_partitions(
        bench.lake, bench.table(), START + timedelta(days=9), protect=lambda part: bool(seen.append(part))
    )
    assert (seen[0].start, seen[0].end) == (START, START + timedelta(hours=1))
    assert bench.table().rows() == 0
    assert read_curated(bench.table()).schema == trades(0, 3).schema
    bench.run("r1", trades(10, 10))
    assert bench.ids() == list(range(10, 20))
    with pytest.raises(UsageError, match="not partitioned by time"):
        expire_partitions(bench.lake, bench.table(RUNS), START)


def test_orphans_spare_the_named_the_young_the_pending_and_the_living(bench: Bench) -> None:
    bench.run("r0", trades(0, 10))
    stray = bench.file("dead", trades(10, 10))
    assert orphans(bench.lake, older_than=timedelta(0)).paths == (stray,)
    assert orphans(bench.lake).paths == ()
    with bench.lake.staging("alive"):
        living = bench.file("alive", trades(20, 10))
        found = orphans(bench.lake, older_than=timedelta(0), remove=True)
        assert found.paths == (stray,)
        assert found.bytes > 0
        assert (stray.exists(), living.exists()) == (False, True)
    assert bench.ids() == list(range(10))


def test_usage_tells_live_history_and_metadata_apart(bench: Bench) -> None:
    fill(bench, 3)
    compact(bench.lake, bench.table())
    found = {table.identifier: table for table in usage(bench.lake).tables}
    curated = found["trades.curated"]
    assert (curated.rows, curated.live_files, curated.history_files, curated.snapshots) == (60, 2, 6, 4)
    assert curated.live_bytes == sum(file.bytes for file in bench.table().files())
    assert curated.metadata_bytes > 0
    assert usage(bench.lake).total_bytes > curated.live_bytes + curated.history_bytes + curated.metadata_bytes

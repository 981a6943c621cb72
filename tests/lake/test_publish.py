"""Publishing: one snapshot per table, checked before it is decided, readable by everyone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from tapehouse.errors import LakeError
from tapehouse.lake import journal
from tapehouse.lake.files import stage_rows, write
from tapehouse.lake.publish import PublicationPendingError, publish, recover
from tapehouse.lake.spec import Staged

from .support import RUNS, TRADES, Bench, trades


def test_a_run_is_one_snapshot_per_table_with_its_id(bench: Bench) -> None:
    done = bench.run("r1", trades(0, 10), trades(10, 10, hour=1))
    assert [(t.identifier, t.added_files, t.removed_files, t.again) for t in done.tables] == [
        ("trades.curated", 2, 0, False),
        ("tapehouse.runs", 1, 0, False),
    ]
    (info,) = bench.table().snapshots()
    assert (info.run_id, info.operation, info.rows_total, info.files_total) == ("r1", "append", 20, 2)
    assert info.summary["note"] == "test"
    assert info.snapshot_id == done.tables[0].snapshot_id
    assert {file.partition.label for file in bench.table().files()} == {"2024-01-02-14", "2024-01-02-15"}
    assert bench.table().sort == ("symbol", "trade_id")
    assert bench.table().partition_by == ("hour", "_event_time")
    assert bench.table().ice.format_version == 2


def test_publishing_again_changes_nothing(bench: Bench) -> None:
    first = bench.run("r1", trades(0, 10))
    with bench.lake.lock():
        again = publish(bench.lake, "r1", [Staged(TRADES), Staged(RUNS)], {})
    assert [t.snapshot_id for t in again.tables] == [t.snapshot_id for t in first.tables]
    assert all(t.again for t in again.tables)
    assert len(bench.table().snapshots()) == 1


def test_replacing_a_partitions_file_is_one_snapshot(bench: Bench) -> None:
    bench.run("r1", trades(0, 10), trades(100, 10, hour=1))
    old = [str(file.path) for file in bench.table().files() if file.partition.label == "2024-01-02-14"]
    bench.run("r2", trades(0, 12), remove=tuple(old))
    assert bench.ids() == [*range(12), *range(100, 110)]
    info = bench.table().snapshots()[-1]
    assert (info.operation, info.rows_added, info.rows_removed, info.rows_total) == ("overwrite", 12, 10, 22)
    assert bench.table().rows(as_of="r1") == 20


def test_files_of_an_unpartitioned_table_can_be_replaced(bench: Bench) -> None:
    bench.run("r1", trades(0, 3))
    with bench.lake.lock():
        old = [str(file.path) for file in bench.table(RUNS).files()]
        staged = stage_rows(bench.lake, RUNS, pl.DataFrame({"run_id": ["fixed"]}), "r2")
        publish(bench.lake, "r2", [replace(staged, remove=tuple(old))], {})
    assert bench.ids(RUNS, "run_id") == ["fixed"]


def test_other_readers_see_the_same_rows(bench: Bench) -> None:
    bench.run("r1", trades(0, 50), trades(50, 50, hour=3))
    catalog = SqlCatalog("tapehouse", uri=f"sqlite:///{bench.lake.root}/catalog.db")
    table = catalog.load_table("trades.curated")
    iceberg = table.scan().to_arrow()
    wanted = pl.concat([trades(0, 50), trades(50, 50, hour=3)])
    rows = pl.DataFrame(iceberg).sort("trade_id")
    assert rows.with_columns((pl.col("price") * 1_000_000).cast(pl.Int64)).equals(wanted)
    assert table.scan(row_filter="_event_time >= '2024-01-02T17:00:00+00:00'").to_arrow().num_rows == 50
    assert table.scan(row_filter="symbol = 'SPY' and price > 1.000020").to_arrow().num_rows == sum(
        1 for i in range(21, 100) if i % 3 == 2 and i % 7
    )
    paths = [str(file.path) for file in bench.table().files()]
    count, total = duckdb.read_parquet(paths).aggregate("count(*), sum(price)").fetchall()[0]
    assert (count, int(total * 1_000_000)) == (100, wanted["price"].sum())
    assert pl.scan_iceberg(table).select(pl.len()).collect().item() == 100


def test_columns_are_added_and_never_dropped(bench: Bench) -> None:
    bench.run("r1", trades(0, 5))
    wider = replace(TRADES, schema=TRADES.schema.append(pa.field("venue", pa.large_string(), nullable=False)))
    bench.run("r2", trades(5, 5).with_columns(venue=pl.lit("XNAS")), spec=wider)
    bench.run("r3", trades(10, 5))  # the older contract again
    table = bench.table()
    assert table.schema.names == [*TRADES.schema.names, "venue"]
    assert table.schema.field("venue").nullable  # rows from before have none
    rows = pl.DataFrame(table.ice.scan().to_arrow()).sort("trade_id")
    assert rows["venue"].to_list() == [None] * 5 + ["XNAS"] * 5 + [None] * 5
    assert [len(table.schema_at(run).names) for run in ("r1", "r2", "r3")] == [4, 5, 5]


def test_a_required_column_may_become_optional(bench: Bench) -> None:
    bench.run("r1", trades(0, 5))
    fields = [pa.field("symbol", pa.large_string()) if f.name == "symbol" else f for f in TRADES.schema]
    loose = replace(TRADES, schema=pa.schema(fields))
    bench.run("r2", trades(5, 5).with_columns(symbol=pl.lit(None, pl.String)), spec=loose)
    assert bench.table().schema.field("symbol").nullable
    assert bench.table().rows() == 10


def test_properties_of_the_spec_reach_the_table(bench: Bench) -> None:
    bench.run("r1", trades(0, 5))
    bench.run("r2", trades(5, 5), spec=replace(TRADES, properties={"owner": "desk"}))
    assert bench.table().properties["owner"] == "desk"


def test_what_cannot_be_committed_is_refused_before_it_is_decided(bench: Bench) -> None:
    bench.run("r1", trades(0, 5))
    price = TRADES.schema.get_field_index("price")
    double = replace(TRADES, schema=TRADES.schema.set(price, pa.field("price", pa.float64())))
    daily = replace(TRADES, partition_by=("day", "_event_time"))
    (live,) = (str(file.path) for file in bench.table().files())
    cases = {
        "is decimal.* in the lake and double": Staged(double),
        "partitioned by hour.* in the lake, not by day": Staged(daily),
        "spans partitions": Staged(TRADES, (bench.file("x1", pl.concat([trades(5, 5), trades(9, 5, hour=1)])),)),
        "do not exist": Staged(TRADES, (Path(live).with_name("x2-00000.parquet"),)),
        "not in its current snapshot": Staged(TRADES, (), (live + "x",)),
        "staged twice": Staged(TRADES, (bench.file("x3", trades(5, 5)),) * 2),
        "does not exist, so no file": Staged(replace(TRADES, name="other"), (), (live,)),
    }
    with bench.lake.lock():
        for says, staged in cases.items():
            with pytest.raises(LakeError, match=says):
                publish(bench.lake, "bad", [staged], {})
            assert journal.pending(bench.lake.journal) == []
        with pytest.raises(LakeError, match="more than once"):
            publish(bench.lake, "bad", [Staged(TRADES), Staged(TRADES)], {})
    assert bench.ids() == list(range(5))
    assert bench.lake.names() == ["tapehouse.runs", "trades.curated"]


def test_files_that_do_not_fit_the_table_are_refused(bench: Bench) -> None:
    def staged(run_id: str, rows: pl.DataFrame) -> Staged:
        path = bench.lake.data_file(TRADES, "label", run_id, 0)
        write(rows, path)
        return Staged(TRADES, (path,))

    good = trades(0, 5).with_columns(price=pl.lit(None, pl.Decimal(18, 6)))
    nulls = good.with_columns(symbol=pl.when(pl.col("trade_id") > 1).then("symbol"))
    cases = {
        "column extra is not in the table": good.with_columns(extra=1),
        "price is double": good.with_columns(price=1.5),
        "required columns absent: symbol": good.drop("symbol"),
        "required column symbol holds 2 nulls": nulls,
        "has no rows": good.clear(),
    }
    with bench.lake.lock():
        for number, (says, rows) in enumerate(cases.items()):
            with pytest.raises(LakeError, match=says):
                publish(bench.lake, "bad", [staged(f"x{number}", rows)], {})
        assert publish(bench.lake, "good", [staged("good", good)], {}).tables[0].added_files == 1
    assert bench.ids() == list(range(5))


def test_writing_needs_the_lock(bench: Bench) -> None:
    with pytest.raises(LakeError, match="lock is not held"):
        publish(bench.lake, "r1", [], {})
    with pytest.raises(LakeError, match="lock is not held"):
        recover(bench.lake)


def test_failing_before_the_first_table_takes_the_decision_back(bench: Bench) -> None:
    def fault(step: str) -> None:
        if step == "before trades.curated":
            raise OSError(28, "No space left on device")

    with bench.lake.lock():
        staged = stage_rows(bench.lake, TRADES, trades(0, 5), "r1")
        with pytest.raises(LakeError, match="disk full while publishing"):
            publish(bench.lake, "r1", [staged], {}, fault=fault)
        assert recover(bench.lake) == []
    assert bench.ids() == []


def test_failing_between_tables_leaves_the_rest_to_the_next_writer(bench: Bench) -> None:
    def fault(step: str) -> None:
        if step == "before tapehouse.runs":
            raise OSError(28, "No space left on device")

    with bench.lake.lock():
        staged = [
            stage_rows(bench.lake, TRADES, trades(0, 5), "r1"),
            stage_rows(bench.lake, RUNS, pl.DataFrame({"run_id": ["r1"]}), "r1"),
        ]
        with pytest.raises(PublicationPendingError, match="not all its tables") as caught:
            publish(bench.lake, "r1", staged, {}, fault=fault)
    assert caught.value.run_id == "r1"
    assert bench.ids(RUNS, "run_id") == []
    bench.run("r2", trades(5, 5))
    assert bench.ids(RUNS, "run_id") == ["r1", "r2"]
    assert bench.ids() == list(range(10))


def test_a_damaged_journal_is_named_and_never_applied(bench: Bench) -> None:
    def fault(step: str) -> None:
        if step == "after trades.curated":
            raise OSError(5, "Input/output error")

    with bench.lake.lock():
        staged = [stage_rows(bench.lake, TRADES, trades(0, 5), "r1"), Staged(RUNS)]
        with pytest.raises(PublicationPendingError):
            publish(bench.lake, "r1", staged, {}, fault=fault)
    path = journal.path_of(bench.lake.journal, "r1")
    whole = path.read_bytes()
    for torn in (whole[: len(whole) // 2], b"", whole.replace(b"curated", b"cureted")):
        path.write_bytes(torn)
        with bench.lake.lock(), pytest.raises(LakeError, match=r"journal .*r1\.json is damaged"):
            recover(bench.lake)
    path.write_bytes(whole)
    with bench.lake.lock():
        assert recover(bench.lake) == ["r1"]


def test_metadata_does_not_grow_without_bound(bench: Bench) -> None:
    for number in range(45):
        with bench.lake.lock():
            staged = stage_rows(bench.lake, TRADES, trades(number, 1), f"r{number}")
            publish(bench.lake, f"r{number}", [staged], {})
    table = bench.table()
    folder = bench.lake.warehouse / "trades" / "curated" / "metadata"
    assert len(list(folder.glob("*.metadata.json"))) <= 6
    snapshot = table.ice.current_snapshot()
    assert snapshot is not None
    assert len(snapshot.manifests(table.ice.io)) <= 20
    assert table.rows() == 45
    assert len(table.snapshots()) == 45

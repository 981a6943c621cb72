"""Spark SQL with Iceberg's own runtime, pyiceberg and DuckDB over one lake: the same rows, whoever wrote them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import polars.selectors as cs
import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import CommitFailedException

from tapehouse.contracts.model import Contract
from tapehouse.lake.compact import compact
from tapehouse.lake.expire import expire
from tapehouse.lake.home import Lake
from tapehouse.lake.iceberg.schemas import to_arrow
from tapehouse.lake.query import query
from tapehouse.lake.serve import settings
from tapehouse.lake.serve.server import Access, CatalogueServer
from tapehouse.runs.result import RunResult
from tapehouse.runs.run import run
from tapehouse.runs.verify import verify
from tapehouse.synthetic.truth import Generated

from .support import iceberg_runtime, rows_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        iceberg_runtime() is None, reason="needs PySpark 3.5 and snowpark-connect-deps-iceberg (extra spark35)"
    ),
]
TOKEN = "a token for Spark and pyiceberg"
BARS_DIFFER = "differs from what its curated rows give"
TRADES = "consolidated_trades"
NAMES = count(1)
# pyiceberg 0.12 reads a null list of structs as an empty one: apache/iceberg-python#3833.
NULL_LISTS = cs.list(cs.struct()).fill_null([])


@dataclass
class Served:
    """A lake, Spark and pyiceberg as clients of its server, and the runs that are in it."""

    lake: Lake
    spark: SparkSession
    name: str
    client: RestCatalog
    runs: list[RunResult]

    def sql(self, text: str) -> DataFrame:
        """Spark SQL, in which `lake` is this lake."""
        return self.spark.sql(text.replace("lake.", f"{self.name}."))

    def late(self, contract: Contract, tape: Generated) -> RunResult:
        """Run the second half of the tape."""
        assert tape.reference is not None
        late = run(contract, tape.files[2:], lake=Lake.open(self.lake.root), references={"symbols": tape.reference})
        assert late.status == "published"
        return late

    def same(self, table: str, where: str = "true") -> pl.DataFrame:
        """The rows of a table, after checking that all three see them alike; in one order."""
        schema = self.client.load_table(table).schema()
        held = query(self.lake, f"SELECT * FROM {table} WHERE {where}").cast(to_arrow(schema))
        scanned = self.client.load_table(table).scan(where).to_arrow().cast(to_arrow(schema))
        duck, ice = ordered(pl.DataFrame(held)), ordered(pl.DataFrame(scanned))
        spark = ordered(rows_of(self.sql(f"SELECT * FROM lake.{table} WHERE {where}")))
        assert spark.columns == duck.columns
        assert spark.cast(duck.schema).equals(duck)
        assert ice.equals(duck.with_columns(NULL_LISTS))
        return duck


def ordered(frame: pl.DataFrame) -> pl.DataFrame:
    flat = [name for name, kind in frame.schema.items() if not kind.is_nested()]
    return frame.sort(flat, nulls_last=True)


@contextmanager
def served(folder: Path, spark: SparkSession, contract: Contract, tape: Generated, *, files: int) -> Iterator[Served]:
    """The tape's first files in two runs; the folder's name has what must be quoted somewhere."""
    assert tape.reference is not None
    lake, parts = Lake.open(folder / "a lake, 100%"), [tape.files[:2], tape.files[2:files]]
    runs = [run(contract, part, lake=lake, references={"symbols": tape.reference}) for part in parts if part]
    with CatalogueServer(lake, "127.0.0.1", 0, Access(TOKEN, writable=True)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        name = f"lake{next(NAMES)}"
        for key, value in settings.spark(server.uri, token=TOKEN).items():
            if key != "spark.sql.extensions":
                spark.conf.set(key.replace("catalog.lake", f"catalog.{name}"), value)
        client = RestCatalog("lake", **settings.pyiceberg(server.uri, token=TOKEN))
        yield Served(lake, spark, name, client, runs)
        server.shutdown()


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, trades: Contract, tape: Generated
) -> Iterator[Served]:
    """All of the tape. Only for tests that do not change it."""
    with served(tmp_path_factory.mktemp("whole"), spark, trades, tape, files=4) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path, spark: SparkSession, trades: Contract, tape: Generated) -> Iterator[Served]:
    """Half of the tape, for one test to change."""
    with served(tmp_path, spark, trades, tape, files=2) as made:
        yield made


@pytest.mark.parametrize("vectorised", ["true", "false"])
def test_every_table(whole: Served, spark: SparkSession, vectorised: str) -> None:
    spark.conf.set("spark.sql.iceberg.vectorization.enabled", vectorised)
    rows = {name: whole.same(name) for name in whole.lake.names()}
    spark.conf.unset("spark.sql.iceberg.vectorization.enabled")
    counts: dict[str, int] = {}
    for one in whole.runs:
        counts = {name: counts.get(name, 0) + number for name, number in one.proof.counts.items()}
    assert rows[f"{TRADES}.curated"].height == counts["curated"] > 19_000
    assert rows[f"{TRADES}.quarantine"].height == counts["quarantined"] > 200
    assert rows[f"{TRADES}.duplicates"].height == counts["duplicates"] > 10
    reasons = rows[f"{TRADES}.quarantine"].explode("reasons")["reasons"].struct
    assert reasons.field("code").n_unique() > 5
    assert rows[f"{TRADES}.curated"].schema["price"] == pl.Decimal(18, 6)
    assert rows[f"{TRADES}.curated"].schema["_event_time"] == pl.Datetime("us", "UTC")
    assert rows[f"{TRADES}.quarantine"]["_event_time"].null_count() > 0
    assert (rows["tapehouse.metrics"]["column"] == "").sum() > 5


def test_filters_and_partitions_left_out(whole: Served) -> None:
    table = f"{TRADES}.curated"
    every = whole.same(table)
    price, symbol = every["price"].sort()[9_000], every["symbol"].sort()[5_000]
    hour = "_event_time >= '2024-03-04T16:00:00+00:00' AND _event_time < '2024-03-04T17:00:00+00:00'"
    sizes = [
        whole.same(table, where).height
        for where in (hour, f"price = {price}", f"symbol = '{symbol}'", f"{hour} AND size > 50", "price IS NULL")
    ]
    assert all(0 < size < every.height for size in sizes[:4])
    read = "SELECT DISTINCT input_file_name() AS f FROM lake." + table
    assert whole.sql(f"{read} WHERE {hour}").count() < whole.sql(read).count()


def test_time_travel(whole: Served) -> None:
    first = whole.runs[0]
    for name in ("curated", "bars_1m", "quarantine"):
        table = whole.lake.table(TRADES, name)
        assert table is not None
        number = table.snapshot_of_run(first.run_id)
        then = whole.sql(f"SELECT * FROM lake.{TRADES}.{name} VERSION AS OF {number}")
        held = pl.DataFrame(query(whole.lake, f"SELECT * FROM {TRADES}.{name}", first.run_id))
        spark = ordered(rows_of(then))
        assert spark.equals(ordered(held).cast(spark.schema))
        assert 0 < spark.height < whole.same(f"{TRADES}.{name}").height


def test_metadata_tables(whole: Served) -> None:
    table = whole.lake.table(TRADES, "curated")
    assert table is not None
    told = whole.sql(f"SELECT snapshot_id, summary['tapehouse.run-id'] FROM lake.{TRADES}.curated.snapshots").collect()
    assert {(row[0], row[1]) for row in told} == {(info.snapshot_id, info.run_id) for info in table.snapshots()}
    files = whole.sql(f"SELECT file_path, record_count, content FROM lake.{TRADES}.curated.files").collect()
    assert {tuple(row) for row in files} == {(str(file.path), file.rows, 0) for file in table.files()}
    parts = whole.sql(f"SELECT sum(record_count), count(*) FROM lake.{TRADES}.curated.partitions").first()
    assert tuple(parts) == (table.snapshots()[-1].rows_total, len({file.partition.label for file in table.files()}))


def test_a_table_of_sparks_own(own: Served) -> None:
    own.sql("CREATE NAMESPACE lake.desk")
    own.sql(
        "CREATE TABLE lake.desk.notes (id BIGINT NOT NULL, note STRING, at TIMESTAMP, price DECIMAL(12, 4), "
        "reasons ARRAY<STRUCT<code: STRING, n: INT>>) PARTITIONED BY (days(at))"
    )
    own.sql(
        "INSERT INTO lake.desk.notes VALUES (1, 'a', TIMESTAMP '2026-01-02 03:04:05.123456Z', 1.5, NULL), "
        "(2, '', NULL, NULL, array(named_struct('code', '', 'n', NULL))), "
        "(3, NULL, TIMESTAMP '1969-12-31 23:59:59.999999Z', -0.0001, array())"
    )
    assert own.same("desk.notes").height == 3
    own.sql("ALTER TABLE lake.desk.notes ADD COLUMN desk STRING")
    assert own.same("desk.notes")["desk"].to_list() == [None] * 3
    own.sql("INSERT INTO lake.desk.notes SELECT id + 10, note, at, price, reasons, 'fx' FROM lake.desk.notes")
    own.sql("DELETE FROM lake.desk.notes WHERE id = 2")
    own.sql("UPDATE lake.desk.notes SET note = 'z' WHERE id = 3")
    own.sql(
        "MERGE INTO lake.desk.notes t USING (SELECT 11L AS id, 'm' AS note) s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET note = s.note"
    )
    notes = own.same("desk.notes").sort("id")
    assert notes.select("id", "note", "desk").rows() == [
        (1, "a", None), (3, "z", None), (11, "m", "fx"), (12, "", "fx"), (13, None, "fx"),
    ]  # fmt: skip
    table = own.lake.table("desk", "notes")
    assert table is not None
    compact(own.lake, table)
    expire(own.lake, table, keep_last=1)
    assert own.same("desk.notes").sort("id").equals(notes)
    own.sql("INSERT OVERWRITE lake.desk.notes SELECT * FROM lake.desk.notes WHERE id = 1")
    assert own.same("desk.notes")["id"].to_list() == [1]
    metadata = own.lake.warehouse / "desk" / "notes" / "metadata"
    assert len(list(metadata.glob("*.metadata.json"))) == 6, "Spark's client leaves old versions to the catalogue"
    own.sql(f"CREATE TABLE lake.desk.bars AS SELECT * FROM lake.{TRADES}.bars_1m")
    assert own.same("desk.bars").equals(own.same(f"{TRADES}.bars_1m"))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("ALTER TABLE lake.desk.notes RENAME COLUMN note TO text", "only gain columns"),
        ("ALTER TABLE lake.desk.notes DROP COLUMN note", "only gain columns"),
        ("ALTER TABLE lake.desk.notes ALTER COLUMN n TYPE BIGINT", "only gain columns"),
        ("ALTER TABLE lake.desk.notes ADD PARTITION FIELD bucket(4, n)", "partitioned by at most one"),
        ("ALTER TABLE lake.desk.notes SET TBLPROPERTIES ('write.data.path' = '/tmp')", "write.data.path"),
        ("ALTER TABLE lake.desk.notes SET TBLPROPERTIES ('format-version' = '3')", "format"),
        ("DELETE FROM lake.desk.notes WHERE n = 1", "copy-on-write"),
        ("CREATE TABLE lake.desk.other (m MAP<STRING, INT>)", "map"),
        ("CREATE TABLE lake.desk.other (n INT) LOCATION '/tmp/elsewhere'", "nowhere else"),
        ("INSERT INTO lake.tapehouse.runs SELECT * FROM lake.tapehouse.runs", "books"),
        ("DROP TABLE lake.desk.notes", "not support"),
    ],
)
def test_what_the_lakes_tools_could_not_keep_is_refused(own: Served, statement: str, told: str) -> None:
    own.sql("CREATE NAMESPACE lake.desk")
    own.sql(
        "CREATE TABLE lake.desk.notes (n INT, note STRING) TBLPROPERTIES ('write.delete.mode' = 'merge-on-read', "
        "'write.distribution-mode' = 'none')"
    )
    own.spark.range(1, 10).selectExpr("cast(id AS int) n", "cast(id AS string) note").coalesce(1).writeTo(
        f"{own.name}.desk.notes"
    ).append()
    with pytest.raises(Exception, match=told):
        own.sql(statement)
    assert own.same("desk.notes").height == 9
    assert verify(own.lake, deep=True).ok


def test_rows_from_outside_in_a_table_under_contract(own: Served, trades: Contract, tape: Generated) -> None:
    """They are seen by all, the next run works, and verify names them, and what was derived with them."""
    table, strange = f"{TRADES}.curated", "repeat('f', 64)"
    before = own.same(table)
    changed = {"_batch": f"{strange} AS _batch", "trade_id": "concat('s', trade_id) AS trade_id"}

    def append() -> None:
        rows = own.sql(f"SELECT * FROM lake.{table} ORDER BY ts_event DESC LIMIT 3")
        rows.selectExpr(*(changed.get(name, name) for name in rows.columns)).writeTo(f"{own.name}.{table}").append()
        assert own.same(table).height == before.height + 3
        found = [finding.what for finding in verify(own.lake).findings]
        assert found == ["rows of a batch that no published run names"]

    append()
    own.sql(f"DELETE FROM lake.{table} WHERE _batch = {strange}")
    assert verify(own.lake, deep=True).ok
    append()
    late = own.late(trades, tape)
    assert own.same(table).height == before.height + 3 + late.proof.counts["curated"]
    own.sql(f"DELETE FROM lake.{table} WHERE _batch = {strange}")
    own.same(table)
    assert verify(own.lake).ok
    assert {finding.what for finding in verify(own.lake, deep=True).findings} <= {BARS_DIFFER}


def test_rows_removed_or_changed_from_outside(own: Served) -> None:
    for change, told in (
        (f"UPDATE lake.{TRADES}.curated SET size = size + 1 WHERE _row = 8", "curated values differ from the proof"),
        (f"DELETE FROM lake.{TRADES}.curated WHERE _row = 7", "its proof says"),
    ):
        own.sql(change)
        own.same(f"{TRADES}.curated")
        assert any(told in finding.what for finding in verify(own.lake).findings)


def test_a_column_from_outside_in_a_table_under_contract(own: Served, trades: Contract, tape: Generated) -> None:
    own.sql(f"ALTER TABLE lake.{TRADES}.curated ADD COLUMN remark STRING")
    own.late(trades, tape)
    assert own.same(f"{TRADES}.curated")["remark"].null_count() > 19_000
    assert verify(own.lake, deep=True).ok


def test_spark_pyiceberg_and_a_run_commit_at_once(own: Served, trades: Contract, tape: Generated) -> None:
    own.sql("CREATE NAMESPACE lake.desk")
    own.sql("CREATE TABLE lake.desk.notes (id BIGINT, who STRING)")

    def from_spark(number: int) -> None:
        own.sql(f"INSERT INTO lake.desk.notes VALUES ({number}, 'spark')")

    def from_pyiceberg(number: int) -> None:
        table = own.client.load_table("desk.notes")
        table.append(pl.DataFrame({"id": [number], "who": ["pyiceberg"]}).to_arrow())

    def from_a_run(_: int) -> None:
        own.late(trades, tape)

    work: list[tuple[Any, int]] = [(from_a_run, 0)]
    for number in range(4):
        work += [(from_spark, number), (from_pyiceberg, 100 + number)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(does, number) for does, number in work]:
            done.result(timeout=120)
    assert sorted(own.same("desk.notes")["id"].to_list()) == [*range(4), *range(100, 104)]
    assert verify(own.lake, deep=True).ok


def test_a_commit_on_a_state_that_is_past(own: Served) -> None:
    """It is refused; read anew and tried again, it is taken, and both changes are there."""
    own.sql("CREATE NAMESPACE lake.desk")
    own.sql("CREATE TABLE lake.desk.notes (id BIGINT)")
    own.sql("INSERT INTO lake.desk.notes VALUES (1)")
    stale = own.client.load_table("desk.notes")
    update = stale.update_schema().add_column("a", stale.schema().find_type("id"))
    own.sql("ALTER TABLE lake.desk.notes ADD COLUMN b BIGINT")
    own.sql("INSERT INTO lake.desk.notes VALUES (2, 2)")
    with pytest.raises(CommitFailedException, match="Requirement failed"):
        update.commit()
    stale.refresh().update_schema().add_column("a", stale.schema().find_type("id")).commit()
    assert own.same("desk.notes").columns == ["id", "b", "a"]
    assert own.same("desk.notes")["id"].to_list() == [1, 2]

"""What Spark writes into a lake: the same rows for all, the lake still in order, and verify not deceived."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from pyiceberg.exceptions import CommitFailedException

from tapehouse.contracts.model import Contract
from tapehouse.lake.compact import compact
from tapehouse.lake.expire import expire
from tapehouse.runs.verify import verify
from tapehouse.synthetic.truth import Generated

from .serving import NEEDS_ICEBERG, TRADES, Served, served

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.both_lines, NEEDS_ICEBERG]
BARS_DIFFER = "differs from what its curated rows give"


@pytest.fixture
def own(tmp_path: Path, spark: SparkSession, trades: Contract, tape: Generated) -> Iterator[Served]:
    """Half of the tape, for one test to change."""
    with served(tmp_path, spark, trades, tape, files=2) as made:
        yield made


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

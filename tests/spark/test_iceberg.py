"""Spark SQL with Iceberg's own runtime, pyiceberg and DuckDB over a lake: the same rows, then and now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
import pytest

from tapehouse.contracts.model import Contract
from tapehouse.lake.query import query
from tapehouse.synthetic.truth import Generated

from .serving import NEEDS_ICEBERG, TRADES, Served, ordered, served
from .support import rows_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.both_lines, NEEDS_ICEBERG]


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, trades: Contract, tape: Generated
) -> Iterator[Served]:
    """All of the tape. Only for tests that do not change it."""
    with served(tmp_path_factory.mktemp("whole"), spark, trades, tape, files=4) as made:
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

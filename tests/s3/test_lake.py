"""The lake in S3 as a lake: what is published, by whom it can be read, and what upkeep does with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake.compact import compact
from tapehouse.lake.expire import expire
from tapehouse.lake.files import stage_rows
from tapehouse.lake.home import Lake
from tapehouse.lake.iceberg.birth import initial_metadata
from tapehouse.lake.orphans import orphans, usage
from tapehouse.lake.publish import publish
from tapehouse.lake.query import query
from tapehouse.lake.s3.home import S3Lake
from tapehouse.lake.s3.tables import table_input
from tapehouse.lake.spec import Staged

from .support import RUNS, TRADES, Cloud, ids, publish_trades, trades


def test_what_is_published_is_there_for_everybody(cloud: Cloud) -> None:
    lake = cloud.open()
    publish_trades(lake, "r1", trades(0))
    publish_trades(lake, "r2", trades(10, hour=15))
    again = Lake.open(cloud.lake, read_only=True)
    assert ids(again) == list(range(20))
    assert again.names() == ["tapehouse.runs", "trades.curated"]
    table = cloud.catalog().load_table((cloud.database, "trades_curated"))
    assert sorted(table.scan().to_arrow()["trade_id"].to_pylist()) == list(range(20))
    assert table.location() == f"{cloud.lake}/warehouse/trades/curated"
    assert {snapshot.summary["tapehouse.run-id"] for snapshot in table.metadata.snapshots if snapshot.summary} == {
        "r1",
        "r2",
    }
    assert cloud.keys("lake/journal/") == cloud.keys("lake/staging/") == []


def test_metadata_names_objects_and_nothing_of_this_machine(cloud: Cloud) -> None:
    lake = cloud.open()
    publish_trades(lake, "r1", trades(0))
    publish_trades(lake, "r2", trades(10))
    table = cloud.catalog().load_table((cloud.database, "trades_curated"))
    metadata = [json.loads(cloud.body(key)) for key in cloud.keys("lake/warehouse/") if key.endswith(".json")]
    found = {name for form in metadata for name in _locations(form)}
    found |= set(table.inspect.all_manifests()["path"].to_pylist())
    files = set(table.inspect.all_files()["file_path"].to_pylist())
    assert len(files) == 2
    assert {name for name in found | files if not name.startswith(f"{cloud.lake}/warehouse/")} == set()
    kept = set(cloud.keys("lake/"))
    assert {name for name in found | files if "." in name.rpartition("/")[2]} <= {
        f"s3://{cloud.curated}/{key}" for key in kept
    }


def _locations(value: Any) -> list[str]:
    """Texts that look like a path or a location."""
    if isinstance(value, dict):
        return [name for one in value.values() for name in _locations(one)]
    if isinstance(value, list):
        return [name for one in value for name in _locations(one)]
    return [value] if isinstance(value, str) and "/" in value and not value.startswith("[") else []


def test_glue_says_what_its_own_readers_need(cloud: Cloud) -> None:
    publish_trades(cloud.open(), "r1", trades(0))
    publish_trades(cloud.open(), "r2", trades(10))
    table = cloud.client("glue").get_table(DatabaseName=cloud.database, Name="trades_curated")["Table"]
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert table["Parameters"]["metadata_location"] != table["Parameters"]["previous_metadata_location"]
    columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    assert columns == {"trade_id": "bigint", "price": "decimal(18,6)", "_event_time": "timestamp"}


def test_tables_that_a_deployment_declared_are_taken_over(cloud: Cloud) -> None:
    lake = cloud.open()
    for spec in (TRADES, RUNS):
        location = f"{cloud.lake}/warehouse/{spec.namespace}/{spec.name}"
        form = initial_metadata(spec, location, 1_700_000_000_000)
        assert form == initial_metadata(spec, location, 1_700_000_000_000)
        name = f"{location}/metadata/00000-declared.metadata.json"
        cloud.client("s3").put_object(
            Bucket=cloud.curated, Key=name.removeprefix(f"s3://{cloud.curated}/"), Body=json.dumps(form).encode()
        )
        given = table_input(spec.namespace, spec.name, form, name)
        cloud.client("glue").create_table(DatabaseName=cloud.database, TableInput=given)
    assert lake.names() == ["tapehouse.runs", "trades.curated"]
    assert ids(lake) == []
    publish_trades(lake, "r1", trades(0))
    assert ids(cloud.open()) == list(range(10))
    table = cloud.catalog().load_table((cloud.database, "trades_curated"))
    assert str(table.metadata.table_uuid) == initial_metadata(TRADES, table.location(), 0)["table-uuid"]
    assert len(table.metadata.snapshots) == 1


def test_opening_says_what_is_wrong(cloud: Cloud) -> None:
    with pytest.raises(LakeError, match="no lake in"):
        S3Lake.attach(cloud.lake, create=False)
    with pytest.raises(UsageError, match="no Glue database is named"):
        Lake.open(cloud.lake)
    with pytest.raises(LakeError, match="no Glue database 'nowhere'"):
        S3Lake.attach(cloud.lake, database="nowhere")
    with pytest.raises(UsageError, match="whole bucket"):
        S3Lake.attach(f"s3://{cloud.curated}", database=cloud.database)
    with pytest.raises(LakeError, match=r"NoSuchBucket.*check the name|check the name") as caught:
        S3Lake.attach("s3://no-bucket-of-that-name/lake", database=cloud.database)
    assert caught.value.fix
    cloud.open()
    with pytest.raises(UsageError, match="has database"):
        S3Lake.attach(cloud.lake, database="other")
    with pytest.raises(UsageError, match="has raw"):
        S3Lake.attach(cloud.lake, raw="s3://elsewhere/raw")
    marker = json.loads(cloud.body("lake/lake.json"))
    cloud.client("s3").put_object(
        Bucket=cloud.curated, Key="lake/lake.json", Body=json.dumps({**marker, "format": 99}).encode()
    )
    with pytest.raises(LakeError, match="another lake format"):
        cloud.open()


def test_a_foreign_table_of_the_same_name_is_left_alone(cloud: Cloud) -> None:
    given = {"Name": "trades_curated", "Parameters": {"table_type": "ICEBERG", "metadata_location": "s3://x/y.json"}}
    cloud.client("glue").create_table(DatabaseName=cloud.database, TableInput=given)
    lake = cloud.open()
    assert lake.names() == []
    with pytest.raises(LakeError, match=r"is not trades\.curated of the lake"):
        publish_trades(lake, "r1", trades(0))
    table = cloud.client("glue").get_table(DatabaseName=cloud.database, Name="trades_curated")["Table"]
    assert table["Parameters"]["metadata_location"] == "s3://x/y.json"


def test_a_run_that_fails_leaves_nothing(cloud: Cloud) -> None:
    lake = cloud.open()
    publish_trades(lake, "r1", trades(0))
    before = cloud.keys("lake/warehouse/")

    def fail(step: str) -> None:
        if step == "synced":
            raise RuntimeError(step)

    with pytest.raises(RuntimeError):
        publish_trades(lake, "r2", trades(10), fail)
    assert cloud.keys("lake/warehouse/") == before
    assert cloud.keys("lake/staging/") == cloud.keys("lake/journal/") == []
    assert ids(lake) == list(range(10))


def test_upkeep(cloud: Cloud) -> None:
    """Files are merged, forgotten and counted as on disk; what nobody names is found and removed."""
    lake = cloud.open()
    for number in range(3):
        rows = trades(10 * number)
        with lake.lock(), lake.staging(f"r{number}"):
            publish(lake, f"r{number}", [stage_rows(lake, TRADES, rows, f"r{number}")], {})
    table = lake.table("trades", "curated")
    assert table is not None
    assert compact(lake, table).partitions[0].files_before == 3
    fresh = cloud.open()
    table = fresh.table("trades", "curated")
    assert table is not None
    assert len(table.files()) == 1
    assert table.rows() == 30
    assert usage(fresh).tables[0].history_files == 3
    assert expire(fresh, table, keep_last=1).files_removed >= 3
    assert ids(fresh) == list(range(30))
    stray = "lake/warehouse/trades/curated/data/2024-01-02-14/x-00000.parquet"
    cloud.client("s3").put_object(Bucket=cloud.curated, Key=stray, Body=b"x")
    assert orphans(fresh, older_than=timedelta(hours=1)).paths == ()
    found = orphans(fresh, older_than=timedelta(0), remove=True)
    assert [path.name for path in found.paths if path.suffix == ".parquet"] == ["x-00000.parquet"]
    assert stray not in cloud.keys("lake/")
    assert ids(cloud.open()) == list(range(30))
    assert usage(fresh).total_bytes > usage(fresh).tables[0].live_bytes > 0


def test_time_travel(cloud: Cloud) -> None:
    lake = cloud.open()
    publish_trades(lake, "r1", trades(0))
    before = datetime.now(UTC)
    publish_trades(lake, "r2", trades(10))
    sql = "select count(*) n from trades.curated"
    reader = cloud.open(read_only=True)
    assert pl.DataFrame(query(reader, sql)).item() == 20
    assert pl.DataFrame(query(reader, sql, "r1")).item() == 10
    assert pl.DataFrame(query(reader, sql, before)).item() == 10
    assert set(pl.DataFrame(query(reader, "show all tables"))["name"]) == {"curated", "runs"}
    with pytest.raises(LakeError, match="read-only"):
        publish_trades(reader, "r3", trades(20))


def test_staged_files_that_were_never_stored_are_refused(cloud: Cloud) -> None:
    lake = cloud.open()
    with lake.lock(), pytest.raises(LakeError, match="do not exist"):
        publish(lake, "r1", [Staged(TRADES, (lake.warehouse / "trades/curated/data/x-00000.parquet",))], {})

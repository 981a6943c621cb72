"""Tables, workgroup and queries."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.table.metadata import TableMetadataUtil

from tapehouse.arguments import load_contract
from tapehouse.cloud.constructs.first_metadata import first_metadata, specs_of
from tapehouse.cloud.constructs.landing_table import landing_table
from tapehouse.cloud.datasets import Dataset, datasets_of
from tapehouse.contracts.model import Contract
from tapehouse.lake.iceberg.schemas import to_iceberg
from tapehouse.lake.spec import TableSpec

from .whole import CONTRACTS, Whole, settings_of

DATABASE = "tapehouse_lake_test_x1a2"
CURATED = "s3://tapehouse-lake-curated-test-x1a2-111122223333-eu-central-1"
EVERY = sorted(CONTRACTS.glob("*.yaml"))


def dataset(path: Path) -> Dataset:
    (found,) = datasets_of(settings_of("test", contracts=[path]))
    return found


def iceberg_tables(found: Whole) -> dict[str, dict[str, Any]]:
    """Properties of the custom resources by table."""
    every = [one["Properties"] for one in found.template.of("Custom::IcebergTable").values()]
    return {one["Table"]: one for one in every}


def test_names_are_identifiers(in_test: Whole) -> None:
    names = [one["Properties"]["DatabaseInput"]["Name"] for one in in_test.template.of("AWS::Glue::Database").values()]
    names += [one["Properties"]["TableInput"]["Name"] for one in in_test.template.of("AWS::Glue::Table").values()]
    names += [one["Properties"]["Name"] for one in in_test.template.of("AWS::Athena::WorkGroup").values()]
    names += [one["Properties"]["Name"] for one in in_test.template.of("AWS::Athena::NamedQuery").values()]
    names += list(iceberg_tables(in_test))
    assert len(names) > 15
    assert all(re.fullmatch("[a-z][a-z0-9_]*", one) for one in names)
    assert in_test.catalogue.database_name == DATABASE


def test_every_table_that_a_run_writes_is_declared(in_test: Whole) -> None:
    found = iceberg_tables(in_test)
    trades = {f"us_equity_trades_{name}" for name in ("curated", "quarantine", "duplicates", "bars_1m")}
    house = {f"tapehouse_{name}" for name in ("runs", "batches", "metrics", "intervals", "lineage", "expired")}
    assert trades | house | {"tapehouse_quarantine_marks", "order_book_curated"} <= set(found)
    assert set(found) == set(in_test.catalogue.tables)


def test_iceberg_metadata_is_what_iceberg_reads(in_test: Whole) -> None:
    for name, one in iceberg_tables(in_test).items():
        metadata = TableMetadataUtil.parse_raw(one["Metadata"].replace("${LOCATION}", one["Location"]))
        assert metadata.location == one["Location"]
        assert one["Location"].startswith(f"{CURATED}/lake/warehouse/")
        assert metadata.current_snapshot() is None, name
        assert metadata.schema().fields


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_first_metadata_has_the_columns_that_a_run_would_give(path: Path) -> None:
    """Numbers included: files that a run adds are read by them."""
    for spec in specs_of([dataset(path)]):
        metadata = TableMetadataUtil.parse_obj(first_metadata(spec, "s3://bucket/lake/table"))
        assert metadata.schema().as_struct() == to_iceberg(spec.schema).as_struct()


def test_first_metadata_is_the_same_each_time(in_test: Whole) -> None:
    spec = TableSpec("a", "b", pa.schema([pa.field("x", pa.int64())]))
    one, other = (json.dumps(first_metadata(spec, "s3://bucket/a/b")) for _ in range(2))
    assert one == other
    uuids = [json.loads(one["Metadata"])["table-uuid"] for one in iceberg_tables(in_test).values()]
    assert len(set(uuids)) == len(uuids)


@pytest.mark.parametrize(("where", "destroyed"), [("in_test", "true"), ("in_prod", "false")])
def test_tables_go_with_the_deployment_where_data_does(
    where: str, destroyed: str, request: pytest.FixtureRequest
) -> None:
    found: Whole = request.getfixturevalue(where)
    assert {one["Destroy"] for one in iceberg_tables(found).values()} == {destroyed}
    (database,) = found.template.of("AWS::Glue::Database").values()
    assert database["DeletionPolicy"] == ("Delete" if destroyed == "true" else "Retain")


def test_tables_wait_for_their_database_and_for_the_buckets_policy(in_test: Whole) -> None:
    (database,) = in_test.template.of("AWS::Glue::Database")
    (policy,) = [
        name
        for name, one in in_test.template.of("AWS::S3::BucketPolicy").items()
        if "-curated-" in one["Properties"]["Bucket"]
    ]
    for one in in_test.template.of("Custom::IcebergTable").values():
        assert {database, policy} <= set(one["DependsOn"])


def test_landing_tables_are_partitioned_by_projection(in_test: Whole) -> None:
    found = {one["Properties"]["TableInput"]["Name"]: one["Properties"]["TableInput"]
             for one in in_test.template.of("AWS::Glue::Table").values()}  # fmt: skip
    assert set(found) == {"us_equity_trades_landing"}  # an order book is binary
    table = found["us_equity_trades_landing"]
    assert [one["Name"] for one in table["PartitionKeys"]] == ["date", "hour"]
    raw = "s3://tapehouse-lake-raw-test-x1a2-111122223333-eu-central-1/landing/us_equity_trades/"
    assert table["StorageDescriptor"]["Location"] == raw
    parameters = table["Parameters"]
    assert parameters["storage.location.template"] == f"{raw}date=${{date}}/hour=${{hour}}/"
    assert parameters["projection.enabled"] == "true"
    assert parameters["projection.date.range"] == "2020-01-01,NOW"
    assert (parameters["projection.hour.range"], parameters["projection.hour.digits"]) == ("0,23", "2")


def landing(contract: Contract) -> dict[str, Any] | None:
    return landing_table(Dataset("x", contract, Path("x.yaml")), "x_landing", "s3://raw/landing/x/")


def test_csv_is_read_as_the_contract_says_it_is_written() -> None:
    contract = load_contract(CONTRACTS / "consolidated-trades.yaml")
    described = landing(contract)
    assert described is not None
    assert described["Parameters"]["skip.header.line.count"] == "1"
    assert described["StorageDescriptor"]["SerdeInfo"]["Parameters"] == {"separatorChar": ",", "quoteChar": '"'}
    assert [one["Name"] for one in described["StorageDescriptor"]["Columns"]][:3] == ["ts_event", "ts_recv", "symbol"]
    plain = landing(replace(contract, feed=replace(contract.feed, header=False, quote=None, delimiter="|")))
    assert plain is not None
    assert "skip.header.line.count" not in plain["Parameters"]
    assert plain["StorageDescriptor"]["SerdeInfo"]["Parameters"] == {"separatorChar": "|", "quoteChar": "\x01"}


def test_lines_of_json_are_read_as_such() -> None:
    contract = load_contract(CONTRACTS / "consolidated-trades.yaml")
    described = landing(replace(contract, feed=replace(contract.feed, format="ndjson")))
    assert described is not None
    assert described["Parameters"]["classification"] == "json"
    assert "JsonSerDe" in described["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"]
    assert "skip.header.line.count" not in described["Parameters"]


@pytest.mark.parametrize("form", ["dbn", "parquet"])
def test_what_is_no_text_has_no_landing_table(form: str) -> None:
    contract = load_contract(CONTRACTS / "consolidated-trades.yaml")
    assert landing(replace(contract, feed=replace(contract.feed, format=form))) is None


@pytest.mark.parametrize(("where", "limit"), [("in_test", 10**10), ("in_prod", 10**12)])
def test_the_workgroup_decides_for_its_users(where: str, limit: int, request: pytest.FixtureRequest) -> None:
    found: Whole = request.getfixturevalue(where)
    group = found.template.one("AWS::Athena::WorkGroup")
    configuration = group["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["PublishCloudWatchMetricsEnabled"] is True
    assert configuration["BytesScannedCutoffPerQuery"] == limit
    result = configuration["ResultConfiguration"]
    assert result["EncryptionConfiguration"] == {"EncryptionOption": "SSE_KMS", "KmsKey": found.template.data_key}
    assert re.fullmatch("s3://tapehouse-lake-results-.*/queries/", result["OutputLocation"])
    assert result["ExpectedBucketOwner"] == "111122223333"
    assert group["RecursiveDeleteOption"] is (where == "in_test")


def test_the_accounts_catalogue_settings_are_left_alone(in_test: Whole) -> None:
    assert not in_test.template.of("AWS::Glue::DataCatalogEncryptionSettings")


def test_each_dataset_has_queries_to_begin_with(in_test: Whole) -> None:
    found = in_test.template.of("AWS::Athena::NamedQuery").values()
    for name in ("us_equity_trades", "order_book"):
        for purpose in ("rows_per_day", "quarantine_reasons", "freshness"):
            (query,) = [one["Properties"] for one in found if one["Properties"]["Name"] == f"{name}_{purpose}"]
            table = re.search(r"FROM (\w+)", query["QueryString"])
            assert table is not None
            assert table[1] in iceberg_tables(in_test)
            assert query["Database"] == DATABASE
            assert query["WorkGroup"] == "tapehouse_lake_queries_test_x1a2"


def test_queries_are_sql_that_fits_the_tables(in_test: Whole) -> None:
    """Run on empty tables of the same columns by DuckDB, whose dialect differs in the unnesting of structures."""
    import duckdb

    with duckdb.connect() as database:
        database.execute("SET TimeZone='UTC'")
        for spec in specs_of(in_test_datasets()):
            empty = spec.schema.empty_table()  # noqa: F841 - DuckDB reads it by name
            database.execute(f"CREATE TABLE {spec.namespace}_{spec.name} AS SELECT * FROM empty")
        for one in in_test.template.of("AWS::Athena::NamedQuery").values():
            text = one["Properties"]["QueryString"]
            if "UNNEST" in text:
                text = text.replace(
                    "CROSS JOIN UNNEST(reasons) AS reason (code, severity, fields, observed, bound)",
                    "CROSS JOIN (SELECT NULL AS code, NULL AS severity)",
                )
            text = text.replace("date(_event_time)", "CAST(_event_time AS DATE)")
            database.execute(text.replace("current_timestamp", "now()"))


def in_test_datasets() -> tuple[Dataset, ...]:
    return datasets_of(settings_of("test"))

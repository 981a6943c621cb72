"""What a commit from outside must keep, so that the lake stays readable for its own tools."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    BadRequestError,
    ForbiddenError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import BucketTransform, IdentityTransform

from tapehouse.lake.iceberg.schemas import to_iceberg
from tapehouse.lake.spec import RUN_ID

from .serving import NOTES, rows
from .support import TRADES, Bench, trades

PRICE = pl.col("price").cast(pl.Decimal(18, 6))


def test_the_books_are_not_for_others(client: RestCatalog) -> None:
    table = client.load_table("tapehouse.runs")
    with pytest.raises(ForbiddenError, match="books"):
        table.append(pa.table({"run_id": ["x"]}, schema=pa.schema([pa.field("run_id", pa.string(), nullable=False)])))
    with pytest.raises(ForbiddenError, match="books"):
        client.create_table("tapehouse.notes", NOTES)


@pytest.mark.parametrize(
    "properties",
    [
        {"py-io-impl": "os.path"},
        {"write.data.path": "/tmp"},
        {"write.metadata.path": "/tmp"},
        {"format-version": "1"},
    ],
)
def test_properties_that_lead_out_of_the_lake(client: RestCatalog, notes: Any, properties: dict[str, str]) -> None:
    with pytest.raises(BadRequestError):
        client.create_table("desk.other", NOTES, properties=properties)
    if "format-version" not in properties:
        with pytest.raises(BadRequestError):
            notes.transaction().set_properties(properties).commit_transaction()


def test_tables_lie_in_the_lake(client: RestCatalog, notes: Any, tmp_path: Path) -> None:
    for location in (str(tmp_path / "out"), f"{notes.location()}/../../../../out", "s3://bucket/x"):
        with pytest.raises(BadRequestError):
            client.create_table("desk.other", NOTES, location=location)
    assert not (tmp_path / "out").exists()
    client.create_table("desk.other", NOTES, location=notes.location().replace("notes", "other"))


def test_files_of_a_commit_lie_in_its_table(client: RestCatalog, notes: Any, tmp_path: Path) -> None:
    """Or expiry would remove files that are not the lake's, some day."""
    inside = next(Path(notes.location()).rglob("*.parquet"))
    outside = tmp_path / "mine.parquet"
    shutil.copy(inside, outside)
    with pytest.raises(BadRequestError, match="outside"):
        notes.add_files([str(outside)], check_duplicate_files=False)
    assert notes.refresh().scan().count() == 1


@pytest.mark.parametrize(
    "spec",
    [
        PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "b")),
        PartitionSpec(
            PartitionField(1, 1000, IdentityTransform(), "a"), PartitionField(2, 1001, IdentityTransform(), "b")
        ),
    ],
)
def test_partitions_that_upkeep_does_not_know(client: RestCatalog, spec: PartitionSpec) -> None:
    client.create_namespace("desk")
    with pytest.raises(BadRequestError, match="partitioned"):
        client.create_table("desk.notes", to_iceberg(NOTES), partition_spec=spec)


def test_a_partitioned_table(client: RestCatalog, bench: Bench) -> None:
    client.create_namespace("desk")
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "symbol"))
    table = client.create_table("desk.trades", to_iceberg(TRADES.schema), partition_spec=spec)
    table.append(trades(0, 10).with_columns(PRICE).to_arrow().cast(TRADES.schema))
    held = bench.lake.table("desk", "trades")
    assert held is not None
    assert held.partition_by == ("identity", "symbol")
    assert sorted(file.partition.label for file in held.files()) == ["AAPL", "MSFT", "SPY"]
    with pytest.raises(BadRequestError, match="partitioned"), table.update_spec() as update:
        update.add_identity("trade_id")


def test_columns_are_only_gained(client: RestCatalog, notes: Any) -> None:
    """The lake reads files by name: after a rename it would see nulls, where other engines see values."""
    for change in ("rename", "drop"):
        with pytest.raises(BadRequestError, match="note"), notes.refresh().update_schema(True) as update:
            update.rename_column("note", "text") if change == "rename" else update.delete_column("note")
    with pytest.raises(BadRequestError, match="map"):
        client.create_table("desk.other", pa.schema([("m", pa.map_(pa.string(), pa.int64()))]))
    with pytest.raises(BadRequestError):
        client.create_table("desk.other", pa.schema([("t", pa.time64("us"))]))


def test_runs_are_not_impersonated(notes: Any) -> None:
    with pytest.raises(BadRequestError, match=RUN_ID):
        notes.append(rows(2), snapshot_properties={RUN_ID: "r9"})

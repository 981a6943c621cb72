"""A table's first commit, written without pyiceberg: read back by pyiceberg, it is what that would have written."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import to_bytes as iceberg_bytes
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import IdentityTransform, parse_transform

from tapehouse.lake.files import stage_rows
from tapehouse.lake.home import Lake
from tapehouse.lake.iceberg.forms import Column, Part, highest_number, name_mapping, schema_form
from tapehouse.lake.iceberg.schemas import to_iceberg
from tapehouse.lake.iceberg.values import partition_value, to_bytes
from tapehouse.lake.publish import publish
from tapehouse.lake.spec import Staged, TableSpec

TIME = datetime(2024, 3, 4, 15, 59, 59, 999_999, tzinfo=UTC)
ROWS = pl.DataFrame(
    {
        "whole": [1, -5, None],
        "small": pl.Series([3, None, -4], dtype=pl.Int32),
        "yes": [True, None, False],
        "ratio": [1.5, None, -2.25],
        "price": pl.Series([Decimal("1.250000"), Decimal("-3.000001"), None], dtype=pl.Decimal(18, 6)),
        "day": [date(2024, 3, 4), date(1969, 12, 31), None],
        "at": pl.Series([TIME, TIME, TIME], dtype=pl.Datetime("us", "UTC")),
        "text": ["a text longer than sixteen characters", "", None],
        "raw": [b"\x00\xff", b"", None],
        "many": pl.Series([[{"code": "x", "of": ["a"]}], [], None]),
    }
)
FIELDS = [
    pa.field("whole", pa.int64()),
    pa.field("small", pa.int32()),
    pa.field("yes", pa.bool_()),
    pa.field("ratio", pa.float64()),
    pa.field("price", pa.decimal128(18, 6)),
    pa.field("day", pa.date32()),
    pa.field("at", pa.timestamp("us", "UTC"), nullable=False),
    pa.field("text", pa.large_string()),
    pa.field("raw", pa.large_binary()),
    pa.field("many", pa.large_list(pa.struct([("code", pa.large_string()), ("of", pa.large_list(pa.large_string()))]))),
]
TIMES = [(transform, "at") for transform in ("hour", "day", "month", "year")]
BYS = [None, *TIMES, ("identity", "text"), ("identity", "price")]


def _born(lake: Lake, spec: TableSpec, rows: pl.DataFrame) -> Any:
    with lake.lock():
        staged = stage_rows(lake, spec, rows, "r1")
        publish(lake, "r1", [staged], {"note": "test"})
    table = lake.table(spec.namespace, spec.name)
    assert table is not None
    return staged, table.ice


def _theirs(lake: Lake, spec: TableSpec, schema: Schema) -> Any:
    """The same table as pyiceberg makes it, without rows."""
    catalog = SqlCatalog("other", uri="sqlite://", warehouse=str(lake.root / "other"))
    catalog.create_namespace("n")
    fields = []
    if spec.partition_by is not None:
        transform, name = spec.partition_by
        number = schema.find_field(name).field_id
        label = name if transform == "identity" else f"{name}_{transform}"
        fields.append(PartitionField(number, 1000, parse_transform(transform), label))
    sort = [
        SortField(schema.find_field(name).field_id, IdentityTransform(), SortDirection.ASC, NullOrder.NULLS_FIRST)
        for name in spec.sort
    ]
    order = SortOrder(*sort, order_id=1) if sort else SortOrder(order_id=0)
    return catalog.create_table(("n", "t"), schema, partition_spec=PartitionSpec(*fields), sort_order=order)


@pytest.mark.parametrize("by", BYS, ids=str)
def test_metadata_is_what_pyiceberg_makes(tmp_path: Path, by: tuple[str, str] | None) -> None:
    lake = Lake.open(tmp_path / "lake")
    spec = TableSpec("n", "t", pa.schema(FIELDS), by, ("text", "whole"), {"mine": "ä"})
    _, ice = _born(lake, spec, ROWS)
    theirs = _theirs(lake, spec, to_iceberg(spec.schema)).metadata
    mine = ice.metadata
    assert mine.schemas == theirs.schemas
    assert mine.last_column_id == theirs.last_column_id == highest_number(schema_form(spec.schema))
    assert mine.partition_specs == theirs.partition_specs
    assert mine.last_partition_id == theirs.last_partition_id
    assert mine.sort_orders == theirs.sort_orders
    assert mine.default_sort_order_id == theirs.default_sort_order_id
    assert mine.format_version == theirs.format_version == 2
    assert json.loads(ice.properties["schema.name-mapping.default"]) == name_mapping(schema_form(spec.schema))
    mapping = json.loads(mine.schemas[0].name_mapping.model_dump_json())
    assert json.loads(ice.properties["schema.name-mapping.default"]) == mapping


@pytest.mark.parametrize("by", BYS, ids=str)
def test_manifests_say_what_the_files_hold(tmp_path: Path, by: tuple[str, str] | None) -> None:
    lake = Lake.open(tmp_path / "lake")
    spec = TableSpec("n", "t", pa.schema(FIELDS), by)
    staged, ice = _born(lake, spec, ROWS)
    snapshot = ice.current_snapshot()
    (listed,) = snapshot.manifests(ice.io)
    entries = listed.fetch_manifest_entry(ice.io)
    assert {entry.data_file.file_path for entry in entries} == {str(path) for path in staged.add}
    assert {entry.sequence_number for entry in entries} == {1}
    assert {entry.snapshot_id for entry in entries} == {snapshot.snapshot_id}
    assert listed.added_rows_count == sum(entry.data_file.record_count for entry in entries) == 3
    assert listed.manifest_length == Path(listed.manifest_path).stat().st_size
    values = [entry.data_file.partition[0] for entry in entries] if by else []
    if by:
        (summary,) = listed.partitions
        kind = ice.spec().partition_type(ice.schema()).fields[0].field_type
        known = [value for value in values if value is not None]
        assert summary.contains_null == (None in values)
        assert summary.contains_nan is False
        assert (summary.lower_bound, summary.upper_bound) == (
            iceberg_bytes(kind, min(known)),
            iceberg_bytes(kind, max(known)),
        )
    assert snapshot.summary.additional_properties["total-records"] == "3"
    rows = ROWS.drop("many").sort("whole")  # pyiceberg reads a null list of structs as an empty one
    read = pl.DataFrame(ice.scan().to_arrow()).sort("whole")
    assert read.select(rows.columns).equals(rows)


def test_a_table_without_files_has_no_snapshot_and_takes_rows_later(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake")
    spec = TableSpec("n", "t", pa.schema(FIELDS))
    with lake.lock():
        assert publish(lake, "r0", [Staged(spec)], {}).tables[0].snapshot_id is None
    table = lake.table("n", "t")
    assert table is not None
    assert table.snapshot_id() is None
    with lake.lock():
        publish(lake, "r1", [stage_rows(lake, spec, ROWS, "r1")], {})
    table = lake.table("n", "t")
    assert table is not None
    assert table.rows() == 3


@pytest.mark.parametrize("transform", ["hour", "day", "month", "year"])
def test_times_before_and_after_1970(transform: str) -> None:
    from pyiceberg.types import TimestamptzType

    column = Column(1, "at", pa.timestamp("us", "UTC"), required=True)
    theirs = parse_transform(transform).transform(TimestamptzType())
    for us in (-1, 0, 1, -(10**15), 10**15, 86_400_000_000, -86_400_000_001):
        assert partition_value(Part("p", transform, column), us) == theirs(us)


def test_bounds_as_pyiceberg_writes_them() -> None:
    for field in to_iceberg(pa.schema(FIELDS[:6])).fields:
        kind = next(one.type for one in FIELDS if one.name == field.name)
        values: dict[str, list[Any]] = {
            "yes": [True, False],
            "ratio": [0.0, -1.5],
            "price": [Decimal("0.000000"), Decimal("-0.000001"), Decimal("0.000128"), Decimal("-999999999999.999999")],
        }
        for value in values.get(field.name, [0, 1, -1, 2**31 - 1]):
            assert to_bytes(kind, value) == iceberg_bytes(field.field_type, value)

"""SQL over an Iceberg table of the Glue catalogue, as pyiceberg leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.glue import GlueCatalog

from emulator import Emulator
from emulator.support import eventually


@pytest.fixture
def catalogue(emulator: Emulator) -> Iterator[GlueCatalog]:
    key = {"region": emulator.region, "access-key-id": "test", "secret-access-key": "test"}
    properties = {f"{service}.{name}": value for service in ("glue", "s3") for name, value in key.items()}
    emulator.client("s3").create_bucket(
        Bucket="athena-lake", CreateBucketConfiguration={"LocationConstraint": emulator.region}
    )
    yield GlueCatalog("glue", **properties, **{"glue.endpoint": emulator.endpoint, "s3.endpoint": emulator.endpoint})
    s3 = emulator.client("s3")
    for found in s3.list_objects_v2(Bucket="athena-lake")["Contents"]:
        s3.delete_object(Bucket="athena-lake", Key=found["Key"])
    s3.delete_bucket(Bucket="athena-lake")


def query(emulator: Emulator, sql: str, workgroup: str = "primary") -> list[list[str]]:
    """Rows of the result, without its header."""
    athena = emulator.client("athena")
    started = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": "tape"},
        ResultConfiguration={"OutputLocation": "s3://athena-lake/results/"},
        WorkGroup=workgroup,
    )["QueryExecutionId"]

    def done() -> Any:
        status = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
        return status if status["State"] in ("SUCCEEDED", "FAILED") else None

    status = eventually(done)
    assert status["State"] == "SUCCEEDED", status
    rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    return [[cell.get("VarCharValue", "") for cell in row["Data"]] for row in rows[1:]]


def test_a_query_sees_the_live_rows_of_the_current_schema(emulator: Emulator, catalogue: GlueCatalog) -> None:
    catalogue.create_namespace("tape", {"location": "s3://athena-lake/lake"})
    first = pa.table({"symbol": ["A", "B"], "size": pa.array([1, 2], pa.int64())})
    table = catalogue.create_table("tape.trades", schema=first.schema)
    table.append(first)
    assert query(emulator, "select symbol, sum(size) from trades group by symbol order by 1") == [
        ["A", "1"],
        ["B", "2"],
    ]
    table.overwrite(pa.table({"symbol": ["C"], "size": pa.array([5], pa.int64())}))
    with table.update_schema() as change:
        change.add_column("venue", pa_string())
    assert query(emulator, "select symbol, size, venue from tape.trades") == [["C", "5", ""]]
    assert query(emulator, "select count(*) from trades t join trades u on t.symbol = u.symbol") == [["1"]]
    catalogue.drop_table("tape.trades")
    catalogue.drop_namespace("tape")


def pa_string() -> Any:
    from pyiceberg.types import StringType

    return StringType()

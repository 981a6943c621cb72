"""Buckets, a database, lakes in them, and small tables to publish."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.catalog.glue import GlueCatalog

from tapehouse.lake.files import stage_rows
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import Fault, publish, recover
from tapehouse.lake.s3.home import S3Lake
from tapehouse.lake.spec import Staged, TableSpec

CONTRACT = Path(__file__).resolve().parents[2] / "examples" / "contracts" / "consolidated-trades.yaml"
# Short enough to be waited for; S3's clock has seconds.
LEASE_SECONDS = 1.0
TRADES = TableSpec(
    "trades",
    "curated",
    pa.schema(
        [
            pa.field("trade_id", pa.int64(), nullable=False),
            pa.field("price", pa.decimal128(18, 6)),
            pa.field("_event_time", pa.timestamp("us", "UTC"), nullable=False),
        ]
    ),
    ("hour", "_event_time"),
    ("trade_id",),
)
RUNS = TableSpec("tapehouse", "runs", pa.schema([pa.field("run_id", pa.large_string(), nullable=False)]))


# Python in a mount namespace of its own, where one folder is empty and temporary files go to another.
APART = """#!/bin/sh
exec unshare --mount sh -c '
mount -t tmpfs -o ro tmpfs "$1" && shift && TMPDIR="$1" && export TMPDIR && shift && exec "$@"
' sh {hidden} {temporary} {python} "$@"
"""


def python_apart(folder: Path, hidden: Path, temporary: Path) -> Path:
    """An interpreter that sees nothing of folder `hidden`; skips where namespaces are not allowed."""
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("mount namespaces are not allowed here")
    made = folder / "python"
    text = APART.format(hidden=hidden, temporary=temporary, python=sys.executable)
    made.write_text(text, encoding="utf-8")
    made.chmod(0o755)
    return made


@dataclass(frozen=True)
class Cloud:
    """A place for one lake."""

    endpoint: str
    name: str

    @classmethod
    def make(cls, endpoint: str) -> Cloud:
        made = cls(endpoint, f"t{uuid.uuid4().hex[:12]}")
        for bucket in (made.curated, made.landing):
            made.client("s3").create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
        made.client("glue").create_database(DatabaseInput={"Name": made.database})
        return made

    @property
    def curated(self) -> str:
        return f"{self.name}-curated"

    @property
    def landing(self) -> str:
        return f"{self.name}-raw"

    @property
    def database(self) -> str:
        return f"{self.name}_db"

    @property
    def lake(self) -> str:
        return f"s3://{self.curated}/lake"

    @property
    def raw(self) -> str:
        return f"s3://{self.landing}/raw"

    @staticmethod
    def client(service: str) -> Any:
        return boto3.client(service)

    def open(self, *, read_only: bool = False, lease_seconds: float = LEASE_SECONDS) -> S3Lake:
        return S3Lake.attach(
            self.lake, read_only=read_only, database=self.database, raw=self.raw, lease_seconds=lease_seconds
        )

    def deliver(self, files: Sequence[Path], folder: str = "landing/trades/date=2024-03-04/hour=14") -> list[str]:
        """Files as a producer lands them; returns their locations."""
        for path in files:
            self.client("s3").upload_file(str(path), self.landing, f"{folder}/{path.name}")
        return [f"s3://{self.landing}/{folder}/{path.name}" for path in files]

    def keys(self, prefix: str = "", bucket: str = "") -> list[str]:
        pages = (
            self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket or self.curated, Prefix=prefix)
        )
        return sorted(one["Key"] for page in pages for one in page.get("Contents", ()))

    def body(self, key: str, bucket: str = "") -> bytes:
        content: bytes = self.client("s3").get_object(Bucket=bucket or self.curated, Key=key)["Body"].read()
        return content

    def catalog(self) -> GlueCatalog:
        """pyiceberg's own, which knows nothing of us."""
        return GlueCatalog("other", **{"s3.endpoint": self.endpoint, "s3.region": "eu-west-1"})


def trades(first: int, rows: int = 10, *, hour: int = 14) -> pl.DataFrame:
    """Trades with ids from `first` on."""
    time = datetime(2024, 1, 2, hour, tzinfo=UTC)
    return pl.DataFrame(
        {
            "trade_id": range(first, first + rows),
            "price": [Decimal(one) / 100 for one in range(rows)],
            "_event_time": [time] * rows,
        },
        schema_overrides={"_event_time": pl.Datetime("us", "UTC"), "price": pl.Decimal(18, 6)},
    )


def publish_trades(lake: Lake, run_id: str, rows: pl.DataFrame, fault: Fault = lambda step: None) -> None:
    """Publish the rows, together with those that the table has, as a late batch would be; once."""
    with lake.staging(run_id) as spill:
        (spill / "part").write_bytes(b"spilled")
        fault("spilled")
        with lake.lock():
            recover(lake)
            table = lake.table("trades", "curated")
            if table is not None and table.snapshot_of_run(run_id) is not None:
                return
            old = [file.path for file in table.files()] if table is not None else []
            known = [pl.read_parquet(path) for path in lake.place.fetch(old)]
            staged = stage_rows(lake, TRADES, pl.concat([*known, rows]), run_id)
            runs = stage_rows(lake, RUNS, pl.DataFrame({"run_id": [run_id]}), run_id)
            fault("written")
            parts = [Staged(TRADES, staged.add, tuple(map(str, old))), runs]
            publish(lake, run_id, parts, {"note": "test"}, fault=fault)


def ids(lake: Lake, spec: TableSpec = TRADES, column: str = "trade_id") -> list[Any]:
    """Sorted values of one column now; empty when the table is absent."""
    table = lake.table(spec.namespace, spec.name)
    files = [] if table is None else lake.place.fetch(file.path for file in table.files())
    return sorted(pl.concat([pl.read_parquet(path) for path in files])[column].to_list()) if files else []

"""A lake that Spark, pyiceberg and DuckDB look at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import polars.selectors as cs
import pytest
from pyiceberg.catalog.rest import RestCatalog

from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.lake.iceberg.schemas import to_arrow
from tapehouse.lake.query import query
from tapehouse.lake.serve import settings
from tapehouse.lake.serve.server import Access, CatalogueServer
from tapehouse.runs.result import RunResult
from tapehouse.runs.run import run
from tapehouse.synthetic.truth import Generated

from .support import iceberg_runtime, rows_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NEEDS_ICEBERG = pytest.mark.skipif(
    iceberg_runtime() is None, reason="needs PySpark 3.5 and snowpark-connect-deps-iceberg (extra spark35)"
)
TOKEN = "a token for Spark and pyiceberg"
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

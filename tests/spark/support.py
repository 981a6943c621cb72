"""Two lakes fed alike, one by each engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from tapehouse.certificate.compare import TableComparison, compare_lakes
from tapehouse.contracts.model import Contract
from tapehouse.engines.tasks import Tasks
from tapehouse.lake.home import Lake
from tapehouse.lake.read import scan
from tapehouse.runs.distributed.engine import Distributed, Exchange
from tapehouse.runs.replay import backfill
from tapehouse.runs.result import RunResult
from tapehouse.runs.run import run
from tapehouse.runs.tables import namespace
from tapehouse.runs.verify import verify

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CONTRACTS = Path(__file__).resolve().parents[2] / "examples" / "contracts"


@dataclass
class Pair:
    """The lake `embedded` makes and the one that tasks make."""

    embedded: Lake
    other: Lake
    tasks: Tasks
    references: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, tasks: Tasks) -> Pair:
        return cls(Lake.open(folder / "embedded"), Lake.open(folder / "spark"), tasks)

    def run(
        self, contract: Contract, inputs: Iterable[Path], exchange: Exchange = "auto"
    ) -> tuple[RunResult, RunResult]:
        """The same run in both lakes; checks that the lakes are the same afterwards, and sound."""
        given = list(inputs)
        one = run(contract, given, lake=self.embedded, references=self.references)
        engine = Distributed(self.tasks, exchange)
        other = run(contract, given, lake=self.other, references=self.references, engine=engine)
        self.check(contract, one, other)
        return one, other

    def backfill(self, contract: Contract, **chosen: object) -> tuple[RunResult, RunResult]:
        """The same backfill in both lakes, checked likewise."""
        one = backfill(contract, lake=self.embedded, references=self.references, **chosen)  # type: ignore[arg-type]
        engine = Distributed(self.tasks)
        other = backfill(contract, lake=self.other, references=self.references, engine=engine, **chosen)  # type: ignore[arg-type]
        self.check(contract, one, other)
        return one, other

    def check(self, contract: Contract, one: RunResult, other: RunResult) -> None:
        assert one.status == other.status
        assert one.proof == other.proof
        assert (one.rules, one.warnings, one.stopped_because) == (other.rules, other.warnings, other.stopped_because)
        assert unequal(compare_lakes(contract, one, other)) == []
        for lake in (self.embedded, self.other):
            report = verify(lake, deep=True)
            assert report.ok, str(report)
        assert leftovers(self.other) == []

    def rows(self, contract: Contract, name: str) -> pl.DataFrame:
        """A table of Spark's lake."""
        table = self.other.table(namespace(contract), name)
        return pl.DataFrame() if table is None else scan(table).collect()


def iceberg_runtime() -> Path | None:
    """Iceberg's jar for the Spark that is installed, or None: the package that brings it is for Spark 3.5 only."""
    try:
        import pyspark
        import snowpark_connect_deps_iceberg as package
    except ImportError:
        return None
    if not pyspark.__version__.startswith("3.5."):
        return None
    jars = Path(package.__file__).parent / "jars"
    return next(jars.glob("iceberg-spark-runtime-3.5_2.12-*.jar"), None)


def rows_of(frame: DataFrame) -> pl.DataFrame:
    """What Spark reads, by way of Arrow: Rows of Python would lose the difference between zones and none."""
    from pyspark.sql.pandas.types import to_arrow_schema

    batches = frame._collect_as_arrow()
    return pl.DataFrame(pa.Table.from_batches(batches) if batches else to_arrow_schema(frame.schema).empty_table())


def unequal(tables: Iterable[TableComparison]) -> list[TableComparison]:
    """Those that differ."""
    return [table for table in tables if not table.equal]


def leftovers(lake: Lake) -> list[Path]:
    """Files of runs that nothing names."""
    from datetime import timedelta

    from tapehouse.lake.orphans import orphans

    return [*orphans(lake, older_than=timedelta(0)).paths, *(lake.root / "staging").iterdir()]

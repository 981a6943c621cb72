"""Two lakes fed alike, one by each engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

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


def unequal(tables: Iterable[TableComparison]) -> list[TableComparison]:
    """Those that differ."""
    return [table for table in tables if not table.equal]


def leftovers(lake: Lake) -> list[Path]:
    """Files of runs that nothing names."""
    from datetime import timedelta

    from tapehouse.lake.orphans import orphans

    return [*orphans(lake, older_than=timedelta(0)).paths, *(lake.root / "staging").iterdir()]

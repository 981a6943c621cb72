"""Builders of small real lakes: contracts, files of trades, runs, and what a lake holds in comparable form."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract
from tapehouse.lake.files import write
from tapehouse.lake.home import Lake
from tapehouse.lake.read import scan
from tapehouse.lake.table import File
from tapehouse.runs.read import house_table
from tapehouse.runs.result import RunResult
from tapehouse.runs.run import run
from tapehouse.runs.tables import BATCHES, RUNS
from tapehouse.runs.verify import verify

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "contracts" / "consolidated-trades.yaml"
HEADER = "ts_event,ts_recv,symbol,venue,price,size,trade_id,sequence,conditions,side"
WORKER = Path(__file__).with_name("worker.py")
# What differs between two runs over the same data, and nothing else may.
RUN_COLUMNS = ("_knowledge_time", "_run_id", "origin", "contract_digest")


def rule(name: str, severity: str, implementation: str) -> str:
    """A rule on the whole table, to be put before the example contract's own."""
    parts = f"name: {name}, type: custom, engine: tapehouse, severity: {severity}, implementation: {implementation}"
    return f"      - {{{parts}}}\n"


def replaced(folder: Path, name: str, changes: Mapping[str, str], rules: str = "") -> Contract:
    """The example contract with each text of `changes` (which must be there) replaced."""
    text = EXAMPLE.read_text(encoding="utf-8")
    first = "    quality:\n      - name: recv_before_event"
    assert first in text
    text = text.replace(first, first.replace("quality:\n", "quality:\n" + rules), 1)
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load(path)


def trade(
    clock: str = "14:30:00",
    number: int = 1,
    *,
    symbol: str = "AAPL",
    venue: str = "XNAS",
    price: str = "169.0000",
    size: str = "100",
    day: str = "2024-03-08",
    delay_ns: int = 1_000,
) -> str:
    """One line of the reference format; `clock` may have decimals. Received `delay_ns` after the event."""
    event = pl.Series([f"{day}T{clock}"]).str.to_datetime(time_unit="ns").cast(pl.Int64)[0]
    return f"{day}T{clock}Z,{event + delay_ns},{symbol},{venue},{price},{size},{number},{number},@,B"


def write_csv(path: Path, lines: Iterable[str]) -> Path:
    """A file of the reference format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


@dataclass
class Bench:
    """A lake with its contract and references."""

    lake: Lake
    contract: Contract
    references: Mapping[str, Path] = field(default_factory=dict)

    def run(self, *inputs: Path, contract: Contract | None = None) -> RunResult:
        return run(contract or self.contract, inputs, lake=self.lake, references=self.references)

    def rows(self, name: str) -> pl.DataFrame:
        """A table without what differs from run to run, in the order of its partitions and files."""
        table = self.lake.table(self.contract.name.replace("-", "_"), name)
        if table is None:
            return pl.DataFrame()
        rows = scan(table).collect()
        return rows.drop([column for column in RUN_COLUMNS if column in rows.columns])

    def content(self) -> dict[str, pl.DataFrame]:
        """All that a lake says about its data, in an order that does not depend on how it came in."""
        found = {name: self.rows(name) for name in ("curated", "quarantine", "duplicates", "bars_1m")}
        by = {"bars_1m": ["symbol", "bar_start"]}
        return {name: rows.sort(by.get(name, ["_batch", "_row"])) for name, rows in found.items() if rows.width}

    def partitions(self) -> dict[str, pl.DataFrame]:
        """Curated rows by partition, each in the order it is stored in."""
        out: dict[str, list[pl.DataFrame]] = {}
        for file in self.files("curated"):
            rows = pl.read_parquet(file.path).drop("_knowledge_time").cast({"_batch": pl.String})
            out.setdefault(file.partition.label, []).append(rows)
        return {label: pl.concat(parts) for label, parts in sorted(out.items())}

    def files(self, name: str) -> list[File]:
        table = self.lake.table(self.contract.name.replace("-", "_"), name)
        return [] if table is None else table.files()

    def rewrite(
        self, name: str, change: pl.Expr | Sequence[pl.Expr] | None = None, keep: pl.Expr | None = None
    ) -> None:
        """Tamper with a table: rewrite its first data file with changed values, or without some rows."""
        table = self.lake.table(self.contract.name.replace("-", "_"), name)
        assert table is not None
        path = table.files()[0].path
        rows = pl.read_parquet(path)
        changed = rows if change is None else rows.with_columns(change)
        changed = changed if keep is None else changed.filter(keep)
        assert not changed.equals(rows)
        path.chmod(0o644)
        path.unlink()
        write(changed, path, table.schema)

    def runs(self) -> pl.DataFrame:
        return house_table(self.lake, RUNS).sort("started_at")

    def batches(self) -> pl.DataFrame:
        return house_table(self.lake, BATCHES)

    def clean(self, *, deep: bool = True) -> None:
        """`verify` finds nothing and could check everything."""
        report = verify(self.lake, deep=deep)
        assert report.ok, str(report)
        assert report.notes == []


def same(one: Mapping[str, pl.DataFrame], other: Mapping[str, pl.DataFrame]) -> None:
    """The two lakes' contents are equal, table by table."""
    assert one.keys() == other.keys()
    for name, rows in one.items():
        assert rows.equals(other[name]), (name, rows, other[name])


def worker(bench: Bench, *inputs: Path, lake: Path | None = None) -> subprocess.Popen[str]:
    """A run in a process of its own; prints `ready` once everything is imported."""
    references = [f"{name}={path}" for name, path in bench.references.items()]
    root = lake if lake is not None else bench.lake.root
    command = [sys.executable, str(WORKER), bench.contract.source, str(root), ",".join(references), *map(str, inputs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True)

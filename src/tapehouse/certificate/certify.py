"""One input, two engines, two lakes, and the document that says whether they are the same."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

import tapehouse
from tapehouse.certificate.compare import TableComparison, compare_lakes
from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.runs.context import Progress
from tapehouse.runs.engine import Embedded, Engine
from tapehouse.runs.result import RunResult
from tapehouse.runs.run import run

FORMAT = "tapehouse.certificate/1"


@dataclass(frozen=True, slots=True)
class Certification:
    """Two runs of the same input and how their lakes compare."""

    contract: Contract
    runs: tuple[RunResult, RunResult]
    tables: tuple[TableComparison, ...]
    at: dt.datetime

    @property
    def equal(self) -> bool:
        """Whether both ended alike and every row of every table is the same."""
        return self.runs[0].status == self.runs[1].status and all(table.equal for table in self.tables)

    def document(self) -> dict[str, Any]:
        """What is signed: JSON of text, integers, booleans, lists and objects."""
        document = {
            "format": FORMAT,
            "equal": self.equal,
            "issued_at": self.at.isoformat(timespec="seconds"),
            "contract": {
                "name": self.contract.name,
                "version": self.contract.version,
                "sha256": self.contract.digest,
            },
            "inputs": [
                {"sha256": one.digest, "bytes": one.size, "origin": one.origin, "rows": one.proof.records}
                for one in self.runs[0].batches
            ],
            "references": dict(self.runs[0].references),
            "runs": [
                {
                    "engine": result.engine,
                    "status": result.status.value,
                    "rows_in": result.rows_in,
                    **result.proof.counts,
                    "notes": list(result.notes),
                }
                for result in self.runs
            ],
            "tables": [table.as_dict() for table in self.tables],
            "versions": versions(),
        }
        return {name: _texts(value) for name, value in document.items()}


def certify(
    contract: Contract,
    inputs: Iterable[str | Path],
    other: Engine,
    folder: Path,
    *,
    references: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
) -> Certification:
    """Run the input embedded and on the `other` engine, into lakes of their own in `folder`, and compare them."""
    given = list(inputs)
    engines = {"embedded": Embedded(), other.name: other}
    one, two = (
        run(contract, given, lake=Lake.open(folder / name), references=references, progress=progress, engine=engine)
        for name, engine in engines.items()
    )
    tables = compare_lakes(contract, one, two)
    return Certification(contract, (one, two), tuple(tables), dt.datetime.now(dt.UTC))


def versions() -> dict[str, str]:
    """Of everything whose version could change a value."""
    found = {
        "tapehouse": tapehouse.__version__,
        "polars": pl.__version__,
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    try:
        import pyspark
    except ImportError:
        return found
    return {**found, "pyspark": str(pyspark.__version__)}


def _texts(value: Any) -> Any:
    """Numbers that JSON readers would round, and bytes, as text; what is no Unicode (a file's name) is escaped."""
    if isinstance(value, Mapping):
        return {str(name): _texts(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_texts(one) for one in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) or (isinstance(value, int) and abs(value) >= 1 << 53):
        return repr(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value

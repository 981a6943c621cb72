"""What callers may write for a contract, a lake and reference tables, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.errors import RunError, UsageError

if TYPE_CHECKING:
    from tapehouse.contracts.model import Contract
    from tapehouse.lake.home import Lake
    from tapehouse.runs.engine import Engine

    ContractLike = Contract | str | Path
    LakeLike = Lake | str | Path
    ReferencesLike = Mapping[str, str | Path] | str | Path | None


def load_contract(contract: ContractLike) -> Contract:
    """The contract in a file; one that is loaded already comes back as it is. Raises ContractError."""
    from tapehouse.contracts.load import load

    return load(contract) if isinstance(contract, str | Path) else contract


def open_lake(
    lake: LakeLike, *, create: bool = False, read_only: bool = False, database: str = "", raw: str = ""
) -> Lake:
    """The lake in a folder or at `s3://BUCKET/PREFIX`; one that is open already comes back as it is. Raises LakeError.

    A lake in S3 has its tables in Glue database `database` and landed bytes at `raw` (`raw` below the lake unless it
    says another location); both are settled when it is made, and checked if they are given later.
    """
    from tapehouse.lake.folder import is_remote, remote_address
    from tapehouse.lake.home import Lake

    if not isinstance(lake, str | Path):
        return lake
    if is_remote(lake):
        from tapehouse.lake.s3.home import S3Lake

        return S3Lake.attach(remote_address(lake), create=create, read_only=read_only, database=database, raw=raw)
    if database or raw:
        raise UsageError(f"{lake} is a folder, which has no database and keeps raw bytes itself", fix="leave them out")
    return Lake.open(lake, create=create, read_only=read_only)


ENGINES = ("embedded", "spark")


def check_engine(name: str, master: str | None = None) -> None:
    """Raises UsageError for names that make no sense, RunError for an engine that is not installed."""
    if name not in ENGINES:
        raise UsageError(f"no engine {name!r}", fix=f"one of: {', '.join(ENGINES)}")
    if name == "embedded" and master is not None:
        raise UsageError("a master is given, and the engine is embedded", fix="choose the engine spark")
    if name == "spark":
        require("pyspark")


def require(package: str, extra: str = "spark") -> None:
    """Raises RunError where a package of that extra is missing."""
    if find_spec(package) is None:
        raise RunError(f"{package} is not installed", fix=f"pip install 'tapehouse[{extra}]'")


@contextmanager
def open_engine(name: str, master: str | None = None) -> Iterator[Engine]:
    """The engine of that name, for one run; `master` is Spark's. Raises what `check_engine` does."""
    check_engine(name, master)
    if name == "embedded":
        from tapehouse.runs.engine import Embedded

        yield Embedded()
        return
    from tapehouse.engines.spark.session import spark_session
    from tapehouse.engines.spark.tasks import SparkTasks
    from tapehouse.runs.distributed.engine import Distributed

    with spark_session(master) as spark:
        yield Distributed(SparkTasks(spark))


def reference_paths(contract: Contract, references: ReferencesLike) -> dict[str, Path]:
    """Reference files by table name. Raises UsageError for a table that the contract does not have."""
    known = sorted(contract.references)
    if references is None:
        return {}
    if isinstance(references, str | Path):
        if len(known) != 1:
            have = f"has {len(known)}: {', '.join(known)}" if known else "has none"
            raise UsageError(
                f"{references} is given without a name, and contract {contract.name} {have}",
                fix="name each table: NAME=FILE" if known else "leave the reference out",
            )
        return {known[0]: Path(references)}
    for name in references:
        if name not in contract.references:
            raise UsageError(
                f"contract {contract.name} has no reference table {name!r}", fix=f"it has {', '.join(known) or 'none'}"
            )
    return {name: Path(path) for name, path in references.items()}

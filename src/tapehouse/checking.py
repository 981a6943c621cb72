"""Judging rows that have landed already, where they are."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.arguments import load_contract, open_lake, reference_paths
from tapehouse.errors import UsageError

if TYPE_CHECKING:
    from tapehouse.arguments import ContractLike, LakeLike, ReferencesLike
    from tapehouse.engines.sql.source import Database
    from tapehouse.runs.in_place import CheckReport

DATABASES = ("duckdb", "spark")


def check(
    contract: ContractLike,
    table: str | Path | None = None,
    *,
    lake: LakeLike = "lake",
    references: ReferencesLike = None,
    engine: str = "duckdb",
    master: str | None = None,
    as_of: dt.datetime | str | None = None,
    limit: int = 5,
) -> CheckReport:
    """Check a table in place against a contract's rules: nothing is written or moved.

    `table` is `namespace.table` of the lake (default: the contract's curated table), or Parquet files: a path, a folder
    or a glob pattern, and then no lake is needed. `as_of` is a moment with time zone or a run id. `engine` is `duckdb`
    or `spark`, and `master` is Spark's. A rule that cannot be checked with the kernel's very result says why; a broken
    rule is no failure but a result, with at most `limit` of its rows.
    """
    from tapehouse.runs.in_place import check as check_
    from tapehouse.runs.in_place import file_source, lake_source, records_of
    from tapehouse.runs.inputs import expand
    from tapehouse.runs.tables import namespace

    _check_engine(engine, master)
    terms = load_contract(contract)
    files = reference_paths(terms, references)
    name = str(table) if table is not None else f"{namespace(terms)}.curated"
    batches = None
    if table is not None and _is_path(name):
        if as_of is not None:
            raise UsageError("files have no past", fix="leave the moment out, or name a table of a lake")
        source = file_source(expand([name]))
    else:
        home = open_lake(lake, read_only=True)
        source, batches = lake_source(home, name, as_of), records_of(home, terms, name)
    with _database(engine, master) as database:
        return check_(terms, name, source, database, batches=batches, references=files, limit=limit)


def _is_path(name: str) -> bool:
    return re.fullmatch(r"\w+\.\w+", name) is None or name.endswith(".parquet") or Path(name).exists()


def _check_engine(engine: str, master: str | None) -> None:
    if engine not in DATABASES:
        raise UsageError(f"no engine {engine!r} checks in place", fix=f"one of: {', '.join(DATABASES)}")
    if engine == "duckdb" and master is not None:
        raise UsageError("a master is given, and the engine is duckdb", fix="choose the engine spark")


@contextmanager
def _database(engine: str, master: str | None) -> Iterator[Database]:
    if engine == "duckdb":
        from tapehouse.engines.sql.on_duckdb import duck_database

        with duck_database() as database:
            yield database
        return
    from tapehouse.engines.spark.session import spark_session
    from tapehouse.engines.sql.on_spark import SparkDatabase

    with spark_session(master) as spark, SparkDatabase(spark) as session:
        yield session

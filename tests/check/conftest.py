"""Both databases, and what asserts that they agree with the kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from tapehouse.contracts import expr as e
from tapehouse.engines.spark.session import spark_session
from tapehouse.engines.sql.on_duckdb import duck_database
from tapehouse.engines.sql.on_spark import SparkDatabase
from tapehouse.engines.sql.source import Database

from .support import Bench, Rows, Trial

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    with spark_session("local[2]") as made:
        yield made


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=pytest.mark.xdist_group("spark"))])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Each database in turn."""
    if request.param == "duckdb":
        with duck_database() as made:
            yield made
    else:
        with SparkDatabase(request.getfixturevalue("spark")) as made:
            yield made


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("world"))


@pytest.fixture
def agree(bench: Bench, database: Database) -> Callable[..., set[int]]:
    """Asserts that database and kernel say the same of batches of rows; the rules that were refused."""

    def check(conditions: Sequence[e.Expr], *batches: Rows) -> set[int]:
        trial = Trial(bench, batches)
        found, refused = trial.database(conditions, database)
        unset = sum(1 << index for index in refused)
        assert found == [(batch, row, mask & ~unset) for batch, row, mask in trial.kernel(conditions)]
        return refused

    return check

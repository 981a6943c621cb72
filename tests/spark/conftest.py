"""One Spark session for all tests of a process, and lakes of both engines over the same input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract
from tapehouse.engines.spark.session import spark_session
from tapehouse.engines.spark.tasks import SparkTasks
from tapehouse.lake.serve import settings
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

from .support import CONTRACTS, Pair, iceberg_runtime

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


JOBS = Path(__file__).with_name("worker_jobs.py")
sys.path.append(str(JOBS.parent))
jobs = import_module(JOBS.stem)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """With Iceberg's runtime, where that is installed."""
    jar = iceberg_runtime()
    extensions = settings.spark("")["spark.sql.extensions"]
    iceberg = {} if jar is None else {"spark.jars": str(jar), "spark.sql.extensions": extensions}
    with spark_session("local[2]", iceberg) as made:
        made.sparkContext.addPyFile(str(JOBS))
        yield made


@pytest.fixture
def tasks(spark: SparkSession) -> SparkTasks:
    return SparkTasks(spark)


@pytest.fixture(scope="session")
def trades() -> Contract:
    return load(CONTRACTS / "consolidated-trades.yaml")


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """20 000 trades of one session in four files, twenty of every fault."""
    return generate_trades(tmp_path_factory.mktemp("tape"), rows=20_000, seed=3, files=4, symbols=40)


@pytest.fixture
def pair(tmp_path: Path, tasks: SparkTasks) -> Pair:
    """A lake of each engine."""
    return Pair.make(tmp_path, tasks)

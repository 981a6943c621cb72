"""The Spark session of a run: the caller's, where there is one, or one made for it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.engines.spark.java import java_home
from tapehouse.errors import RunError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOPBACK = ("local", "spark://127.0.0.1", "spark://localhost")
# What spark-submit sets for a program that it runs: master and properties are those that it was given.
SUBMITTED = "PYSPARK_GATEWAY_PORT"
# A slot is a processor: the libraries in a task must not take the others'.
_ONE_THREAD = {"spark.executorEnv.POLARS_MAX_THREADS": "1", "spark.executorEnv.OMP_NUM_THREADS": "1"}
_LOG = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


def default_master() -> str:
    """`local[N]` with a task slot per processor that this process may use."""
    return f"local[{len(os.sched_getaffinity(0))}]"


@contextmanager
def spark_session(master: str | None = None, settings: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """The session that this process has; where it has none, one on `master`, stopped at the end. A program that was
    submitted to a cluster, as EMR and Glue do it, runs there unless `master` says otherwise.

    `settings` are Spark properties that go before ours. Raises RunError when pyspark or Java is missing or Spark does
    not start, UsageError when the active session runs on another master than the one asked for.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise RunError("pyspark is not installed", fix="pip install 'tapehouse[spark]'") from error
    active = _running(SparkSession)
    if active is not None:
        running = active.sparkContext.master
        if master not in (None, running):
            raise UsageError(f"this process has a Spark session on {running} already", fix="leave out the master")
        yield active
        return
    with tempfile.TemporaryDirectory(prefix="tapehouse-spark-") as folder, _environment():
        if master is None and SUBMITTED in os.environ:
            made = _begin(SparkSession.builder, {**_ONE_THREAD, **(settings or {})}, "the cluster")
        else:
            made = _start(SparkSession, master or default_master(), settings or {}, Path(folder))
        try:
            yield made
        finally:
            made.stop()


def _running(maker: type[SparkSession]) -> SparkSession | None:
    """The process's session, whichever thread made it. An active session is one of the asking thread alone."""
    from pyspark import SparkContext

    active = maker.getActiveSession()
    if active is not None or SparkContext._active_spark_context is None:
        return active
    return maker.builder.getOrCreate()


@contextmanager
def _environment() -> Iterator[None]:
    """Puts the environment back as it was: it names folders that will be gone."""
    before = {name: os.environ.get(name) for name in ("JAVA_HOME", "PYSPARK_PYTHON", "SPARK_LOCAL_IP")}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start(maker: type[SparkSession], master: str, settings: Mapping[str, str], folder: Path) -> SparkSession:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if master.startswith(_LOOPBACK):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # of what a local cluster listens on, too
    os.environ["JAVA_HOME"] = str(java_home(folder / "java"))
    (folder / "log4j2.properties").write_text(_LOG, encoding="utf-8")
    return _begin(maker.builder.master(master), {**_settings(master, folder), **settings}, master)


def _begin(builder: SparkSession.Builder, settings: Mapping[str, str], master: str) -> SparkSession:
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        return builder.appName("tapehouse").getOrCreate()
    except Exception as error:
        raise RunError(
            f"Spark did not start on {master}: {str(error).strip().splitlines()[0]}",
            fix="see what Spark printed above; `--master local[2]` needs no cluster",
        ) from error


def _settings(master: str, folder: Path) -> dict[str, str]:
    """What a run wants of a session of its own."""
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={(folder / 'log4j2.properties').as_uri()}",
        **_ONE_THREAD,
        "spark.local.dir": str(folder / "local"),
    }
    if master.startswith(_LOOPBACK):
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    if master.startswith("local["):
        settings |= {"spark.driver.memory": "2g"}
    return settings

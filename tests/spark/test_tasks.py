"""Functions as Spark tasks: results in order, errors of ours at once, others tried again, nothing left set."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from tapehouse.engines.pickling import dumps, loads
from tapehouse.engines.spark import session, tasks
from tapehouse.engines.spark.tasks import SparkTasks
from tapehouse.errors import FeedError, RunError, UsageError

from .conftest import jobs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_results_come_in_order_and_attempts_are_told_apart(tasks: SparkTasks) -> None:
    found = tasks.map(jobs.squared, range(20))
    assert [value for value, _ in found] == [number * number for number in range(20)]
    assert len({attempt for _, attempt in found}) == 20
    assert all(attempt.isdigit() for _, attempt in found)
    assert tasks.map(jobs.squared, []) == []


def test_an_error_of_ours_comes_back_as_it_was(tasks: SparkTasks) -> None:
    with pytest.raises(FeedError) as caught:
        tasks.map(jobs.refused, range(4))
    assert (caught.value.path, caught.value.fix) == ("two.csv", "send it again")
    assert "two.csv: cannot be read" in str(caught.value)


def test_another_error_ends_the_run(tasks: SparkTasks, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="ZeroDivisionError: integer division or modulo by zero"):
        tasks.map(partial(jobs.broken, tmp_path), [1])
    assert tasks.map(jobs.squared, [3])[0][0] == 9


def test_parcels_reach_their_group(tasks: SparkTasks) -> None:
    scattered = tasks.scatter(jobs.sent, [1, 2, 3, 4])
    assert list(scattered.results) == ["item 1", "item 2", "item 3", "item 4"]
    found = sorted(scattered.gather(jobs.counted))
    assert found == [(group, 4 << 20, [1, 2, 3, 4]) for group in (0, 100, 200)]
    scattered.close()


def test_settings_of_the_session_are_as_before(spark: SparkSession, tasks: SparkTasks) -> None:
    names = ("spark.sql.adaptive.enabled", "spark.sql.execution.arrow.maxRecordsPerBatch")
    before = [spark.conf.get(name) for name in names]
    scattered = tasks.scatter(jobs.sent, [1])
    scattered.gather(jobs.counted)
    scattered.close()
    assert [spark.conf.get(name) for name in names] == before


def test_progress_is_told(tasks: SparkTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapehouse.engines.spark.tasks._POLL_SECONDS", 0.02)
    told: list[int] = []
    tasks.map(jobs.squared, range(30), told.append)
    assert told == sorted(told)
    assert 0 < told[-1] <= 30


def test_workers_of_another_version_are_refused(tasks: SparkTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapehouse.engines.spark.tasks.versions", lambda: ("0.0.0", "1.0.0", "1.0.0"))
    with pytest.raises(RunError, match=r"a worker has tapehouse, polars and pyarrow of .*the driver of \('0.0.0'"):
        tasks.map(jobs.squared, [1])


def test_a_session_is_found_and_its_master_respected(spark: SparkSession) -> None:
    with session.spark_session() as found:
        assert found is spark
    with (
        pytest.raises(UsageError, match="a Spark session on local\\[2\\] already"),
        session.spark_session("local[7]"),
    ):
        pass
    assert tasks.SparkTasks(spark).description == f"Spark {spark.version} on local[2]"


def test_a_thread_finds_the_session_of_another(spark: SparkSession) -> None:
    """An active session is one of the thread that made it; the process has no more than one context."""

    def look() -> tuple[bool, str]:
        with session.spark_session() as found:
            return found.sparkContext is spark.sparkContext, found.sparkContext.master

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(look).result() == (True, "local[2]")
    assert spark.range(3).count() == 3


def test_the_callers_own_job_group_is_left_as_it_was(spark: SparkSession, tasks: SparkTasks) -> None:
    context = spark.sparkContext
    context.setJobGroup("mine", "my work")
    tasks.map(jobs.squared, [1])
    assert context.getLocalProperty("spark.jobGroup.id") == "mine"
    assert context.getLocalProperty("spark.job.description") == "my work"
    context.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]


def test_an_error_after_parcels_fails_the_task(tasks: SparkTasks) -> None:
    with pytest.raises(RunError, match=r"Spark gave up: .*FeedError"):
        tasks.scatter(jobs.broken_off, [1])


def test_frames_over_foreign_memory_are_sent() -> None:
    """Polars' own pickling waits for ever where a frame's memory is Python's and a thread of its has to free it."""
    frame = pl.DataFrame({"text": ["é", None, ""], "kind": pl.Series(["a", "b", "a"], dtype=pl.Categorical)})
    numbers = pl.Series("n", np.arange(3))
    values = loads(dumps({"frame": frame, "series": [numbers], "file": Path("x")}))
    assert values["frame"].equals(frame)
    assert values["frame"].schema == frame.schema
    assert values["series"][0].equals(numbers)
    assert loads(dumps(pl.DataFrame())).shape == (0, 0)
    assert io.BytesIO(dumps(frame)).read(1) == b"\x80"

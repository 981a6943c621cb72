"""Processes killed and stopped for real: no row lost, none doubled, never half a run (I1, I2, I3).

`local-cluster` starts a worker and an executor in processes of their own, as a cluster does.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyspark
import pytest

from tapehouse.certificate.compare import compare_lakes
from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract
from tapehouse.engines.spark.java import java_home
from tapehouse.lake.home import Lake
from tapehouse.lake.orphans import orphans
from tapehouse.runs.engine import Embedded
from tapehouse.runs.result import Status
from tapehouse.runs.run import run
from tapehouse.runs.verify import verify
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

from .support import CONTRACTS, leftovers, unequal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DRIVER = Path(__file__).with_name("driver.py")
CLUSTER = "local-cluster[2,1,1024]"
SECONDS_MAX = 100
KEY = "[venue, trade_id]"


@dataclass
class Attempt:
    """A driver at work."""

    process: subprocess.Popen[str]
    events: Path

    def wait_for(self, what: Callable[[], Any]) -> Any:
        """The first true answer while the driver lives."""
        until = time.monotonic() + SECONDS_MAX
        while time.monotonic() < until:
            found = what()
            if found:
                return found
            if self.process.poll() is not None:
                raise AssertionError(f"the driver ended first: {self.process.communicate()}")
            time.sleep(0.005)
        raise AssertionError("it did not come to that")

    def end(self) -> str:
        printed, errors = self.process.communicate(timeout=SECONDS_MAX)
        assert self.process.returncode == 0, errors[-3000:]
        return printed.strip()

    def log(self) -> list[dict[str, Any]]:
        """Spark's own record of what happened."""
        files = [path for path in self.events.rglob("*") if path.is_file() and "appstatus" not in path.name]
        return [json.loads(line) for path in files for line in path.read_text().splitlines() if line.startswith("{")]


@dataclass
class Place:
    """A contract, its input, and a lake for Spark."""

    folder: Path
    contract: Contract
    file: Path
    tape: Generated

    @property
    def lake(self) -> Path:
        return self.folder / "spark"

    def start(self, master: str, *, fault: str = "", **settings: str) -> Attempt:
        events = self.folder / f"events-{time.monotonic_ns()}"
        events.mkdir()
        lines = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events.as_uri()}
        lines |= {"spark.eventLog.compress": "false"}
        lines |= {name.replace("_", "."): value for name, value in settings.items()}
        reference = f"symbols={self.tape.reference}"
        command = [sys.executable, str(DRIVER), master, str(self.file), str(self.lake), reference]
        process = subprocess.Popen(
            [*command, *map(str, self.tape.files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **({"FAULT": fault} if fault else {})},
        )
        assert process.stdin is not None
        process.stdin.write("".join(f"{name}={value}\n" for name, value in lines.items()))
        process.stdin.close()
        process.stdin = None
        return Attempt(process, events)

    def staged(self) -> list[Path]:
        return list(self.lake.glob("staging/*/batch-*"))

    def written(self) -> list[Path]:
        return list(self.lake.glob("warehouse/*/curated/data/*/*.parquet"))

    def check(self) -> None:
        """The lake is the one that the embedded engine makes, and holds nothing else."""
        assert self.tape.reference is not None
        given = {"symbols": self.tape.reference}
        one = run(self.contract, self.tape.files, lake=Lake.open(self.folder / "embedded"), references=given)
        lake = Lake.open(self.lake)
        again = run(self.contract, self.tape.files, lake=lake, references=given, engine=Embedded())
        assert again.status == Status.NOTHING
        assert unequal(compare_lakes(self.contract, one, replace(one, lake=self.lake))) == []
        report = verify(lake, deep=True)
        assert report.ok, str(report)
        assert leftovers(lake) == []


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Eight files, each a part of a second of work."""
    return generate_trades(tmp_path_factory.mktemp("tape"), rows=400_000, seed=11, files=8, symbols=100)


@pytest.fixture(params=["staged", "shuffled"])
def place(request: pytest.FixtureRequest, tmp_path: Path, tape: Generated) -> Place:
    text = (CONTRACTS / "consolidated-trades.yaml").read_text()
    if request.param == "shuffled":
        # With the event time in the key, copies of a row lie in its own partition.
        assert KEY in text
        text = text.replace(KEY, "[venue, trade_id, ts_event]")
    file = tmp_path / "contract.yaml"
    file.write_text(text)
    return Place(tmp_path, load(file), file, tape)


def children(parent: int) -> Iterator[tuple[int, str]]:
    """Processes below one, with their command lines."""
    below: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        below.setdefault(int(fields[1]), []).append(int(path.parent.name))
    todo = [parent]
    while todo:
        for one in below.get(todo.pop(), []):
            todo.append(one)
            try:
                yield one, Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue


def executors(driver: int) -> list[int]:
    return [
        process
        for process, line in children(driver)
        if "CoarseGrainedExecutorBackend" in line and "java" in line.split()[0]
    ]


@pytest.mark.both_lines
@pytest.mark.parametrize("moment", ["staged", "written"])
def test_an_executor_is_killed(place: Place, moment: str) -> None:
    """While it judges, and while it writes: what it had judged before is then lost as well where rows are shuffled."""
    attempt = place.start(CLUSTER)
    attempt.wait_for(getattr(place, moment))
    victim = executors(attempt.process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    assert attempt.end() == "published"
    assert not Path(f"/proc/{victim}").exists()
    retried(attempt)
    place.check()


def retried(attempt: Attempt) -> None:
    """Spark's log says that an executor was lost and that its tasks were begun again."""
    log = attempt.log()
    assert [one for one in log if one["Event"] == "SparkListenerExecutorRemoved"]
    failed = [
        one for one in log if one["Event"] == "SparkListenerTaskEnd" and one["Task End Reason"]["Reason"] != "Success"
    ]
    again = [one for one in log if one["Event"] == "SparkListenerTaskStart" and one["Task Info"]["Attempt"] > 0]
    stages = {(one["Stage ID"], one["Stage Attempt ID"]) for one in log if one["Event"] == "SparkListenerTaskStart"}
    assert failed
    assert again or any(number for _, number in stages)


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A master and two workers under two addresses: Spark never speculates on the host of the first attempt."""
    home, folder = Path(pyspark.__file__).parent, tmp_path_factory.mktemp("cluster")
    shared = {**os.environ, "SPARK_HOME": str(home), "JAVA_HOME": str(java_home(folder / "java"))}
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str, host: str, *more: str) -> Path:
        log = folder / f"{kind}-{host}.log"
        command = [home / "bin" / "spark-class", f"org.apache.spark.deploy.{kind}", "--host", host, *more]
        environment = {
            **shared,
            "SPARK_LOCAL_IP": host,
            "SPARK_WORKER_DIR": str(folder),
            "PYSPARK_PYTHON": sys.executable,
        }
        with log.open("wb") as file:
            started.append(subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=folder))
        return log

    def told(log: Path, pattern: str) -> str:
        until = time.monotonic() + SECONDS_MAX
        while time.monotonic() < until:
            if found := re.search(pattern, log.read_text()):
                return found[1]
            time.sleep(0.1)
        raise AssertionError(log.read_text()[-2000:])

    try:
        log = start("master.Master", "127.0.0.1", "--port", "0", "--webui-port", "0")
        url = told(log, r"(spark://127.0.0.1:\d+)")
        for host in ("127.0.0.2", "127.0.0.3"):
            log = start("worker.Worker", host, "--webui-port", "0", "--cores", "1", "--memory", "1g", url)
            told(log, r"(Successfully registered)")
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=30)


def test_a_task_that_hangs_is_done_twice(place: Place, two_hosts: str) -> None:
    """Speculation begins a second attempt beside the first; of both, one counts."""
    eager = {"spark_speculation": "true", "spark_speculation_multiplier": "1.01", "spark_speculation_quantile": "0.1"}
    attempt = place.start(two_hosts, **eager, spark_speculation_interval="100ms", spark_executor_memory="512m")
    attempt.wait_for(place.staged)
    victim = executors(os.getpid())[0]
    workers = [process for process, _ in children(victim) if not list(children(process))]
    for process in workers:
        os.kill(process, signal.SIGSTOP)
    try:
        assert attempt.end() == "published"
    finally:
        for process in workers:
            if Path(f"/proc/{process}").exists():
                os.kill(process, signal.SIGKILL)
    starts = [one["Task Info"] for one in attempt.log() if one["Event"] == "SparkListenerTaskStart"]
    assert [one for one in starts if one["Speculative"]]
    place.check()


def test_the_driver_is_killed_while_tasks_run(place: Place) -> None:
    """Whatever was staged or written is cleared away by the next run, which does all of it."""
    for moment in (place.staged, place.written):
        attempt = place.start("local[2]")
        attempt.wait_for(moment)
        attempt.process.kill()
        attempt.process.communicate()
        assert Lake.open(place.lake, read_only=True).names() == []
    assert place.start("local[2]").end() == "published"
    place.check()


@pytest.mark.parametrize("place", ["staged"], indirect=True)
@pytest.mark.parametrize(
    "step", ["synced", "journal", "after consolidated_trades.curated", "before tapehouse.runs", "finished"]
)
def test_the_driver_is_killed_while_it_publishes(place: Place, step: str) -> None:
    """Before the journal nothing happened, after it the next run finishes what was decided."""
    attempt = place.start("local[2]", fault=step)
    attempt.process.communicate(timeout=SECONDS_MAX)
    assert attempt.process.returncode == -signal.SIGKILL
    assert place.start("local[2]").end() == ("published" if step == "synced" else "nothing")
    orphans(Lake.open(place.lake), older_than=timedelta(0), remove=True)  # metadata of a table that was made twice
    place.check()

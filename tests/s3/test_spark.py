"""Spark into a lake in S3, its tasks on other machines than the driver: Python workers that see none of its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tapehouse import api
from tapehouse.certificate.compare import compare_lakes
from tapehouse.contracts.load import load
from tapehouse.lake.home import Lake
from tapehouse.runs.result import RunResult, Status
from tapehouse.synthetic.truth import Generated

from .support import CONTRACT, Cloud, python_apart

DRIVER = Path(__file__).with_name("driver.py")


@dataclass
class Apart:
    """A driver, and workers that do not share its folder."""

    folder: Path
    cloud: Cloud
    tape: Generated
    contract: Path

    @classmethod
    def make(cls, folder: Path, cloud: Cloud, tape: Generated, key: str = "") -> Apart:
        for name in ("driver", "worker", "local"):
            (folder / name).mkdir()
        python_apart(folder, folder / "driver", folder / "worker")
        contract = folder / "contract.yaml"
        text = CONTRACT.read_text(encoding="utf-8")
        assert "[venue, trade_id]" in text
        contract.write_text(text.replace("[venue, trade_id]", key or "[venue, trade_id]"), encoding="utf-8")
        cloud.open()
        return cls(folder, cloud, tape, contract)

    def start(self, locations: Sequence[str], master: str = "local[2]", fault: str = "") -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "TMPDIR": str(self.folder / "driver"),
            "PYSPARK_PYTHON": str(self.folder / "python"),
            **({"FAULT": fault} if fault else {}),
        }
        command = [sys.executable, DRIVER, master, self.contract, self.cloud.lake, self.tape.reference, *locations]
        process = subprocess.Popen(
            [*map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert process.stdin is not None
        # What Spark itself shares between its processes on one machine is not the driver's.
        process.stdin.write(f"spark.local.dir={self.folder / 'local'}\n")
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, locations: Sequence[str], master: str = "local[2]") -> dict[str, Any]:
        printed, errors = (process := self.start(locations, master)).communicate(timeout=200)
        assert process.returncode == 0, errors[-4000:]
        told: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return told

    def same(self, told: dict[str, Any], locations: Sequence[str]) -> None:
        """The lake is the one of a local run of the embedded engine over the same input."""
        contract = load(self.contract)
        names = [location.rpartition("/")[2] for location in locations]
        files = [path for path in self.tape.files if path.name in names]
        origins = dict(zip(files, locations, strict=True))
        one = api.run(contract, files, lake=self.folder / "embedded", references=self.tape.reference, origins=origins)
        assert told["proof"] == one.as_dict()["proof"]
        other = RunResult(
            told["run_id"], "run", Status.PUBLISHED, contract.name, contract.version, self.cloud.lake, one.proof, 0.0
        )
        assert [table.table for table in compare_lakes(contract, one, other) if not table.equal] == []
        assert api.verify(self.cloud.lake, deep=True).ok


@pytest.mark.slow
@pytest.mark.parametrize("key", ["[venue, trade_id]", "[symbol, ts_event]"], ids=["staged", "shuffled"])
def test_tasks_that_see_nothing_of_the_driver(cloud: Cloud, tape: Generated, tmp_path: Path, key: str) -> None:
    apart = Apart.make(tmp_path, cloud, tape, key)
    locations = cloud.deliver(tape.files)
    told = apart.run(locations)
    assert told["status"] == "published"
    assert ("staged" if key == "[venue, trade_id]" else "shuffled") in told["notes"][0]
    apart.same(told, locations)
    assert list((tmp_path / "worker").iterdir()) == []
    assert list((tmp_path / "driver").iterdir()) == []
    assert cloud.keys("lake/staging/") == cloud.keys("lake/journal/") == cloud.keys("lake/arriving/") == []
    named = _named(cloud)
    data = {key for key in cloud.keys("lake/warehouse/") if key.endswith(".parquet")}
    assert data == named
    before = cloud.keys()
    assert apart.run(locations)["status"] == "nothing"
    assert cloud.keys() == before


def _named(cloud: Cloud) -> set[str]:
    lake = Lake.open(cloud.lake, read_only=True)
    paths = {path for table in lake.tables() for path in table.named_data_files()}
    return {lake.place.location(path).removeprefix(f"s3://{cloud.curated}/") for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["synced", "journal", "before tapehouse.batches", "finished"])
def test_a_driver_that_is_killed(cloud: Cloud, tape: Generated, tmp_path: Path, fault: str) -> None:
    apart = Apart.make(tmp_path, cloud, tape)
    locations = cloud.deliver(tape.files)
    process = apart.start(locations, fault=fault)
    process.communicate(timeout=200)
    assert process.returncode == -signal.SIGKILL
    time.sleep(7.5)
    again = apart.run(locations)
    assert again["status"] == ("published" if fault == "synced" else "nothing")
    runs = api.list_runs(cloud.lake)
    assert len(runs) == 1
    told = {"run_id": runs[0]["run_id"], "proof": again["proof"]}
    if fault != "synced":
        told["proof"] = api.show_run(cloud.lake, runs[0]["run_id"])["proof"]
    apart.same({**again, **told}, locations)
    assert cloud.keys("lake/staging/") == cloud.keys("lake/journal/") == []


@pytest.mark.slow
def test_executors_in_processes_of_their_own(cloud: Cloud, tape: Generated, tmp_path: Path) -> None:
    """`local-cluster` starts workers and executors as a cluster does; files and late files."""
    apart = Apart.make(tmp_path, cloud, tape)
    locations = cloud.deliver(tape.files)
    first = apart.run(locations[:2], "local-cluster[2,1,1024]")
    apart.same(first, locations[:2])
    apart.same(apart.run(locations, "local-cluster[2,1,1024]"), locations)

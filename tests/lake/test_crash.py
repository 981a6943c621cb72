"""kill -9 at every step and at random moments, then the same run again: always the same lake (I2, I3)."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tapehouse.lake.home import Lake
from tapehouse.lake.orphans import orphans
from tapehouse.lake.publish import recover

from .support import RUNS, Bench

Worker = Callable[..., "subprocess.CompletedProcess[str]"]
STEPS = [
    "spilled",
    "written",
    "synced",
    "journal",
    "before trades.curated",
    "after trades.curated",
    "before tapehouse.runs",
    "after tapehouse.runs",
    "finished",
]


def settled(root: Path, *, runs: int) -> None:
    """Each of the runs is in the lake exactly once, in every table, and nothing is left lying about."""
    bench = Bench(Lake.open(root))
    assert bench.ids() == list(range(10 * runs))
    assert bench.ids(RUNS, "run_id") == sorted(f"r{number}" for number in range(runs))
    for spec in (RUNS,):
        assert len(bench.table(spec).snapshots()) == runs
    assert list((root / "staging").iterdir()) == []
    assert list((root / "journal").iterdir()) == []
    found = orphans(bench.lake, older_than=timedelta(0))
    assert [path for path in found.paths if path.suffix == ".parquet"] == []


@pytest.mark.parametrize("step", range(len(STEPS)), ids=[name.replace(" ", "-") for name in STEPS])
def test_killed_at_a_step_and_run_again(tmp_path: Path, worker: Worker, step: int) -> None:
    root = tmp_path / "lake"
    assert worker(root, "r0", 0).returncode == 0
    killed = worker(root, "r1", 10, step)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.split("\n")[:-1] == STEPS[:step]
    # Before anyone recovers, readers see all of the run or none of it in each table.
    before = Bench(Lake.open(root, read_only=True))
    assert before.ids() in (list(range(10)), list(range(20)))
    decided = STEPS.index("journal") < step
    lake = Lake.open(root)
    with lake.lock():
        finished = recover(lake)
    assert finished == (["r1"] if STEPS.index("journal") <= step < STEPS.index("finished") else [])
    assert Bench(lake).ids() == list(range(20 if decided or finished else 10))
    again = worker(root, "r1", 10)
    assert again.returncode == 0, again.stderr
    settled(root, runs=2)


def test_killed_on_the_very_first_run(tmp_path: Path, worker: Worker) -> None:
    root = tmp_path / "lake"
    for step in (2, 5):
        assert worker(root, "r0", 0, step).returncode == -signal.SIGKILL
    assert worker(root, "r0", 0).returncode == 0
    settled(root, runs=1)


def random_kills(root: Path, worker: Worker, *, times: int, seed: int) -> None:
    """Kill a run at random moments, those inside a commit included, until `times` are reached; then let it finish."""
    rng = random.Random(seed)
    assert worker(root, "r0", 0).returncode == 0
    killed = 0
    for number in range(1, times * 3):
        script = str(Path(__file__).with_name("writer.py"))
        command = [sys.executable, script, str(root), f"r{number}", str(10 * number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(rng.choice((3, 4, 5, 7))):
                process.stdout.readline()
            time.sleep(rng.random() * 0.03)
            process.kill()
        killed += process.returncode == -signal.SIGKILL
        assert worker(root, f"r{number}", 10 * number).returncode == 0
        if killed >= times:
            break
    assert killed >= times
    settled(root, runs=number + 1)


def test_killed_at_random_moments(tmp_path: Path, worker: Worker) -> None:
    random_kills(tmp_path / "lake", worker, times=4, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_fifty_random_moments(tmp_path: Path, worker: Worker) -> None:
    random_kills(tmp_path / "lake", worker, times=50, seed=2)


def test_two_processes_publishing_at_once(tmp_path: Path) -> None:
    root, script = tmp_path / "lake", str(Path(__file__).with_name("writer.py"))
    code = "import runpy,sys\nfor a in sys.argv[2].split(','):\n sys.argv[1:4]=[sys.argv[1],'r'+a,a+'0']\n"
    code += f" runpy.run_path({script!r},run_name='__main__')"
    shares = ["0,2,4,6,8", "1,3,5,7,9"]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(root), share], stderr=subprocess.PIPE, text=True)
        for share in shares
    ]
    for process in processes:
        assert process.communicate(timeout=120)[1] == ""
    settled(root, runs=10)

"""kill -9 at random moments of real runs, a full disk, a read-only lake: never half a run (I2)."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tapehouse.errors import LakeError
from tapehouse.lake.disk import NotWritableError
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import PublicationPendingError
from tapehouse.runs.quarantined import list_quarantine
from tapehouse.runs.result import Status
from tapehouse.runs.verify import verify
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

from .conftest import NewLake
from .support import Bench, same, worker


def started(bench: Bench, file: Path) -> subprocess.Popen[str]:
    """A process that has imported everything and now runs `file`."""
    process = worker(bench, file)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    return process


def kill_at_random(bench: Bench, other: Bench, files: tuple[Path, ...], *, seed: int) -> None:
    """Each file is run in a process that is killed somewhere, then run again; beside it, a lake left in peace."""
    chance, seconds = random.Random(seed), 0.0
    for file in files[:2]:
        process = started(bench, file)
        before = time.monotonic()
        assert process.stdout is not None
        assert process.stdout.readline() == "published\n"
        seconds = time.monotonic() - before
        process.communicate(timeout=100)
        other.run(file)
    killed = 0
    for file in files[2:]:
        process = started(bench, file)
        time.sleep(chance.uniform(0, seconds))
        process.kill()
        process.communicate(timeout=100)
        killed += process.returncode == -signal.SIGKILL
        # A reader may come before any writer: it sees a batch wholly or not at all.
        taken = verify(Lake.open(bench.lake.root, read_only=True))
        again = bench.run(file)
        assert again.status in (Status.PUBLISHED, Status.NOTHING), again
        report = verify(bench.lake)
        assert report.ok, str(report)
        assert report.batches in (taken.batches, taken.batches + 1)
        # A machine that was busy when the run was timed would let all later ones end before they are killed.
        seconds *= 1.1 if process.returncode == -signal.SIGKILL else 0.8
        other.run(file)
    assert killed >= (len(files) - 2) // 2
    assert report.batches == len(files)
    bench.clean()
    same(bench.content(), other.content())
    same(bench.partitions(), other.partitions())
    for folder in ("journal", "staging"):
        assert list((bench.lake.root / folder).iterdir()) == []
    assert bench.runs().height == len(files)


def test_killed_at_six_random_moments(bench: Bench, new_lake: NewLake, tmp_path: Path) -> None:
    made = generate_trades(tmp_path / "in", rows=2_400, seed=7, files=8, symbols=12)
    kill_at_random(bench, new_lake("other"), made.files, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_killed_at_fifty_random_moments(bench: Bench, new_lake: NewLake, tmp_path: Path) -> None:
    made = generate_trades(tmp_path / "in", rows=52_000, seed=7, files=52, symbols=12)
    kill_at_random(bench, new_lake("other"), made.files, seed=2)


HALF_A_COMMIT = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size=1")
db.execute("PRAGMA cache_spill=1")
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE iceberg_tables SET metadata_location = 'nowhere'")
db.execute("CREATE TABLE filler (x)")
db.executemany("INSERT INTO filler VALUES (?)", [("x" * 4000,) for _ in range(200)])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("first", ["reader", "writer", "verify"])
def test_killed_within_a_commit_of_the_catalogue(bench: Bench, tape: Generated, first: str) -> None:
    """The file is half changed and its old pages lie beside it: neither readers nor writers may be stopped by that."""
    bench.run(tape.files[0])
    before = bench.content()
    path = bench.lake.root / "catalog.db"
    command = [sys.executable, "-c", HALF_A_COMMIT, str(path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert path.with_name("catalog.db-journal").stat().st_size > 0
    if first == "reader":
        same(Bench(Lake.open(bench.lake.root, read_only=True), bench.contract).content(), before)
    elif first == "verify":
        assert verify(Lake.open(bench.lake.root, read_only=True)).ok
    fresh = Bench(Lake.open(bench.lake.root), bench.contract, bench.references)
    assert fresh.run(tape.files[1]).status == Status.PUBLISHED
    assert fresh.batches().height == 2
    fresh.clean()


def fill(folder: Path, *, leave: int) -> Path:
    """A ballast file that leaves about `leave` bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        for _ in range((shutil.disk_usage(folder).free - leave) // 4096):
            stream.write(bytes(4096))
    return ballast


@pytest.mark.parametrize("leave_kb", [0, 40, 80, 120, 160, 200, 280])
def test_a_full_disk_publishes_nothing_or_all(
    small_disk: Path, new_lake: NewLake, tape: Generated, leave_kb: int
) -> None:
    """With ever more space the run fails at landing, writing, the journal and the commits, and at last does not."""
    bench, other = new_lake(root=small_disk / "lake"), new_lake("other")
    bench.run(tape.files[0])
    before = bench.content()
    ballast = fill(small_disk, leave=leave_kb << 10)
    failure: LakeError | None = None
    try:
        bench.run(tape.files[1])
    except LakeError as error:
        failure = error
    assert (failure is not None) or leave_kb >= 120
    if failure is not None:
        assert "disk full" in str(failure) or "disk is full" in str(failure)
        assert failure.fix
    if failure is not None and not isinstance(failure, PublicationPendingError):
        same(bench.content(), before)
    ballast.unlink()
    again = bench.run(tape.files[1])
    pending = failure is None or isinstance(failure, PublicationPendingError)
    assert again.status == (Status.NOTHING if pending else Status.PUBLISHED)
    bench.clean()
    for file in tape.files[:2]:
        other.run(file)
    same(bench.content(), other.content())
    for folder in ("journal", "staging"):
        assert list((bench.lake.root / folder).iterdir()) == []


def test_a_read_only_lake_reads_and_says_how_to_write(small_disk: Path, new_lake: NewLake, tape: Generated) -> None:
    bench = new_lake(root=small_disk / "lake")
    bench.run(tape.files[0])
    before = bench.content()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(NotWritableError) as caught:
        bench.run(tape.files[1])
    assert "--lake" in caught.value.fix
    reading = Bench(Lake.open(bench.lake.root, read_only=True), bench.contract, bench.references)
    same(reading.content(), before)
    assert verify(reading.lake, deep=True).ok
    assert list_quarantine(reading.lake, bench.contract.name).total > 0
    with pytest.raises(LakeError):
        reading.run(tape.files[1])
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert bench.run(tape.files[1]).status == Status.PUBLISHED
    bench.clean()

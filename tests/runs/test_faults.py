"""kill -9 at random moments of real runs, a full disk, a read-only lake: never half a run (I2)."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
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
    """Each file is run in a process that is killed somewhere, then run again; beside it a lake where nothing happens."""
    chance = random.Random(seed)
    before = time.monotonic()
    process = started(bench, files[0])
    out, errors = process.communicate(timeout=100)
    seconds = time.monotonic() - before
    assert out == "published\n", errors
    other.run(files[0])
    killed = 0
    for file in files[1:]:
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
        seconds = seconds * 0.9 + 0.1 * max(again.seconds, seconds / 2)
        other.run(file)
    assert killed >= len(files) * 0.5
    assert report.batches == len(files)
    bench.clean()
    same(bench.content(), other.content())
    same(bench.partitions(), other.partitions())
    for folder in ("journal", "staging"):
        assert list((bench.lake.root / folder).iterdir()) == []
    assert bench.runs().height == len(files)


def test_killed_at_six_random_moments(bench: Bench, new_lake: NewLake, tmp_path: Path) -> None:
    made = generate_trades(tmp_path / "in", rows=2_100, seed=7, files=7, symbols=12)
    kill_at_random(bench, new_lake("other"), made.files, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_killed_at_fifty_random_moments(bench: Bench, new_lake: NewLake, tmp_path: Path) -> None:
    made = generate_trades(tmp_path / "in", rows=51_000, seed=7, files=51, symbols=12)
    kill_at_random(bench, new_lake("other"), made.files, seed=2)


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

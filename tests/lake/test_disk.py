"""Real full disks, real file-size limits and real read-only mounts: an error with a way out, and nothing half-done."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
from pathlib import Path

import polars as pl
import pytest

from tapehouse.errors import LakeError
from tapehouse.lake.disk import DiskFullError, NotWritableError
from tapehouse.lake.home import Lake
from tapehouse.lake.publish import PublicationPendingError

from .support import RUNS, Bench, trades


def fill(folder: Path, *, leave: int) -> Path:
    """A ballast file that leaves about `leave` bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        for _ in range((shutil.disk_usage(folder).free - leave) // 4096):
            stream.write(bytes(4096))
    return ballast


@pytest.mark.parametrize("leave_kb", [0, 4, 8, 16, 24, 32, 40, 48, 56, 64, 80])
def test_a_full_disk_at_any_point_publishes_nothing_or_all(small_disk: Path, leave_kb: int) -> None:
    bench = Bench(Lake.open(small_disk / "lake"))
    bench.run("r0", trades(0, 50))
    ballast = fill(small_disk, leave=leave_kb << 10)
    failure: LakeError | None = None
    try:
        bench.run("r1", trades(50, 50))
    except LakeError as error:
        failure = error
    assert failure is None or "disk full" in failure.message
    decided = failure is None or isinstance(failure, PublicationPendingError)
    assert decided or bench.ids() == list(range(50))
    ballast.unlink()
    if not decided:
        bench.run("r1", trades(50, 50))
    bench.run("r2", trades(100, 50))
    assert bench.ids() == list(range(150))
    assert bench.ids(RUNS, "run_id") == ["r0", "r1", "r2"]
    assert list((small_disk / "lake" / "journal").iterdir()) == []


def test_landing_on_a_full_disk_leaves_no_trace(small_disk: Path, tmp_path: Path) -> None:
    lake = Lake.open(small_disk / "lake")
    source = tmp_path / "big.csv"
    source.write_bytes(bytes(8 << 20))
    with pytest.raises(DiskFullError, match="landing input"):
        lake.raw.land(source)
    assert list((small_disk / "lake" / "raw").iterdir()) == []


def test_a_file_size_limit_is_a_full_disk(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "big.csv").write_bytes(bytes(1 << 20))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        rows = pl.concat([trades(0, 200_000)])
        with pytest.raises(DiskFullError, match=r"file-size limit .* writing a data file") as caught:
            bench.run("r1", rows)
        with pytest.raises(DiskFullError, match="landing input"):
            bench.lake.raw.land(tmp_path / "big.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert "ulimit -f" in caught.value.fix
    assert bench.lake.names() == []
    assert not list(bench.lake.warehouse.rglob("*.parquet"))


def test_a_read_only_mount_reads_and_says_how_to_write(small_disk: Path) -> None:
    root = small_disk / "lake"
    bench = Bench(Lake.open(root))
    bench.run("r0", trades(0, 5))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    before = sorted(root.rglob("*"))
    with pytest.raises(NotWritableError) as caught:
        Lake.open(root)
    assert "--lake" in caught.value.fix
    assert Bench(Lake.open(root, read_only=True)).ids() == list(range(5))
    with pytest.raises(LakeError):
        Lake.open(small_disk / "other")
    assert sorted(root.rglob("*")) == before


def test_a_lake_that_turns_read_only_while_open(small_disk: Path) -> None:
    bench = Bench(Lake.open(small_disk / "lake"))
    bench.run("r0", trades(0, 5))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(NotWritableError):
        bench.run("r1", trades(5, 5))
    assert bench.ids() == list(range(5))
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    bench.run("r1", trades(5, 5))
    assert bench.ids() == list(range(10))

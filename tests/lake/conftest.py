"""A lake in a temporary folder, writers in processes of their own, and a small disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapehouse.lake.home import Lake

from .support import Bench


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake")


@pytest.fixture
def bench(lake: Lake) -> Bench:
    return Bench(lake)


@pytest.fixture
def worker() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `writer.py` beside this file in a process of its own; returns when it has ended, however it ended."""

    def start(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(Path(__file__).with_name("writer.py")), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MB; skips where mounting is not allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)

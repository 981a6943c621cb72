"""A lake in a temporary folder, a server of it, writers in processes of their own, and a small disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.rest import RestCatalog

from tapehouse.lake.home import Lake
from tapehouse.lake.serve.server import CatalogueServer

from .serving import NOTES, rows, serving
from .support import Bench, trades


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake")


@pytest.fixture
def bench(lake: Lake) -> Bench:
    return Bench(lake)


@pytest.fixture
def server(bench: Bench) -> Iterator[CatalogueServer]:
    """A writable server over a lake with ten trades."""
    bench.run("r1", trades(0, 10))
    with serving(bench.lake) as made:
        yield made


@pytest.fixture
def client(server: CatalogueServer) -> RestCatalog:
    return RestCatalog("lake", uri=server.uri)


@pytest.fixture
def notes(client: RestCatalog) -> Any:
    """A table of the client's own, with one row."""
    client.create_namespace("desk")
    table = client.create_table("desk.notes", NOTES)
    table.append(rows(1))
    return table


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

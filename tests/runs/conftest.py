"""A small generated tape with every kind of fault, and lakes in temporary folders."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract
from tapehouse.lake.home import Lake
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

from .support import EXAMPLE, Bench

NewLake = Callable[..., Bench]


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """3 000 trades of one session in four files, three rows of every fault."""
    return generate_trades(tmp_path_factory.mktemp("tape"), rows=3_000, seed=7, files=4, symbols=12)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load(EXAMPLE)


@pytest.fixture
def new_lake(tmp_path: Path, contract: Contract, tape: Generated) -> NewLake:
    """Makes lakes by name, for the example contract unless another is given."""

    def make(name: str = "lake", made: Contract = contract, root: Path | None = None) -> Bench:
        assert tape.reference is not None
        known = tmp_path / "ref.csv"
        if not known.exists():
            known.write_text(tape.reference.read_text() + "AAPL,169.0000\nMSFT,400.0000\n")
        return Bench(Lake.open(root if root is not None else tmp_path / name), made, {"symbols": known})

    return make


@pytest.fixture
def bench(new_lake: NewLake) -> Bench:
    return new_lake()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 8 MB; skips where mounting is not allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)

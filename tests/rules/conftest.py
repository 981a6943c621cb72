"""The small world in which rules are tried."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the naive evaluator and the world are modules of this folder

from world import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def broken(bench: Bench) -> Callable[..., list[int]]:
    """Positions of the rows that break a rule."""
    return lambda implementation, rows, on="", **files: bench.judge(implementation, rows, on, **files)[0]

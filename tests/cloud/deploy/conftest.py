"""An emulator, and small assemblies written by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))  # where the package `emulator` is

from emulator import Emulator

from .assemblies import Writer


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "assembly")

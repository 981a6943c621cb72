"""One emulator for all tests of the extension."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))  # so that the package is `emulator` here and in the server

from emulator import Emulator
from emulator.support import Stacks


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer of test_functions, built for this interpreter."""
    folder = tmp_path_factory.mktemp("stand-in")
    package = folder / "python" / "quotes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("ORIGIN = 'stand-in'\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def emulator(stand_in: Path) -> Iterator[Emulator]:
    with Emulator(layer_for_this_interpreter=stand_in) as running:
        yield running


@pytest.fixture
def stacks(emulator: Emulator) -> Iterator[Stacks]:
    """Makes stacks from templates, and deletes them after the test."""
    made = Stacks(emulator)
    yield made
    made.delete()

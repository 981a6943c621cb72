"""A small generated tape, a lake made of it through the program, and two ways to call the program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tapehouse import api
from tapehouse.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("tapehouse")
ROWS = 4_000


@dataclass(frozen=True)
class Done:
    """What a call of the program left: exit code and both outputs."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


Call = Callable[..., Done]


@pytest.fixture(scope="session")
def contract() -> Path:
    return ROOT / "examples" / "contracts" / "consolidated-trades.yaml"


@pytest.fixture(scope="session")
def tape(tmp_path_factory) -> Path:
    """Folder with two files of generated trades, `ref.csv` and `truth.parquet`."""
    folder = tmp_path_factory.mktemp("tape")
    api.generate("trades", folder, rows=ROWS, seed=11, files=2)
    return folder


@pytest.fixture(scope="session")
def bad_tape(tmp_path_factory) -> Path:
    """A tape with more faults than the contract's budget allows."""
    folder = tmp_path_factory.mktemp("bad")
    api.generate("trades", folder, rows=500, seed=3, files=1, faults="bad_price=0.4")
    return folder


@pytest.fixture(scope="session")
def lake(tmp_path_factory, tape, contract) -> Path:
    """A lake that holds the tape. Only for tests that do not change it."""
    root = tmp_path_factory.mktemp("home") / "lake"
    result = api.run(contract, tape / "trades_*.csv", lake=root, references=tape / "ref.csv")
    assert result.status == "published"
    return root


@pytest.fixture
def own_lake(tmp_path, tape, contract) -> Path:
    """As `lake`, for one test to change."""
    root = tmp_path / "lake"
    api.run(contract, tape / "trades_*.csv", lake=root, references=tape / "ref.csv")
    return root


@pytest.fixture
def call(monkeypatch) -> Call:
    """The program in this process; fast."""
    monkeypatch.delenv("TAPEHOUSE_LAKE", raising=False)

    def run(*words: object) -> Done:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def program() -> Call:
    """The installed program in a process of its own."""

    def run(*words: object, cwd: Path | None = None, **variables: str) -> Done:
        environment = {name: value for name, value in os.environ.items() if name != "TAPEHOUSE_LAKE"} | variables
        done = subprocess.run(
            [PROGRAM, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=cwd,
            env=environment,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run

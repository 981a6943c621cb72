"""Ctrl-C and SIGTERM: a readable message, the exit code of shells, and a lake as it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tapehouse import api
from tapehouse.cli import exits

PROGRAM = Path(sys.executable).with_name("tapehouse")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A tape that takes some seconds."""
    folder = tmp_path_factory.mktemp("large")
    api.generate("trades", folder, rows=400_000, seed=5, files=2)
    return folder


def _start(contract, tape, lake, *more):
    words = [PROGRAM, "run", contract, *sorted(tape.glob("trades_*.csv")), "-r", tape / "ref.csv", "-l", lake, *more]
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _until_staged(process, lake):
    """Wait until the run has spilled rows or is about to write, so that there is something to clean up."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if any((lake / "staging").glob("*/*")):
            return
        time.sleep(0.01)
    pytest.fail("the run ended before it could be interrupted")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, exits.INTERRUPTED, "interrupted"), (signal.SIGTERM, exits.TERMINATED, "terminated")],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_run_that_is_broken_off_leaves_a_clean_lake(call, contract, large, tmp_path, number, code, word):
    lake = tmp_path / "lake"
    process = _start(contract, large, lake)
    _until_staged(process, lake)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.startswith(("error: " + word, word))
    assert "nothing was published" in err
    assert "Traceback" not in err
    assert list((lake / "staging").iterdir()) == []
    assert list((lake / "journal").iterdir()) == []
    assert list((lake / "warehouse").rglob("*.parquet")) == []
    assert call("verify", "--lake", lake).code == exits.OK
    done = call("run", contract, large / "trades_*.csv", "-r", large / "ref.csv", "-l", lake, "--json")
    assert (done.json["status"], done.json["rows_in"]) == ("published", 400_000)
    assert call("verify", "--lake", lake).code == exits.OK


def test_an_interrupt_as_json(contract, large, tmp_path):
    process = _start(contract, large, tmp_path / "lake", "--json")
    _until_staged(process, tmp_path / "lake")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (exits.INTERRUPTED, "")
    assert json.loads(out)["error"]["type"] == "Interrupted"

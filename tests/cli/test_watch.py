"""`watch`: files are taken as they land, bad ones told once, and a restart goes on where it was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue

import pytest

from tapehouse.cli import exits

PROGRAM = Path(sys.executable).with_name("tapehouse")


class Watch:
    """The program at work, its lines of JSON one after another."""

    def __init__(self, contract, tape, folder, lake):
        words = [PROGRAM, "watch", folder, "--contract", contract, "-r", tape / "ref.csv", "--lake", lake]
        self.process = subprocess.Popen(
            [str(word) for word in (*words, "--interval", "0.1", "--json")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def next(self):
        return self._lines.get(timeout=60)

    def end(self, number):
        self.process.send_signal(number)
        assert self.process.wait(timeout=60) == exits.OK
        errors = self.process.stderr.read()
        self.process.stderr.close()
        self.process.stdout.close()
        return errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_watch(call, contract, tape, bad_tape, tmp_path, number):
    folder, lake = tmp_path / "landing", tmp_path / "lake"
    folder.mkdir()
    watch = Watch(contract, tape, folder, lake)
    shutil.copy(tape / "trades_00.csv", folder)
    first = watch.next()
    assert (first["status"], first["rows_in"]) == ("published", 2_000)
    shutil.copy(bad_tape / "trades_00.csv", folder / "bad.csv")
    stopped = watch.next()
    assert (stopped["status"], stopped["rows_in"]) == ("stopped", 500)
    (folder / "odd.csv").write_text("nothing,like,it\n1,2,3\n")
    assert watch.next()["error"]["type"] == "FeedError"
    errors = watch.end(number)
    assert "Traceback" not in errors
    assert "stopping" in errors
    shutil.copy(tape / "trades_01.csv", folder)
    (folder / "odd.csv").unlink()
    (folder / "bad.csv").unlink()
    again = Watch(contract, tape, folder, lake)
    second = again.next()
    assert (second["status"], second["rows_in"]) == ("published", 2_000)
    again.end(number)
    assert call("verify", "--lake", lake).code == exits.OK
    assert len(call("runs", "list", "--lake", lake, "--json").json["runs"]) == 3


def test_watch_of_no_folder(call, contract, tape, tmp_path):
    done = call("watch", tmp_path / "none", "-c", contract, "-r", tape / "ref.csv", "-l", tmp_path / "lake")
    assert done.code == exits.USAGE

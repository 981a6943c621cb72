"""Appending from several processes, torn lines, and draining while others append."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

from tapehouse.observe.spool import Drained, Spool, append_line

WRITER = """
import sys
from pathlib import Path
from tapehouse.observe.spool import append_line
for n in range(int(sys.argv[3])):
    append_line(Path(sys.argv[1]), {"writer": sys.argv[2], "n": n, "padding": "x" * 9000})
"""


def _writers(path, count, lines):
    command = [sys.executable, "-c", WRITER, str(path)]
    return [subprocess.Popen([*command, str(writer), str(lines)]) for writer in range(count)]


def _read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_two_processes_never_interleave_lines(tmp_path):
    path = tmp_path / "deep" / "events.ndjson"
    for process in _writers(path, 2, 100):
        assert process.wait(60) == 0
    seen = [(document["writer"], document["n"]) for document in _read(path)]
    assert sorted(seen) == sorted((str(writer), n) for writer in range(2) for n in range(100))
    for writer in ("0", "1"):
        assert [n for w, n in seen if w == writer] == list(range(100))


def test_a_torn_line_damages_only_itself(tmp_path):
    path = tmp_path / "events.ndjson"
    append_line(path, {"n": 1})
    with path.open("ab") as handle:
        handle.write(b'{"n": 2, "cut')
    append_line(path, {"n": 3})
    lines = path.read_text().splitlines()
    assert (json.loads(lines[0]), json.loads(lines[2])) == ({"n": 1}, {"n": 3})
    assert len(lines) == 3


def test_drain_sends_in_order_and_keeps_the_rest(tmp_path):
    spool = Spool(tmp_path / "spool")
    for n in range(5):
        spool.add({"n": n})
    sent: list[int] = []

    def send(document):
        if document["n"] == 3:
            return False
        sent.append(document["n"])
        return True

    assert spool.drain(send) == Drained(sent=3, kept=2)
    spool.add({"n": 5})
    assert spool.drain(lambda document: bool(sent.append(document["n"]) or True)) == Drained(sent=3)
    assert sent == [0, 1, 2, 3, 4, 5]
    assert spool.drain(lambda _: True) == Drained()


def test_unreadable_lines_are_set_aside_not_dropped(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.path.write_bytes(b'{"cut\n[1]\n{"n":1}\n')
    assert spool.drain(lambda _: True) == Drained(sent=1, unreadable=2)
    assert (tmp_path / "spool.unreadable").read_bytes() == b'{"cut\n[1]\n'


def test_a_second_drain_stands_back(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.add({"n": 1})
    inner: list[Drained] = []
    assert spool.drain(lambda _: bool(inner.append(spool.drain(lambda _: True)) or True)).sent == 1
    assert inner == [Drained(busy=True)]


def test_nothing_is_lost_when_the_sender_is_killed(tmp_path):
    spool = Spool(tmp_path / "spool")
    for n in range(3):
        spool.add({"n": n})
    killed = (
        "import os, signal, sys; from pathlib import Path; from tapehouse.observe.spool import Spool\n"
        "Spool(Path(sys.argv[1])).drain(lambda d: d['n'] < 1 or os.kill(os.getpid(), signal.SIGKILL))"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(spool.path)], check=False).returncode == -9
    spool.add({"n": 3})
    sent: list[int] = []
    spool.drain(lambda document: bool(sent.append(document["n"]) or True))
    assert sent == [0, 1, 2, 3]  # 0 for the second time: at least once


def test_every_line_appended_during_drains_is_sent_once(tmp_path):
    spool = Spool(tmp_path / "spool")
    sent: list[tuple[str, int]] = []
    processes = _writers(spool.path, 2, 60)
    done = threading.Event()

    def drain():
        while True:
            last = done.is_set()
            spool.drain(lambda d: bool(sent.append((d["writer"], d["n"])) or True))
            if last:
                return

    thread = threading.Thread(target=drain)
    thread.start()
    codes = [process.wait(60) for process in processes]
    done.set()
    thread.join(30)
    assert codes == [0, 0]
    assert sorted(sent) == sorted((str(writer), n) for writer in range(2) for n in range(60))

"""Progress on a real pseudo-terminal, and its absence everywhere else."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
import time

import pytest

from tapehouse.observe.progress import SilentProgress, row_rate, show_progress

REPORTING = """
import sys, threading
from tapehouse.observe.progress import show_progress
with show_progress(quiet=len(sys.argv) > 1) as progress:
    progress.stage("reading")
    progress.expect(4_000_000)
    def work():
        for _ in range(500):
            progress.advance(rows=10, size=1000)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    import time; time.sleep(0.3)
    progress.stage("committing")
    time.sleep(0.3)
print("rich" in sys.modules)
"""


def _on_terminal(*arguments: str) -> tuple[str, str]:
    """(standard output, what a terminal on standard error was sent) of the reporting program."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140"}
    environment.pop("NO_COLOR", None)
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(leader, 4096)
            except OSError:  # Linux: the other end was closed
                return
            if not data:
                return
            shown.append(data)

    thread = threading.Thread(target=read)
    thread.start()
    command = [sys.executable, "-c", REPORTING, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, env=environment, timeout=60, check=True)
    time.sleep(0.05)
    os.close(follower)
    thread.join(10)
    os.close(leader)
    return done.stdout.decode(), b"".join(shown).decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX pseudo-terminal")
def test_terminal_shows_stage_rows_rate_and_bytes():
    out, shown = _on_terminal()
    assert out == "True\n"
    assert "reading" in shown
    assert "committing" in shown
    assert "20,000 rows" in shown
    assert "2.0/4.0 MB" in shown
    assert "/s" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX pseudo-terminal")
def test_quiet_shows_nothing_and_imports_nothing():
    assert _on_terminal("--quiet") == ("False\n", "")


def test_no_terminal_shows_nothing():
    done = subprocess.run([sys.executable, "-c", REPORTING], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_stream_that_is_no_terminal_is_left_alone():
    stream = io.StringIO()
    with show_progress(stream=stream) as progress:
        assert isinstance(progress, SilentProgress)
        progress.advance(rows=1, size=1)
    assert stream.getvalue() == ""


def test_row_rate():
    assert row_rate(1_234_567, 0.05) == "1,234,567 rows"
    assert row_rate(1_000_000, 2.0) == "1,000,000 rows  500,000/s"

"""Starting, stopping, and where it listens."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emulator import Emulator, options


def test_it_listens_on_the_loopback_interface_alone_and_leaves_no_process(tmp_path: Path) -> None:
    with Emulator(folder=tmp_path) as running:
        assert running.client("sts").get_caller_identity()["Account"] == running.account
        port = int(running.endpoint.rsplit(":", 1)[1])
        listening = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
        found = [entry[1] for entry in listening if entry[3] == "0A" and entry[1].endswith(f":{port:04X}")]
        assert found == [f"0100007F:{port:04X}"]
        group = os.getpgid(running._process.pid) if running._process is not None else 0
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    assert "Ready" in running.logs()
    assert [call.action for call in running.calls(service="sts")] in ([], ["sts:GetCallerIdentity"])


def test_it_ends_when_what_started_it_is_killed(tmp_path: Path) -> None:
    tests = Path(__file__).resolve().parents[1]
    program = f"""
import sys, time
from pathlib import Path
sys.path.append({str(tests)!r})
from emulator import Emulator
with Emulator(folder=Path({str(tmp_path)!r})) as running:
    print(running._process.pid, flush=True)
    time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    end = time.monotonic() + 10
    while time.monotonic() < end and _alive(pid):
        time.sleep(0.1)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    """Whether it still runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_another_version_of_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "MINISTACK", "0.0.1")
    with pytest.raises(RuntimeError, match=r"extends ministack 0\.0\.1, and 1\.5\.33 is installed"):
        Emulator()


def test_a_server_that_cannot_start_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.Options, "dumps", lambda self: "{}")
    with pytest.raises(RuntimeError, match=r"the emulator ended with 1:\n(.|\n)*TypeError"):
        Emulator(folder=tmp_path).__enter__()


def test_an_environment_leads_a_process_here(emulator: Emulator) -> None:
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    told = subprocess.run(
        [sys.executable, "-c", program], env=kept | emulator.env, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == f"arn:aws:iam::{emulator.account}:root"

"""An AWS of our own: an emulator in a process beside the tests, and lakes in it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapehouse import aws
from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

from .support import CONTRACT, Cloud

STARTING_SECONDS_MAX = 60


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the emulator, which every client of this process and its children finds in the environment."""
    folder = tmp_path_factory.mktemp("emulator")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    program = Path(sys.executable).with_name("ministack")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program], cwd=folder, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    given = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        aws.forget()
        try:
            _wait(process, address, folder / "log")
            yield address
        finally:
            aws.forget()
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + STARTING_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_ministack/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the emulator did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def cloud(endpoint: str) -> Cloud:
    """Buckets and a Glue database that no other test has."""
    return Cloud.make(endpoint)


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """3 000 trades of one session in four files, three rows of every fault."""
    return generate_trades(tmp_path_factory.mktemp("tape"), rows=3_000, seed=7, files=4, symbols=12)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load(CONTRACT)


@pytest.fixture
def writer(endpoint: str) -> Callable[..., subprocess.Popen[str]]:
    """Starts `writer.py` beside this file in a process of its own."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("writer.py")), *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start

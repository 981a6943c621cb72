"""Start the emulator, talk to it, stop it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import boto3
from botocore.config import Config

from emulator import options
from emulator.recording import Call, read_calls

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 10
# Where the package `emulator` is found by the server.
_TESTS = Path(__file__).resolve().parents[1]


class Emulator:
    """AWS on a free port of the loopback interface, for the length of a `with`.

    `layer_for_this_interpreter` is a folder, as a layer's zip would be unpacked (`python/...`), that stands in for each
    layer with modules compiled for another Python than this one. `folder` keeps logs and calls (default: a temporary
    one). With `isolated` false, functions see the packages of this interpreter as well.
    """

    region = options.REGION
    account = "000000000000"

    def __init__(
        self, *, layer_for_this_interpreter: Path | None = None, folder: Path | None = None, isolated: bool = True
    ) -> None:
        options.check_version()
        self._own = None if folder is not None else TemporaryDirectory(prefix="emulator-")
        self.folder = folder if folder is not None else Path(self._own.name) if self._own is not None else Path()
        self._options = options.Options(str(self.folder), str(layer_for_this_interpreter or ""), isolated)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Emulator:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._options.jobs.mkdir(exist_ok=True)
        self._port = _free_port()
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "emulator.server"],
                cwd=self.folder,
                env=self._server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def env(self) -> dict[str, str]:
        """Variables that lead a process to this emulator, as the account's root; to be added to its own."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": options.ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": options.ROOT_KEY,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def session(self) -> boto3.Session:
        """Of the account's root."""
        key = options.ROOT_KEY
        return boto3.Session(aws_access_key_id=key, aws_secret_access_key=key, region_name=self.region)

    def client(self, service: str) -> Any:
        """A boto3 client of the account's root."""
        if service not in self._clients:
            config = Config(retries={"max_attempts": 1}, read_timeout=60, s3={"addressing_style": "path"})
            made = self.session().client(service, endpoint_url=self.endpoint, config=config)
            self._clients[service] = made
        return self._clients[service]

    def calls(self, *, role: str = "", service: str = "") -> list[Call]:
        """Recorded calls, oldest first; of one role (by name) or one service where that is given."""
        found = read_calls(self._options.calls)
        return [call for call in found if role in ("", call.role) and service in ("", call.service)]

    def logs(self) -> str:
        """What the emulator's process wrote."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def job_log(self, run_id: str) -> str:
        """What a run of a Glue job wrote to both of its streams."""
        path = self._options.jobs / run_id / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """End the process and everything it started."""
        process, self._process = self._process, None
        if process is not None:
            _end_group(process)
        if self._own is not None:
            self._own.cleanup()

    def _server_environment(self) -> dict[str, str]:
        paths = [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COV_", "PYTEST_"))}
        return kept | {
            options.VARIABLE: self._options.dumps(),
            "PYTHONPATH": os.pathsep.join(paths),
            "GATEWAY_PORT": str(self._port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_REGION": self.region,
            "MINISTACK_ACCOUNT_ID": self.account,
            "AUTH": "true",
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "TMPDIR": str(self.folder / "tmp"),
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def _wait_until_healthy(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"the emulator ended with {process.returncode}:\n{self.logs()[-3000:]}")
            with (
                contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
                urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as answer,
            ):
                if answer.status == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the emulator did not answer within {START_SECONDS_MAX} s:\n{self.logs()[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """The server leads a group of its own, with its functions and jobs in it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS_MAX)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

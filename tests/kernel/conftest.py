"""Every test of the kernel runs with and without the compiled loops."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def both_ways(way: str) -> str:
    """The way this run takes."""
    return way

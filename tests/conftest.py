"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Folder of real market and payment files; skips where it is absent (the files are not ours to ship)."""
    folder = Path(os.environ.get("TAPEHOUSE_SAMPLE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "market").is_dir():
        pytest.skip(f"real sample data not found in {folder}; set TAPEHOUSE_SAMPLE_DATA to its folder")
    return folder

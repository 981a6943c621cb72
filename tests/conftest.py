"""Fixtures every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapehouse import native

# Keeps what tests proved of the requirements of deployments.
pytest_plugins = ["tapehouse.cloud.conformance.plugin"]

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Folder of real market and payment files; skips where it is absent (the files are not ours to ship)."""
    folder = Path(os.environ.get("TAPEHOUSE_SAMPLE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "market").is_dir():
        pytest.skip(f"real sample data not found in {folder}; set TAPEHOUSE_SAMPLE_DATA to its folder")
    return folder


@pytest.fixture(params=["compiled", "plain"], scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Whether the compiled loops work, or what does the same where they are not there."""
    if request.param == "compiled" and native.library is None:
        pytest.skip("the native library was not built")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain":
            patch.setattr(native, "library", None)
        yield request.param

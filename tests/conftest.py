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
# What is in these folders, or asks for that fixture there, runs in one process: each group starts something that takes
# long, such as an emulator or a Spark session, or makes something that all of it reads.
GROUPS = (
    ("e2e", "", "e2e"),
    ("s3", "", "s3"),
    ("spark", "", "spark"),
    ("emulator", "", "emulator"),
    ("cloud/deploy", "", "emulator"),
    ("handlers", "aws", "handlers"),
    ("cloud", "assemblies", "assemblies"),
)


@pytest.hookimpl(tryfirst=True)  # before those who share out the work read the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for folder, fixture, group in GROUPS:
            asked = not fixture or fixture in getattr(item, "fixturenames", ())
            if asked and REPOSITORY / "tests" / folder in item.path.parents:
                item.add_marker(pytest.mark.xdist_group(group))


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

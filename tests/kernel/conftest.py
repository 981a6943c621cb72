"""Both ways of counting and ordering: the compiled loops, and NumPy and Polars where they are not there."""

from __future__ import annotations

import pytest

from tapehouse import native


@pytest.fixture(autouse=True, params=["compiled", "plain"], scope="module")
def way(request: pytest.FixtureRequest) -> str:
    """Every test of the kernel runs with and without the library."""
    if request.param == "compiled" and native.library is None:
        pytest.skip("the native library was not built")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain":
            patch.setattr(native, "library", None)
        yield request.param

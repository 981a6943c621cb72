"""Both ways of reading: the compiled loop, and the slower one where it is not there."""

from __future__ import annotations

import pytest

from tapehouse import native

WAYS = ["compiled", "plain"]


@pytest.fixture(autouse=True, params=WAYS, scope="module")
def way(request: pytest.FixtureRequest) -> str:
    """Every test of a feed runs with and without the library."""
    if request.param == "compiled" and native.library is None:
        pytest.skip("the native library was not built")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain":
            patch.setattr(native, "library", None)
        yield request.param

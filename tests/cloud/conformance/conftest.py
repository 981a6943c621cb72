"""Our blueprints, synthesized once for all that look at them."""

from __future__ import annotations

import pytest

from tapehouse.cloud.conformance.rows import blueprints
from tapehouse.cloud.conformance.stacks import Deployment

from .ours import deployment_of


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Deployment]:
    """Each blueprint for test and for production."""
    return {name: deployment_of(name, tmp_path_factory.mktemp("assemblies")) for name in blueprints()}


@pytest.fixture(autouse=True)
def unnamed_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs within these tests are sessions of their own, whatever this one is called."""
    monkeypatch.delenv("TAPEHOUSE_CONFORMANCE_SESSION", raising=False)

"""Both blueprints, synthesized and deployed by the program as an operator would, on the emulator."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where the package `emulator` is

from emulator import Emulator
from tapehouse.cloud.package import lambda_package, running_target
from tapehouse.cloud.settings import Settings

from .operator import Deployed, Operator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Somebody with the program, settings and an account."""
    folder = tmp_path_factory.mktemp("operator")
    settings = Operator.write_settings(folder)
    read = Settings.load(settings)
    layer = lambda_package(running_target(), read.contracts, read.references).layer
    with Emulator(layer_for_this_interpreter=layer, folder=tmp_path_factory.mktemp("emulator")) as aws:
        yield Operator(aws, folder, settings)


@pytest.fixture(scope="session")
def lake(operator: Operator) -> Deployed:
    """A deployment of serverless-lake."""
    return operator.deploy("serverless-lake")


@pytest.fixture(scope="session")
def stream(operator: Operator) -> Deployed:
    """A deployment of market-stream."""
    return operator.deploy("market-stream")

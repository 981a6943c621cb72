"""Blueprints, synthesized once for all tests, with the Node.js that deployments use whichever module imports the CDK
first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pytest

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.conformance.stacks import Facts, Stacks
from tapehouse.cloud.datasets import datasets_of, names_of
from tapehouse.cloud.node import use_bundled_node
from tapehouse.cloud.synth import synthesize

from .deployments import BLUEPRINTS, ENVIRONMENTS, settings_of

use_bundled_node()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Small stand-ins for the packages: a template is the same with the real ones, but for hashes and wheels."""
    root = tmp_path_factory.mktemp("packages")
    for name, text in (
        ("layer/python/dependency.py", "ANSWER = 42\n"),
        ("code/tapehouse/__init__.py", ""),
        ("release/glue_job.py", "print('run')\n"),
        ("release/wheelhouse/polars-2.1.0-py3-none-any.whl", "wheel"),
        ("release/wheelhouse/tapehouse-0.1.0-py3-none-any.whl", "wheel"),
        ("release/contracts/consolidated_trades.yaml", "name: consolidated-trades\n"),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Packages(root / "layer", root / "code", root / "release")


@pytest.fixture(scope="session")
def assemblies(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Path]:
    """The assembly of each blueprint (market-stream, serverless-lake) in each environment (test, prod)."""
    root = tmp_path_factory.mktemp("assemblies")
    return {
        (blueprint, environment): synthesize(
            settings_of(environment), blueprint, root / f"{blueprint}-{environment}", packages
        )
        for blueprint in BLUEPRINTS
        for environment in ENVIRONMENTS
    }


@pytest.fixture(scope="session")
def deployed(assemblies: Mapping[tuple[str, str], Path]) -> Mapping[tuple[str, str], Stacks]:
    """Their stacks, with resolved properties."""
    return {
        (blueprint, environment): Stacks.read(
            path,
            Facts(
                application="tapehouse",
                service=BLUEPRINTS[blueprint],
                environment=environment,
                suffix="a1b2",
                datasets=names_of(datasets_of(settings_of(environment))),
                volume=3e9,
                peak_factor=3.0,
                as_of=dt.date(2026, 11, 27),
            ),
        )
        for (blueprint, environment), path in assemblies.items()
    }


@pytest.fixture(scope="session")
def stream(deployed: Mapping[tuple[str, str], Stacks]) -> Stacks:
    """market-stream in test."""
    return deployed["market-stream", "test"]


@pytest.fixture(scope="session")
def lake(deployed: Mapping[tuple[str, str], Stacks]) -> Stacks:
    """serverless-lake in test."""
    return deployed["serverless-lake", "test"]

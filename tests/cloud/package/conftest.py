"""Packages of two real contracts, from the user's cache or built."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest

from tapehouse.cloud.package import LambdaPackage, Target, lambda_package, lambda_target, running_target
from tapehouse.cloud.package.tools import PackageError
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

ROOT = Path(__file__).resolve().parents[3]
CONTRACTS = [ROOT / "examples" / "contracts" / name for name in ("consolidated-trades.yaml", "us-equity-trades.yaml")]
# What Lambda's runtime brings, and the layer must not.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate_trades(tmp_path_factory.mktemp("tape"), rows=5_000, seed=5, files=1, symbols=30)


@pytest.fixture(scope="session")
def deployed(tape: Generated) -> LambdaPackage:
    """For Lambda's newest Python."""
    return _built(lambda_target("3.14"), tape)


@pytest.fixture(scope="session")
def here(tape: Generated) -> LambdaPackage:
    """For this interpreter."""
    return _built(running_target(), tape)


def _built(target: Target, tape: Generated) -> LambdaPackage:
    try:
        return lambda_package(target, CONTRACTS, {"symbols": tape.reference})
    except PackageError as error:
        if re.search(r"registry|uv is not there", error.fix + error.message):
            pytest.skip(f"packages cannot be fetched here: {error}")
        raise


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what Lambda's runtime brings, and nothing else."""
    folder = tmp_path_factory.mktemp("runtime")
    site = Path(sysconfig.get_path("purelib"))
    for name in RUNTIME:
        found = next(path for path in (site / name, site / f"{name}.py") if path.exists())
        (folder / found.name).symlink_to(found)
    return folder

"""One emulator of AWS for the tests of handlers, and a package's folders with a real contract."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the server imports the package by this name too

from emulator import Emulator
from tapehouse.handlers.surroundings import Surroundings
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "examples" / "contracts" / "consolidated-trades.yaml"
DATASET = "consolidated_trades"


@pytest.fixture(scope="session")
def aws() -> Iterator[Emulator]:
    with Emulator(isolated=False) as running:
        yield running


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Trades with faults, and their reference table."""
    return generate_trades(tmp_path_factory.mktemp("tape"), rows=3_000, seed=11, files=1, symbols=20)


@pytest.fixture(scope="session")
def package(tape: Generated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with contracts/ and references/, as the function's code has them."""
    root = tmp_path_factory.mktemp("package")
    (root / "contracts").mkdir()
    (root / "references" / DATASET).mkdir(parents=True)
    shutil.copy(CONTRACT, root / "contracts" / f"{DATASET}.yaml")
    shutil.copy(tape.reference, root / "references" / DATASET / "symbols.csv")
    return root


@pytest.fixture(scope="session")
def deployed(aws: Emulator, package: Path) -> Surroundings:
    """Bucket, table, topic and job of a deployment, and what its functions are told of them."""
    make_bucket(aws, "raw")
    topic = aws.client("sns").create_topic(Name="alerts")["TopicArn"]
    return Surroundings(
        environment="test-x1",
        pipeline="stream",
        raw_bucket="raw",
        lineage_table=make_table(aws, "lineage"),
        alert_topic=topic,
        glue_job="job",
        release="s3://scripts/releases/abc",
        key_arn="",
        contracts=package / "contracts",
        references=package / "references",
        streams={"trades": DATASET},
        lanes=1,
    )


@pytest.fixture
def here(aws: Emulator, deployed: Surroundings) -> Surroundings:
    """The deployment with a bucket and a table of its own."""
    own = uuid.uuid4().hex[:12]
    bucket, table = make_bucket(aws, f"raw-{own}"), make_table(aws, f"lineage-{own}")
    return replace(deployed, raw_bucket=bucket, lineage_table=table)


def make_bucket(aws: Emulator, name: str) -> str:
    """A bucket in the emulator's region."""
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": aws.region})
    return name


def make_table(aws: Emulator, name: str) -> str:
    """A lineage table."""
    aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "dataset", "KeyType": "HASH"}, {"AttributeName": "sha256", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "dataset", "AttributeType": "S"},
            {"AttributeName": "sha256", "AttributeType": "S"},
        ],
    )
    return name

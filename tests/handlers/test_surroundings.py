"""What functions are told by their environment, and what they do while a sandbox starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator import Emulator
from tapehouse.errors import UsageError
from tapehouse.handlers.judging import Dataset, Datasets, Findings
from tapehouse.handlers.metrics import emit
from tapehouse.handlers.surroundings import Surroundings, client, error_code
from tapehouse.handlers.telling import QUIET_SECONDS, Telling

from .conftest import DATASET

FULL = {
    "TAPEHOUSE_ENVIRONMENT": "test-x1",
    "TAPEHOUSE_PIPELINE": "stream",
    "TAPEHOUSE_RAW_BUCKET": "raw",
    "TAPEHOUSE_LINEAGE_TABLE": "lineage",
}


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("TAPEHOUSE_")]:
        monkeypatch.delenv(name)
    for name, value in FULL.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_what_is_set_and_what_is_not(full: pytest.MonkeyPatch, tmp_path: Path) -> None:
    full.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    full.setenv("TAPEHOUSE_RELEASE", "s3://b/releases/x/")
    full.setenv("TAPEHOUSE_STREAMS", '{"s": "d"}')
    here = Surroundings.read()
    assert (here.environment, here.streams, here.release, here.lanes) == ("test-x1", {"s": "d"}, "s3://b/releases/x", 0)
    assert here.started_seconds == 6 * 3_600
    full.setenv("TAPEHOUSE_STARTED_SECONDS", "7200")
    assert Surroundings.read().started_seconds == 7_200
    assert (here.contracts, here.references) == (tmp_path / "contracts", tmp_path / "references")


@pytest.mark.parametrize("name", sorted(FULL))
def test_what_must_be_set_is_named(full: pytest.MonkeyPatch, name: str) -> None:
    full.delenv(name)
    with pytest.raises(UsageError, match=f"{name} is not set"):
        Surroundings.read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TAPEHOUSE_STARTED_SECONDS", "0"),
        ("TAPEHOUSE_STARTED_SECONDS", "6h"),
        ("TAPEHOUSE_STREAMS", "no json"),
        ("TAPEHOUSE_STREAMS", "[]"),
        ("TAPEHOUSE_STREAMS", '{"a": 1}'),
        ("TAPEHOUSE_PARALLELIZATION", "many"),
        ("TAPEHOUSE_PARALLELIZATION", "11"),
    ],
)
def test_what_is_wrong_is_named(full: pytest.MonkeyPatch, name: str, value: str) -> None:
    full.setenv(name, value)
    with pytest.raises(UsageError, match=name) as told:
        Surroundings.read()
    assert told.value.fix


def test_clients_are_made_once_and_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client.cache_clear()
    made = client("s3")
    assert client("s3") is made
    assert made.meta.endpoint_url == "http://127.0.0.1:9"
    assert made.meta.config.connect_timeout < made.meta.config.read_timeout < 60
    assert made.meta.config.retries["total_max_attempts"] > 1
    client.cache_clear()


def test_words_for_errors() -> None:
    from botocore.exceptions import ClientError

    assert error_code(ClientError({"Error": {"Code": "Nope"}}, "Get")) == "Nope"
    assert error_code(ClientError({"ResponseMetadata": {"HTTPStatusCode": 404}}, "Head")) == "404"
    assert error_code(ValueError("secret")) == "ValueError"


def test_a_metric_names_its_unit_and_dimensions(capsys: pytest.CaptureFixture[str]) -> None:
    emit("test-x1", "stream", "trades", {"RowsIn": 3, "Completeness": 99.5})
    line = json.loads(capsys.readouterr().out)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["Environment", "Pipeline", "Dataset"]]
    assert directive["Metrics"] == [
        {"Name": "RowsIn", "Unit": "Count"},
        {"Name": "Completeness", "Unit": "Percent"},
    ]
    assert (line["RowsIn"], line["Completeness"], line["Dataset"]) == (3, 99.5, "trades")


def test_a_package_without_a_contract_says_which_there_are(package: Path) -> None:
    datasets = Datasets(package / "contracts", package / "references")
    assert datasets.names == (DATASET,)
    with pytest.raises(UsageError, match="no contract of dataset 'other'") as told:
        datasets.get("other")
    assert DATASET in told.value.fix
    assert datasets.get(DATASET) is datasets.get(DATASET)


@pytest.fixture(scope="module")
def dataset(package: Path) -> Dataset:
    return Datasets(package / "contracts", package / "references").get(DATASET)


def test_a_budget_reached_exactly_is_kept(dataset: Dataset) -> None:
    bound = dataset.contract.budget
    assert bound is not None
    assert dataset.exceeded(Findings()) == []
    assert dataset.exceeded(Findings(1_000, int(1_000 * bound), {"price_not_positive": int(1_000 * bound)})) == []
    over = int(1_000 * bound) + 1
    found = dataset.exceeded(Findings(1_000, over, {"price_not_positive": over, "malformed_columns": over}))
    assert [one.code for one in found] == ["malformed_columns", "price_not_positive", ""]
    assert {(one.count, one.rows, one.bound) for one in found} == {(over, 1_000, bound)}


def test_the_same_rule_is_told_again_after_a_while(
    dataset: Dataset, deployed: Surroundings, aws: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    telling = Telling(deployed, aws.client("sns"), lambda: now[0])
    bad = Findings(10, 10, {"price_not_positive": 10})
    for at, alerts in ((0.0, 1), (QUIET_SECONDS - 1, 0), (QUIET_SECONDS, 1)):
        now[0] = at
        telling.judged(dataset, bad, "s3://b/k")
        assert capsys.readouterr().out.count('"event": "quality"') == alerts
    telling.judged(dataset, Findings(), "s3://b/k")
    assert capsys.readouterr().out == ""


STARTS = """
import time
began = time.perf_counter()
import {module} as module
assert module._validator is not None
print(f"set up in {{time.perf_counter() - began:.2f}} s")
"""


@pytest.mark.parametrize("name", ["stream_validator", "object_validator"])
def test_rules_are_compiled_while_the_sandbox_starts(package: Path, aws: Emulator, name: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COV_"))},
        **aws.env,
        **FULL,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "LAMBDA_TASK_ROOT": str(package),
        "TAPEHOUSE_STREAMS": json.dumps({"trades": DATASET}),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src"),
    }
    command = [sys.executable, "-c", STARTS.format(module=f"tapehouse.handlers.{name}")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "set up in" in done.stdout

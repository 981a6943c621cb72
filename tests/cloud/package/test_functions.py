"""The package of the functions: small enough, the same for the same inputs, and enough to judge real bytes alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tapehouse.cloud.package import UNZIPPED_BYTES_MAX, LambdaPackage, cache, lambda_package, running_target
from tapehouse.cloud.package.tools import PackageError
from tapehouse.contracts.load import load
from tapehouse.errors import UsageError
from tapehouse.handlers.judging import Dataset
from tapehouse.synthetic.truth import Generated

from .conftest import CONTRACTS

TRADES, EQUITY = "consolidated_trades", "us_equity_trades"

# Run by a Python that sees the package, the runtime and its own standard library.
JUDGE = """
import json, os, sys, time
layer, code, runtime, *given = sys.argv[1:]
sys.path += [code, layer, runtime]
before = set(sys.modules)
began = time.perf_counter()
import tapehouse.handlers.stream_validator, tapehouse.handlers.object_validator, tapehouse.handlers.redrive
import tapehouse.handlers.deployment, tapehouse.handlers.shard_scaling, tapehouse.handlers.permissions
from tapehouse.handlers.judging import Datasets
from pathlib import Path
imported = time.perf_counter() - began
datasets = Datasets(Path(code, "contracts"), Path(code, "references"))
found = {}
for name, path, origin in zip(given[::3], given[1::3], given[2::3]):
    one = datasets.get(name).judge(Path(path), origin)
    found[name] = [one.rows, one.rejected, dict(one.rules), one.newest_ns]
from tapehouse.handlers.surroundings import client
client("s3")
import tapehouse.native
files = {str(getattr(sys.modules[name], "__file__", None) or "") for name in set(sys.modules) - before}
print(json.dumps({"found": found, "native": tapehouse.native.library is not None, "files": sorted(files),
                  "import_seconds": imported, "names": list(datasets.names)}))
"""


def _alone(package: LambdaPackage, runtime: Path, *given: str) -> dict[str, Any]:
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", "-S", "-B", "-c", JUDGE, package.layer / "python", package.code, runtime, *given]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_it_is_small_enough_for_lambda(deployed: LambdaPackage) -> None:
    on_disk = sum(path.stat().st_size for folder in (deployed.layer, deployed.code) for path in cache.files_in(folder))
    assert deployed.bytes_unzipped == on_disk == deployed.report.total
    assert on_disk < UNZIPPED_BYTES_MAX
    # Room for what the next releases grow by.
    assert on_disk < 0.9 * UNZIPPED_BYTES_MAX, str(deployed.report)
    assert "polars" in str(deployed.report)
    assert f"{on_disk:,}" in str(deployed.report)


def test_it_is_for_lambdas_python_and_machine(deployed: LambdaPackage) -> None:
    compiled = [path.name for path in deployed.layer.rglob("*.so")]
    tagged = [match[1] for name in compiled if (match := re.search(r"\.cpython-(\d+)", name))]
    assert tagged
    assert set(tagged) == {"314"}
    assert not [name for name in compiled if "aarch64" in name]
    assert (deployed.code / "tapehouse" / "native" / "libtapehouse.so").is_file()


def test_it_has_what_functions_need_and_nothing_else(deployed: LambdaPackage) -> None:
    brought = {path.name.split("-")[0] for path in (deployed.layer / "python").iterdir()}
    assert {"polars", "numpy", "jsonschema_rs", "zstandard", "yaml"} <= brought
    assert not brought & {"pyarrow", "pandas", "duckdb", "pyiceberg", "boto3", "botocore", "pyspark", "aws_cdk"}
    inside = {path.name for path in (deployed.code / "tapehouse").iterdir()}
    assert {"handlers", "kernel", "feeds", "contracts"} <= inside
    assert not inside & {"cloud", "cli", "lake"}
    assert {path.name for path in (deployed.code / "contracts").iterdir()} == {f"{TRADES}.yaml", f"{EQUITY}.yaml"}
    assert (deployed.code / "references" / TRADES / "symbols.csv").is_file()
    assert (deployed.code / "references" / "exchanges" / "XNYS.npy").is_file()
    licences = list(deployed.layer.glob("python/*.dist-info/**/*LICENSE*"))
    assert licences


def test_it_judges_alone_as_everywhere(here: LambdaPackage, runtime: Path, tape: Generated, tmp_path: Path) -> None:
    """Layer, code and what Lambda's runtime brings; no other package can be seen. Both contracts: one looks up
    reference data, the other asks for the sessions of an exchange.
    """
    equity = tmp_path / "20131007_trade.csv"
    equity.write_text("".join(f"{at},1234500,{at % 977},Q,0000,0\n" for at in range(0, 86_000_000, 50_000)))
    origins = {
        TRADES: (str(tape.files[0]), "s3://raw/landing/trades.csv"),
        EQUITY: (str(equity), "s3://raw/landing/us_equity_trades/aapl/20131007_trade.csv"),
    }
    if load(CONTRACTS[1]).feed.path:
        origins[EQUITY] = (_zipped(equity), "s3://raw/landing/us_equity_trades/aapl/20131007_trade.zip")
    given = [word for name, (path, origin) in origins.items() for word in (name, path, origin)]
    answer = _alone(here, runtime, *given)
    for contract, name in zip(CONTRACTS, (TRADES, EQUITY), strict=True):
        references = {"symbols": tape.reference} if name == TRADES else {}
        path, origin = origins[name]
        expected = Dataset(name, load(contract), references).judge(Path(path), origin)
        assert answer["found"][name] == [expected.rows, expected.rejected, dict(expected.rules), expected.newest_ns]
        assert expected.rows > 1_000
        assert expected.rejected > 0
    assert answer["native"]
    seen = [path for path in answer["files"] if path]
    places = (str(here.layer), str(here.code), str(runtime), *_runtime_targets(runtime))
    outside = [path for path in seen if not path.startswith((*places, sys.base_prefix))]
    assert outside == []
    assert not [path for path in seen if "site-packages" in path and not path.startswith(places)]


def _zipped(path: Path) -> str:
    import zipfile

    out = path.with_suffix(".zip")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, path.name)
    return str(out)


def _runtime_targets(runtime: Path) -> tuple[str, ...]:
    return tuple(str(path.resolve()) for path in runtime.iterdir())


def test_a_second_build_takes_no_time_and_gives_the_same(here: LambdaPackage, tape: Generated) -> None:
    began = time.perf_counter()
    again = lambda_package(running_target(), CONTRACTS, {"symbols": tape.reference})
    assert time.perf_counter() - began < 1
    assert (again.layer, again.code, again.bytes_unzipped) == (here.layer, here.code, here.bytes_unzipped)


def test_another_build_of_the_same_is_the_same_bytes(
    here: LambdaPackage, tape: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPEHOUSE_CACHE", str(tmp_path))
    other = lambda_package(running_target(), CONTRACTS, {"symbols": tape.reference})
    assert other.layer != here.layer
    assert other.layer.name == here.layer.name
    for mine, theirs in ((other.layer, here.layer), (other.code, here.code)):
        assert _content(mine) == _content(theirs)


def _content(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode, cache.digest_of(path))
        for path in cache.files_in(folder)
    }


def test_a_change_of_a_contract_leaves_the_layer(here: LambdaPackage, tape: Generated, tmp_path: Path) -> None:
    changed = tmp_path / "consolidated-trades.yaml"
    changed.write_text(CONTRACTS[0].read_text().replace("version: 1.0.0", "version: 1.0.1"))
    other = lambda_package(running_target(), [changed, CONTRACTS[1]], {"symbols": tape.reference})
    assert other.layer == here.layer
    assert other.code != here.code
    assert other.report.total < 300_000_000
    size = sum(path.stat().st_size for path in cache.files_in(other.code))
    assert size < 10_000_000


def test_a_table_without_a_file_is_told() -> None:
    with pytest.raises(UsageError, match="'symbols' has no file") as told:
        lambda_package(running_target(), CONTRACTS, {})
    assert "references: {symbols: FILE}" in told.value.fix


def test_a_reference_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.csv is not there"):
        lambda_package(running_target(), CONTRACTS, {"symbols": tmp_path / "gone.csv"})


def test_a_reference_of_no_contract_is_told(tape: Generated) -> None:
    with pytest.raises(UsageError, match="no contract has a table 'other'"):
        lambda_package(running_target(), CONTRACTS, {"symbols": tape.reference, "other": tape.reference})


def test_two_contracts_of_one_dataset_are_told(tape: Generated) -> None:
    with pytest.raises(UsageError, match="both dataset consolidated_trades"):
        lambda_package(running_target(), [CONTRACTS[0], CONTRACTS[0]], {"symbols": tape.reference})


def test_no_uv_is_told(tape: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEHOUSE_CACHE", str(tmp_path))
    monkeypatch.setenv("UV", str(tmp_path / "no-uv"))
    with pytest.raises(PackageError, match="is no program") as told:
        lambda_package(running_target(), CONTRACTS, {"symbols": tape.reference})
    assert "UV" in told.value.fix


def test_no_network_is_told(tape: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEHOUSE_CACHE", str(tmp_path))
    for name, value in {
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_HTTP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PackageError) as told:
        lambda_package(running_target(), CONTRACTS, {"symbols": tape.reference})
    assert "registry" in told.value.fix


def test_a_cache_that_cannot_be_written_is_told(
    tape: Generated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAPEHOUSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot be kept") as told:
        lambda_package(running_target(), CONTRACTS, {"symbols": tape.reference})
    assert "TAPEHOUSE_CACHE" in told.value.fix

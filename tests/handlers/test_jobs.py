"""The files that EMR and Glue are given, started as they start them: by spark-submit, as files, with locations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

import tapehouse
from tapehouse import handlers
from tapehouse.engines.spark.java import java_home
from tapehouse.synthetic.trades import generate_trades
from tapehouse.synthetic.truth import Generated

HANDLERS = Path(handlers.__file__).parent
CONTRACT = Path(__file__).resolve().parents[2] / "examples" / "contracts" / "consolidated-trades.yaml"
SPARK_HOME = Path(pyspark.__file__).parent

pytestmark = pytest.mark.xdist_group("spark")


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate_trades(tmp_path_factory.mktemp("tape"), rows=5_000, seed=3, files=3, symbols=20)


def submit(
    job: str, folder: Path, *arguments: str, python: str = sys.executable, spark: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a copy of the file, alone in a folder, as the services do; without `spark` for what ends before it starts."""
    file = folder / "submitted" / f"{job}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes((HANDLERS / f"{job}.py").read_bytes())
    settings = ["spark.ui.enabled=false", "spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1"]
    launcher = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", "local[2]"]
    launcher += [word for one in settings for word in ("--conf", one)]
    environment = {
        **os.environ,
        "SPARK_HOME": str(SPARK_HOME),
        "JAVA_HOME": str(java_home(folder / "java")),
        "PYSPARK_PYTHON": python,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    given = [*(launcher if spark else [python]), str(file), *arguments]
    return subprocess.run(given, capture_output=True, text=True, env=environment, cwd=folder, timeout=200, check=False)


def result(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr[-3000:]
    told = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return json.loads(told)  # type: ignore[no-any-return]


def test_a_step_of_emr_reads_locations(tmp_path: Path, tape: Generated) -> None:
    """A pattern of file: URIs goes through Hadoop's file system, as s3: does on a cluster; lineage keeps the URIs."""
    folder = tape.files[0].parent
    lake = tmp_path / "lake"
    where = ["--contract", CONTRACT.as_uri(), "--input", f"{folder.as_uri()}/trades_*.csv", "--lake", str(lake)]
    told = result(submit("emr_job", tmp_path, *where, "--reference", f"symbols={folder.as_uri()}/ref.csv"))
    assert (told["engine"], told["status"], told["rows_in"]) == ("spark", "published", 5_000)
    origins = tapehouse.query(lake, "select origin from tapehouse.batches order by origin").to_dicts()
    assert [row["origin"] for row in origins] == [f"file:{path}" for path in tape.files]
    assert tapehouse.verify(lake, deep=True).ok
    local = tapehouse.run(CONTRACT, tape.files, lake=tmp_path / "local", references=tape.reference)
    assert told["proof"] == local.as_dict()["proof"]


@pytest.mark.slow
def test_names_that_need_care(tmp_path: Path, tape: Generated) -> None:
    """Hive-style folders, blanks and plus signs; a pattern with alternatives has a comma of its own."""
    folder = tmp_path / "in" / "dt=2024-03-04"
    folder.mkdir(parents=True)
    for name, path in zip(("a b+1.csv", "ü(2).csv", "c.csv"), tape.files, strict=True):
        (folder / name).write_bytes(path.read_bytes())
    told = result(
        submit(
            "emr_job", tmp_path, "--contract", str(CONTRACT), "--lake", (tmp_path / "a lake").as_uri(),
            "--input", f"file://{tmp_path}/in/*/{{a b+1,c}}.csv", "--input", f"file://{folder}/ü(2).csv",
            "--reference", str(tape.reference),
        )
    )  # fmt: skip
    assert told["rows_in"] == 5_000
    assert (tmp_path / "a lake" / "lake.json").is_file()


@pytest.mark.slow
def test_a_glue_job_leaves_glues_own_arguments_alone(tmp_path: Path, tape: Generated) -> None:
    inputs = ",".join(map(str, tape.files))
    own = ["--JOB_NAME", "nightly", "--TempDir", "s3://bucket/tmp", "--enable-metrics", "true"]
    told = result(
        submit(
            "glue_job",
            tmp_path,
            *own,
            "--contract",
            str(CONTRACT),
            "--input",
            inputs,
            "--lake",
            (tmp_path / "lake").as_uri(),
            "--reference",
            str(tape.reference),
        )
    )
    assert (told["status"], told["rows_in"]) == ("published", 5_000)


def test_what_is_wrong_is_told_and_fails_the_job(tmp_path: Path, tape: Generated) -> None:
    missing = submit(
        "emr_job",
        tmp_path,
        "--contract",
        str(CONTRACT),
        "--input",
        "file:///nowhere/*.csv",
        "--lake",
        str(tmp_path / "l"),
    )
    assert missing.returncode == 4
    assert "file:///nowhere/*.csv: there is no file" in said(missing)
    far = submit(
        "emr_job", tmp_path, "--contract", str(CONTRACT), "--input", "x.csv", "--lake", "hdfs://host/lake", spark=False
    )
    assert far.returncode == 2
    assert "the lake hdfs://host/lake is neither in S3 nor a folder" in said(far)
    twice = ["--reference", "a.csv", "--reference", "b.csv"]
    named = submit(
        "emr_job", tmp_path, "--contract", str(CONTRACT), "--input", "x.csv", "--lake", "l", *twice, spark=False
    )
    assert named.returncode == 2
    assert "are not told apart" in said(named)
    unknown = submit("emr_job", tmp_path, "--JOB_NAME", "x", "--contract", "c", "--input", "i", "--lake", "l")
    assert unknown.returncode == 2
    assert "unknown arguments: --JOB_NAME x" in said(unknown)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """spark-submit passes a program's standard error on as output."""
    return done.stdout + done.stderr

"""The script of a Glue job as Glue starts it: by itself, with locations in S3, arguments of Glue's own among ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyspark
import pytest

from tapehouse import api, handlers
from tapehouse.engines.spark.java import java_home
from tapehouse.synthetic.truth import Generated

from .support import CONTRACT, Cloud, python_apart
from .test_telling import DATASET, Watchers, watchers

__all__ = ["watchers"]
HANDLERS = Path(handlers.__file__).parent
SPARK_HOME = Path(pyspark.__file__).parent


def submit(folder: Path, *arguments: str, python: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a copy of the file, alone in a folder, as Glue does; `python` is that of the tasks."""
    for name in ("driver", "local"):
        (folder / name).mkdir(exist_ok=True)
    file = folder / "submitted" / "glue_job.py"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes((HANDLERS / file.name).read_bytes())
    # What Spark itself shares between its processes on one machine is not the driver's.
    settings = [
        f"spark.local.dir={folder / 'local'}",
        "spark.ui.enabled=false",
        "spark.driver.host=127.0.0.1",
        "spark.driver.bindAddress=127.0.0.1",
    ]
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", "local[3]"]
    for one in settings:
        command += ["--conf", one]
    environment = {
        **os.environ,
        "SPARK_HOME": str(SPARK_HOME),
        "JAVA_HOME": str(java_home(folder / "java")),
        "PYSPARK_PYTHON": str(python or sys.executable),
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "TMPDIR": str(folder / "driver"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    return subprocess.run(
        [*command, str(file), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=280,
        check=False,
    )


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    told: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return told


def test_a_glue_job(watchers: Watchers, tape: Generated, tmp_path: Path) -> None:
    """Its tasks see nothing of the driver's files, as on machines of their own."""
    cloud = watchers.cloud
    assert tape.reference is not None
    # The contract names its reference by where it lies beside it, as in a release.
    release = tmp_path / "release"
    contract, reference = release / "contracts" / "trades.yaml", release / "references" / "symbols.csv"
    for path, content in (
        (
            contract,
            CONTRACT.read_bytes().replace(
                b"keys: [symbol]", b"path: ../references/symbols.csv\n        keys: [symbol]"
            ),
        ),
        (reference, tape.reference.read_bytes()),
    ):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    [location] = cloud.deliver([contract], "releases/abc/contracts")
    cloud.deliver([reference], "releases/abc/references")
    locations = cloud.deliver(tape.files)
    targets = watchers.targets
    arguments = ["--JOB_NAME", "nightly", "--JOB_RUN_ID", "jr_7", "--TempDir", "s3://bucket/tmp"]
    arguments += ["--enable-metrics", "true", "--job-language", "python"]
    arguments += ["--contract", location, "--input", ",".join(locations)]
    arguments += ["--lake", cloud.lake, "--raw", cloud.raw, "--database", cloud.database]
    arguments += ["--lineage", targets["lineage"][0], "--alert", watchers.topic, "--metrics", targets["metrics"]]
    (tmp_path / "worker").mkdir()
    (tmp_path / "driver").mkdir()
    python = python_apart(tmp_path, tmp_path / "driver", tmp_path / "worker")
    told = result(submit(tmp_path, *arguments, python=python))
    assert (told["engine"], told["status"], told["rows_in"]) == ("spark", "published", 3_000)
    assert told["lake"] == cloud.lake
    assert "on local[3];" in told["notes"][0]  # where it was submitted to, and not a Spark of its own
    local = api.run(contract, tape.files, lake=tmp_path / "local")
    assert told["proof"] == local.as_dict()["proof"]
    assert api.verify(cloud.lake, deep=True).ok
    assert list((tmp_path / "worker").iterdir()) == []
    table = cloud.catalog().load_table((cloud.database, f"{DATASET}_curated"))
    assert table.scan().to_arrow().num_rows == local.proof.counts["curated"]
    items = watchers.items()
    assert {item["source"]["S"] for item in items.values()} == set(locations)
    assert {item["job_run_id"]["S"] for item in items.values()} == {"jr_7"}
    assert watchers.metrics()["RowsCurated"] == local.proof.counts["curated"]
    [message] = watchers.messages()
    assert (message["severity"], message["run_id"]) == ("warning", told["run_id"])


@pytest.mark.slow
def test_what_is_wrong_fails_the_job(cloud: Cloud, tape: Generated, tmp_path: Path) -> None:
    lake = ["--lake", cloud.lake, "--database", cloud.database]
    done = submit(tmp_path, "--contract", f"s3://{cloud.landing}/no.yaml", "--input", "s3://x/y", *lake)
    assert done.returncode == 4
    assert f"s3://{cloud.landing}/no.yaml: there is no file" in done.stdout + done.stderr
    assert cloud.keys() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--lake", "s3://bucket"], 2, "whole bucket"),
        (["--lake", "/tmp/x", "--database", "db"], 2, "are of a lake in S3"),
        (["--lake", "s3://no-such-bucket-at-all/lake", "--database", "db"], 5, "no-such-bucket-at-all"),
    ],
)
def test_arguments_that_make_no_sense(
    endpoint: str, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = submit(tmp_path, "--contract", str(CONTRACT), "--input", "x.csv", *arguments)
    assert done.returncode == code
    assert said in done.stdout + done.stderr

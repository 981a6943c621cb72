"""What can go wrong while packages are built, and how it is told."""

from __future__ import annotations

import errno
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import tapehouse
from tapehouse.cloud.package import (
    cache,
    cluster,
    functions,
    glue_target,
    lambda_package,
    packages_for,
    release,
    running_target,
    tools,
)
from tapehouse.cloud.package.inputs import inputs
from tapehouse.cloud.package.locked import named
from tapehouse.cloud.package.tools import PackageError
from tapehouse.cloud.starter import load_settings
from tapehouse.errors import UsageError

from .conftest import CONTRACTS

STARTER = Path(tapehouse.__file__).parent / "cloud" / "starter" / "trades.yaml"


def test_packages_of_settings_are_those_of_their_releases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings, _ = load_settings(None, environment="test")
    found = packages_for(settings)
    assert (found.layer / "python" / "polars").is_dir()
    assert (found.code / "contracts" / "trades.yaml").is_file()
    assert (found.release / "glue_job.py").is_file()
    assert any(path.name.startswith("tapehouse-") for path in (found.release / "wheelhouse").glob("*.whl"))


def test_a_package_that_lambda_would_not_take_is_refused_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "UNZIPPED_BYTES_MAX", 1_000_000)
    with pytest.raises(PackageError, match=r"Lambda takes 1,000,000\n(.|\n)*polars"):
        lambda_package(running_target(), [STARTER], {})


def test_another_process_may_be_quicker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEHOUSE_CACHE", str(tmp_path))

    def build(folder: Path) -> None:
        (folder / "mine").write_text("mine")
        theirs = tmp_path / "packages" / "thing"
        theirs.mkdir()
        (theirs / "theirs").write_text("theirs")

    assert [path.name for path in cache.kept("thing", build).iterdir()] == ["theirs"]

    def broken(folder: Path) -> None:
        (folder / "mine").write_text("mine")
        (tmp_path / "packages" / "other").write_text("a file where the folder should be")

    with pytest.raises(OSError, match="other"):
        cache.kept("other", broken)


def test_wheels_are_copied_where_they_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another file system")

    (tmp_path / "a.whl").write_bytes(b"wheel")
    monkeypatch.setattr(Path, "hardlink_to", refused)
    release._link(tmp_path / "a.whl", tmp_path / "b.whl")
    assert (tmp_path / "b.whl").read_bytes() == b"wheel"


def test_a_reference_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        inputs(CONTRACTS, {"symbols": tmp_path / "absent.csv"})
    (tmp_path / "symbols.txt").write_text("symbol\n")
    with pytest.raises(UsageError, match="neither CSV nor Parquet"):
        inputs(CONTRACTS, {"symbols": tmp_path / "symbols.txt"})


def test_a_package_that_the_lock_lacks_is_told() -> None:
    with pytest.raises(PackageError, match=r"uv.lock has no pandas"):
        named(["polars==2.1.0"], {"polars", "pandas"})


def test_an_installed_tapehouse_says_that_it_needs_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tapehouse, "__file__", str(tmp_path / "site" / "tapehouse" / "__init__.py"))
    with pytest.raises(PackageError, match="packages are built from a checkout"):
        tools.checkout()


def test_a_program_that_cannot_be_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tmp_path / "uv"
    plain.write_text("no program")
    with pytest.raises(PackageError, match="cannot be run"):
        tools.call(plain, "--version")
    monkeypatch.delenv("UV", raising=False)
    ours = tools.pip()
    assert ours[-1] == "pip"
    monkeypatch.setenv("UV", str(tmp_path / "absent"))
    with pytest.raises(PackageError, match="is no program"):
        tools.uv()
    monkeypatch.setattr(tools, "find_spec", lambda name: object())
    assert tools.pip() == [sys.executable, "-m", "pip"]


def small_wheel(folder: Path) -> Path:
    """A package with one module and one program."""
    path = folder / "small-1.0-py3-none-any.whl"
    files = {
        "small.py": "x = 1\n",
        "small-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
        "small-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "small-1.0.dist-info/RECORD": "small.py,,\nsmall-1.0.dist-info/METADATA,,\nsmall-1.0.dist-info/WHEEL,,\n",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def test_files_of_a_cluster_are_the_same_for_the_same_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    small_wheel(wheels)
    monkeypatch.setattr(cluster, "wheelhouse", lambda target, extras: wheels)
    written = [cluster.write_cluster_files(tmp_path / name, glue_target("3.13")) for name in ("one", "two")]
    assert written[0].wheels == 1
    assert (tmp_path / "one" / "glue-modules.txt").read_text() == "s3://BUCKET/wheelhouse/small-1.0-py3-none-any.whl\n"
    archives = [(tmp_path / name / "site.tar.gz").read_bytes() for name in ("one", "two")]
    assert archives[0] == archives[1]
    with tarfile.open(tmp_path / "one" / "site.tar.gz") as archive:
        assert "small.py" in archive.getnames()
        assert {member.mtime for member in archive} == {0}
    assert "3.13" in (tmp_path / "one" / "SUBMIT.md").read_text()
    assert (tmp_path / "one" / "glue_job.py").is_file()

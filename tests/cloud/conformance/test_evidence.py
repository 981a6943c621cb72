"""Results of runs: kept, merged, reported; and the plugin that writes them."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tapehouse.cloud.conformance import report
from tapehouse.cloud.conformance.evidence import Result, commit_of, current, merged, read, write
from tapehouse.cloud.conformance.rows import pairs
from tapehouse.errors import UsageError

ONE = Result("C01", "market-stream", "tests/a.py::one", "passed", "asserted", "abc", "2026-11-27T10:00:00.000+00:00")
LATER = "2026-11-27T11:00:00.000+00:00"


def line(results: list[Result], row: str = "C01", blueprint: str = "market-stream") -> report.Line:
    found = report.build(merged(results), blueprint=blueprint).rows
    return next(one for one in found if one.id == row)


def test_a_later_failure_overrides_whatever_the_order() -> None:
    failed = replace(ONE, outcome="failed", at=LATER)
    for results in ([ONE, failed], [failed, ONE]):
        assert not line(results).passing
    assert line([replace(failed, at=ONE.at), replace(ONE, at=LATER)]).passing


def test_one_failing_test_of_several_is_enough() -> None:
    other = replace(ONE, test="tests/a.py::two", outcome="failed")
    assert line([ONE, other]) == replace(line([ONE]), tests=(ONE.test, other.test), passing=False)


def test_skipped_tests_prove_nothing() -> None:
    skipped = line([replace(ONE, outcome="skipped")])
    assert (skipped.passing, skipped.proof, skipped.tests) == (False, "", ())
    later = replace(ONE, outcome="skipped", at=LATER)
    assert not line([ONE, later]).passing


def test_what_ran_weighs_more_than_what_was_asserted() -> None:
    assert line([ONE]).proof == "asserted"
    assert line([ONE, replace(ONE, test="tests/e2e.py::x", proof="ran")]).proof == "ran"


def test_rows_that_must_be_run_are_not_passing_by_templates() -> None:
    asserted = replace(ONE, row="L06")
    assert not line([asserted], "L06").passing
    assert line([asserted, replace(asserted, test="tests/e2e.py::x", proof="ran")], "L06").passing


def test_runs_of_one_session_and_of_several_merge(tmp_path: Path) -> None:
    write(tmp_path, "tests", [ONE])
    write(tmp_path, "tests", [replace(ONE, test="tests/a.py::two")])
    write(tmp_path, "slow", [replace(ONE, outcome="failed", at=LATER)])
    assert [(one.test, one.outcome) for one in read(tmp_path)] == [
        ("tests/a.py::one", "failed"),
        ("tests/a.py::two", "passed"),
    ]
    assert sorted(path.name for path in tmp_path.glob("*")) == [".lock", "slow.json", "tests.json"]


def test_the_table(tmp_path: Path) -> None:
    write(tmp_path, "tests", [ONE])
    table = report.load(tmp_path, blueprint="market-stream")
    body = table.as_dict()
    assert body["commit"] == "abc"
    assert set(body["rows"][0]) >= {"id", "blueprint", "requirement", "tests", "proof", "passing"}
    assert len(body["rows"]) == len(list(pairs("market-stream")))
    assert [one["id"] for one in body["rows"] if one["passing"]] == ["C01"]
    assert not table.passing
    assert "C01  market-stream   asserted  yes  EnableKeyRotation on every CMK" in table.text()
    assert table.summary.startswith(f"1 of {len(table.rows)} proved (0 ran, 1 asserted)")
    assert json.dumps(body)


def test_without_results_nothing_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = report.load()
    assert not table.passing
    assert len(table.rows) == len(list(pairs()))
    assert "no test run" in table.summary


def test_results_are_found_from_a_folder_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / ".conformance", "tests", [ONE])
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/a.py").write_text("def one(): pass\n")
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b")
    assert report.load().commit == "abc"


def test_tests_that_are_gone_count_no_more(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/a.py").write_text("class Many:\n    def one(self): pass\n")
    names = ("tests/a.py::Many::one[x::y-1]", "tests/a.py::one", "tests/a.py::two", "tests/b.py::one")
    found = current([replace(ONE, test=name) for name in names], tmp_path)
    assert [one.test for one in found] == list(names[:2])


def test_runs_that_end_at_once_keep_each_others_results(tmp_path: Path) -> None:
    results = [replace(ONE, test=f"tests/a.py::t{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: write(tmp_path, "tests", [one]), results))
    assert len(read(tmp_path)) == 8


@pytest.mark.parametrize("text", ["{", "[]", '{"results": [{"row": "C01"}]}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tests.json").write_text(text)
    with pytest.raises(UsageError, match=r"tests\.json"):
        report.load(tmp_path)


def test_the_commit_is_that_of_the_repository(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == "unknown"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "a").write_text("1")
    subprocess.run([*git, "add", "a"], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    clean = commit_of(tmp_path)
    (tmp_path / "a").write_text("2")
    assert commit_of(tmp_path) == f"{clean}-dirty"


# ---- plugin --------------------------------------------------------------------------------------------------------

MARKED = """
import pytest

@pytest.mark.proves("L06", blueprint="serverless-lake")
def test_passes(): pass

@pytest.mark.proves("C01", "C05", proof="asserted")
def test_fails(): assert False

@pytest.mark.proves("L20")
def test_skips(): pytest.skip("no emulator")

@pytest.mark.proves("B48")
def test_breaks(broken): pass

@pytest.mark.proves("A01")
def test_of_a_blueprint_to_come(): pass

@pytest.fixture
def broken(): raise OSError
"""


def run_tests(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nmarkers = slow: slow\n")
    (folder / "test_marked.py").write_text(text)
    plugin = ["-p", "tapehouse.cloud.conformance.plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *plugin, *options, str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_the_plugin_keeps_how_marked_tests_ended(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run_tests(tmp_path, MARKED, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    found = {(one.row, one.blueprint): (one.outcome, one.proof) for one in read(tmp_path / ".conformance")}
    both = ("market-stream", "serverless-lake")
    assert found == {
        ("L06", "serverless-lake"): ("passed", "ran"),
        **{(row, name): ("failed", "asserted") for row in ("C01", "C05") for name in both},
        **{("L20", name): ("skipped", "ran") for name in both},
        **{("B48", name): ("failed", "ran") for name in both},
    }
    assert [path.name for path in (tmp_path / ".conformance").glob("*.json")] == ["tests.json"]


def test_slow_runs_are_kept_apart(tmp_path: Path) -> None:
    run_tests(
        tmp_path,
        MARKED.replace('@pytest.mark.proves("L06"', '@pytest.mark.slow\n@pytest.mark.proves("L06"'),
        "-m",
        "slow",
    )
    assert [path.name for path in (tmp_path / ".conformance").glob("*.json")] == ["slow.json"]


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ('"C99"', "no row 'C99'"),
        ('"C34", blueprint="serverless-lake"', "does not apply to serverless-lake"),
        ('"C01", proof="believed"', "cannot be read"),
        ('blueprint="market-stream"', "cannot be read"),
        ('"C01", environment="test"', "cannot be read"),
    ],
)
def test_marks_that_name_nothing_stop_the_run(tmp_path: Path, mark: str, message: str) -> None:
    done = run_tests(tmp_path, f"import pytest\n@pytest.mark.proves({mark})\ndef test_a(): pass\n")
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_runs_without_marks_leave_nothing(tmp_path: Path) -> None:
    assert run_tests(tmp_path, "def test_a(): pass\n").returncode == 0
    assert not (tmp_path / ".conformance").exists()

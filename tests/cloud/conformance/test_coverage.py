"""L19: tests of the cloud package run every line of it and nearly every branch, and nothing is left out of count."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
SOURCES = REPOSITORY / "src" / "tapehouse" / "cloud"
BRANCHES_PERCENT = 95.0


def lacking(report: dict[str, Any]) -> list[str]:
    """What a coverage report (JSON, with branches) says is not run."""
    found = []
    for name, one in sorted(report["files"].items()):
        source = REPOSITORY / name
        unread = only_for_types(source.read_text()) if source.is_file() else set()
        missing = [line for line in one["missing_lines"] if line not in unread]
        if missing:
            found.append(f"{name}: lines {', '.join(map(str, missing[:20]))} are never run")
    totals = report["totals"]
    percent = 100.0 * totals["covered_branches"] / totals["num_branches"] if totals["num_branches"] else 100.0
    if percent < BRANCHES_PERCENT:
        found.append(f"{percent:.1f} % of branches are run, less than {BRANCHES_PERCENT:g} %")
    if totals["excluded_lines"]:
        found.append(f"{totals['excluded_lines']} lines are excluded from the count")
    return found


def only_for_types(source: str) -> set[int]:
    """Lines under `if TYPE_CHECKING:`, which no run of the program reads."""
    blocks = [
        one
        for one in ast.walk(ast.parse(source))
        if isinstance(one, ast.If) and isinstance(one.test, ast.Name) and one.test.id == "TYPE_CHECKING"
    ]
    return {line for one in blocks for line in range(one.body[0].lineno, (one.body[-1].end_lineno or 0) + 1)}


def left_out(source: str) -> bool:
    """Whether a source asks to be left out of the count."""
    return "pragma: no cover" in source or "pragma: no branch" in source


@pytest.mark.coverage
@pytest.mark.timeout(1700)
@pytest.mark.proves("L19")
def test_every_line_of_the_cloud_package_is_run(tmp_path: Path) -> None:
    report, config = tmp_path / "coverage.json", tmp_path / "coveragerc"
    # Coverage's own list of exclusions is emptied: lines that only a type checker reads are told apart above.
    config.write_text("[report]\nexclude_lines =\n    nothing is excluded\n")
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            "tests/cloud",
            "-q",
            "-m",
            "not slow and not coverage",
            "-p",
            "no:cacheprovider",
        ),
        *("--cov=tapehouse.cloud", "--cov-branch", f"--cov-config={config}", f"--cov-report=json:{report}"),
    ]
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "data"), "TAPEHOUSE_CONFORMANCE_SESSION": "coverage"}
    environment["TAPEHOUSE_CACHE"] = str(tmp_path / "cache")  # what is kept is not built, and its lines are not run
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=1600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    body = json.loads(report.read_text())
    assert lacking(body) == []
    assert [str(path) for path in SOURCES.rglob("*.py") if left_out(path.read_text())] == []


FULL = {
    "files": {"a.py": {"missing_lines": []}},
    "totals": {"covered_branches": 95, "num_branches": 100, "excluded_lines": 0},
}


def test_what_is_lacking_is_told() -> None:
    assert lacking(FULL) == []
    assert lacking({**FULL, "files": {"a.py": {"missing_lines": [3, 4]}}}) == ["a.py: lines 3, 4 are never run"]
    assert lacking({**FULL, "totals": {**FULL["totals"], "covered_branches": 94}})
    assert lacking({**FULL, "totals": {**FULL["totals"], "excluded_lines": 1}})
    assert left_out("x = 1  # pragma: no cover")
    assert not left_out("x = 1")
    assert only_for_types("if TYPE_CHECKING:\n    import a\n    import b\nx = 1\n") == {2, 3}

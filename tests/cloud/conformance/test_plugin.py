"""The plugin's parts one by one; `test_evidence` runs it as a whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tapehouse.cloud.conformance import plugin
from tapehouse.cloud.conformance.evidence import read
from tapehouse.errors import UsageError


class Pluggable:
    """What the plugin uses of pytest's configuration."""

    def __init__(self, root: Path, markers: str = "") -> None:
        self.rootpath = root
        self.lines: list[str] = []
        self.registered: list[Any] = []
        self.pluginmanager = SimpleNamespace(register=lambda one, name: self.registered.append(one))
        self._markers = markers

    def addinivalue_line(self, name: str, line: str) -> None:
        self.lines.append(f"{name}: {line}")

    def getoption(self, name: str, default: str) -> str:
        return self._markers or default


def report(when: str, outcome: str, *proved: list[str]) -> Any:
    properties = [("other", "x"), *((plugin.PROPERTY, one) for one in proved)]
    return SimpleNamespace(when=when, outcome=outcome, nodeid="tests/a.py::test", user_properties=properties)


def recorded(root: Path, *reports: Any, markers: str = "") -> list[tuple[str, str, str]]:
    config = Pluggable(root, markers)
    plugin.pytest_configure(config)  # type: ignore[arg-type]
    (recorder,) = config.registered
    for one in reports:
        recorder.pytest_runtest_logreport(one)
    recorder.pytest_sessionfinish()
    return [(one.row, one.outcome, one.proof) for one in read(root / ".conformance")]


PROVED = ["C01", "market-stream", "ran"]


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        ([("setup", "passed"), ("call", "passed"), ("teardown", "passed")], "passed"),
        ([("setup", "passed"), ("call", "failed"), ("teardown", "passed")], "failed"),
        ([("setup", "passed"), ("call", "passed"), ("teardown", "failed")], "failed"),
        ([("setup", "failed"), ("teardown", "passed")], "failed"),
        ([("setup", "skipped"), ("teardown", "passed")], "skipped"),
        ([("setup", "passed"), ("call", "skipped"), ("teardown", "passed")], "skipped"),
    ],
)
def test_a_test_is_as_good_as_its_worst_phase(tmp_path: Path, phases: list[tuple[str, str]], outcome: str) -> None:
    assert recorded(tmp_path, *(report(*phase, PROVED) for phase in phases)) == [("C01", outcome, "ran")]


@pytest.mark.parametrize(
    ("node", "test"),
    [
        ("tests/a.py::test", "tests/a.py::test"),
        ("tests/a.py::test@emulator", "tests/a.py::test"),
        ("tests/a.py::test[x@y]", "tests/a.py::test[x@y]"),
        ("tests/a.py::test[x@y]@emulator", "tests/a.py::test[x@y]"),
    ],
)
def test_groups_are_no_part_of_a_tests_name(tmp_path: Path, node: str, test: str) -> None:
    recorded(tmp_path, SimpleNamespace(**{**vars(report("call", "passed", PROVED)), "nodeid": node}))
    assert [one.test for one in read(tmp_path / ".conformance")] == [test]


def test_nothing_is_written_where_nothing_is_proved(tmp_path: Path) -> None:
    assert recorded(tmp_path, report("call", "passed")) == []
    assert not (tmp_path / ".conformance").exists()


def test_a_test_that_never_came_to_its_call_is_not_told(tmp_path: Path) -> None:
    assert recorded(tmp_path, report("setup", "passed", PROVED)) == []


def test_sessions_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, report("call", "passed", PROVED), markers="slow")
    recorded(tmp_path, report("call", "passed", PROVED), markers="not slow")
    monkeypatch.setenv(plugin.SESSION, "e2e")
    recorded(tmp_path, report("call", "passed", PROVED))
    assert {path.stem for path in (tmp_path / ".conformance").glob("*.json")} == {"slow", "tests", "e2e"}


def test_workers_leave_the_results_to_whoever_started_them(tmp_path: Path) -> None:
    config = Pluggable(tmp_path)
    config.workerinput = {}  # type: ignore[attr-defined]
    plugin.pytest_configure(config)  # type: ignore[arg-type]
    assert config.registered == []
    assert config.lines


def marked(*marks: pytest.MarkDecorator) -> list[tuple[str, Any]]:
    item = SimpleNamespace(nodeid="t", user_properties=[], iter_markers=lambda name: [one.mark for one in marks])
    plugin.pytest_collection_modifyitems([item])  # type: ignore[list-item]
    return list(item.user_properties)


def test_marks_become_properties() -> None:
    found = marked(pytest.mark.proves("C01", "L06", blueprint=["market-stream"], proof="asserted"))
    assert found == [("proves", ["C01", "market-stream", "asserted"]), ("proves", ["L06", "market-stream", "asserted"])]
    assert [one[1][1] for one in marked(pytest.mark.proves("C01"))] == ["market-stream", "serverless-lake"]
    assert marked(pytest.mark.proves("A01")) == []


@pytest.mark.parametrize(
    "mark",
    [
        pytest.mark.proves("Z99"),
        pytest.mark.proves(),
        pytest.mark.proves("C01", proof="hoped"),
        pytest.mark.proves("C01", because="x"),
        pytest.mark.proves("C34", blueprint="serverless-lake"),
    ],
)
def test_marks_that_cannot_be_read_are_refused(mark: pytest.MarkDecorator) -> None:
    with pytest.raises(UsageError):
        marked(mark)

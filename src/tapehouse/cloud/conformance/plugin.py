"""A pytest plugin: tests say which rows they prove, and the run's results are kept in `.conformance/`.

Registered by `pytest_plugins = ["tapehouse.cloud.conformance.plugin"]` in the outermost conftest.py. A test is marked

    @pytest.mark.proves("L06", blueprint="serverless-lake")

and without `blueprint` proves the row for every blueprint that it applies to. `proof` is "ran" unless told "asserted".
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapehouse.cloud.conformance.evidence import (
    ASSERTED,
    FAILED,
    FOLDER,
    PASSED,
    RAN,
    SKIPPED,
    Result,
    commit_of,
    write,
)
from tapehouse.cloud.conformance.rows import blueprints, row
from tapehouse.errors import UsageError

PROPERTY = "proves"
# Names the run's file where several runs of one repository must not share one.
SESSION = "TAPEHOUSE_CONFORMANCE_SESSION"
_NAME = "tapehouse-conformance"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "proves(*rows, blueprint=..., proof=...): rows of the requirements that it proves"
    )
    # Workers of pytest-xdist report to the process that started them, which keeps the results.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(config), _NAME)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("proves"):
            for proved in _proved(item.nodeid, mark):
                item.user_properties.append((PROPERTY, proved))


def _proved(test: str, mark: pytest.Mark) -> Iterator[list[str]]:
    """[row, blueprint, proof] of a mark; UsageError for what the table does not have."""
    proof = mark.kwargs.get("proof", RAN)
    named = mark.kwargs.get("blueprint")
    wanted = [named] if isinstance(named, str) else list(named or [])
    strange = set(mark.kwargs) - {"blueprint", "proof"}
    if strange or proof not in (RAN, ASSERTED) or not mark.args:
        raise UsageError(f"{test}: mark `proves` cannot be read", fix='write proves("L06", blueprint=..., proof="ran")')
    for row_id in mark.args:
        applies = row(row_id).applies_to
        wrong = [one for one in wanted if one not in applies]
        if wrong:
            raise UsageError(
                f"{test}: row {row_id} does not apply to {wrong[0]}", fix=f"it applies to {', '.join(applies)}"
            )
        for blueprint in wanted or applies:
            if blueprint in blueprints():
                yield [row_id, blueprint, proof]


class _Recorder:
    """Collects how marked tests end."""

    def __init__(self, config: pytest.Config) -> None:
        self._root = Path(config.rootpath)
        self._markers = str(config.getoption("markexpr", "") or "")
        self._outcomes: dict[tuple[str, str, str, str], str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == PROPERTY:
                row_id, blueprint, proof = _strings(value)
                key = (row_id, blueprint, _test(report.nodeid), proof)
                self._outcomes[key] = _worse(self._outcomes.get(key), report)

    def pytest_sessionfinish(self) -> None:
        if not self._outcomes:
            return
        at, commit = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), commit_of(self._root)
        results = [
            Result(row=key[0], blueprint=key[1], test=key[2], outcome=outcome, proof=key[3], commit=commit, at=at)
            for key, outcome in self._outcomes.items()
            if outcome
        ]
        write(self._root / FOLDER, self._session(), results)

    def _session(self) -> str:
        """Fast and slow tests are run apart, and neither forgets what the other showed."""
        named = os.environ.get(SESSION, "")
        return named or ("slow" if self._markers.split() == ["slow"] else "tests")


def _test(node: str) -> str:
    """Without the group that pytest-xdist writes behind it: the test is the same in one process or in several."""
    return node.rpartition("@")[0] if node.rfind("@") > node.rfind("]") else node


def _strings(value: Any) -> tuple[str, str, str]:
    row_id, blueprint, proof = value
    return str(row_id), str(blueprint), str(proof)


def _worse(before: str | None, report: pytest.TestReport) -> str:
    """A test fails when any of its phases does, and is skipped when one is; it passes by its call alone."""
    if FAILED in (before, report.outcome):
        return FAILED
    if SKIPPED in (before, report.outcome):
        return SKIPPED
    return PASSED if report.when == "call" or before == PASSED else ""

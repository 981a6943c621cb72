"""The requirements with what proved them, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapehouse.cloud.conformance.evidence import ASSERTED, FAILED, FOLDER, PASSED, RAN, Result, current, read
from tapehouse.cloud.conformance.rows import Row, pairs


@dataclass(frozen=True, slots=True)
class Line:
    """One row for one blueprint. `tests` are those that passed or failed for it; `proof` is `ran` when one that passed
    ran the behaviour, `asserted` when all looked at templates only, empty when nothing passed.
    """

    id: str
    blueprint: str
    requirement: str
    tests: tuple[str, ...]
    proof: str
    passing: bool
    commit: str

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "id": self.id,
            "blueprint": self.blueprint,
            "requirement": self.requirement,
            "tests": list(self.tests),
            "proof": self.proof,
            "passing": self.passing,
            "commit": self.commit,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """All lines; `commit` is that of the newest result."""

    rows: Sequence[Line]
    commit: str

    @property
    def passing(self) -> bool:
        """Whether every line is proved."""
        return bool(self.rows) and all(one.passing for one in self.rows)

    @property
    def summary(self) -> str:
        """One line for people."""
        proved = [one for one in self.rows if one.passing]
        ran = sum(one.proof == RAN for one in proved)
        at = f", last run at {self.commit}" if self.commit else "; no test run has left results"
        return f"{len(proved)} of {len(self.rows)} proved ({ran} ran, {len(proved) - ran} asserted){at}"

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"commit": self.commit, "summary": self.summary, "rows": [one.as_dict() for one in self.rows]}

    def text(self) -> str:
        """The table for a terminal or a log."""
        lines = [
            f"{one.id}  {one.blueprint:<16}{one.proof or '-':<10}{'yes' if one.passing else 'NO':<5}{one.requirement}"
            for one in self.rows
        ]
        return "\n".join([self.summary, *lines])


def load(evidence: Path | None = None, *, blueprint: str | None = None) -> Table:
    """The table from the results in a folder: by default `.conformance` here or in a folder above, and then of tests
    only that are still there.

    UsageError for an unknown blueprint or a damaged file.
    """
    if evidence is not None:
        return build(read(evidence), blueprint=blueprint)
    folder = _folder()
    return build(current(read(folder), folder.parent), blueprint=blueprint)


def build(results: Sequence[Result], *, blueprint: str | None = None) -> Table:
    """The table from results that were merged."""
    lines = [_line(row, name, [one for one in results if _about(one, row, name)]) for row, name in pairs(blueprint)]
    newest = max(results, key=lambda one: one.at, default=None)
    return Table(lines, newest.commit if newest else "")


def _about(result: Result, row: Row, blueprint: str) -> bool:
    return result.row == row.id and result.blueprint == blueprint and result.outcome in (PASSED, FAILED)


def _line(row: Row, blueprint: str, results: Sequence[Result]) -> Line:
    passed = [one for one in results if one.outcome == PASSED]
    ran = any(one.proof == RAN for one in passed)
    newest = max(results, key=lambda one: one.at, default=None)
    return Line(
        id=row.id,
        blueprint=blueprint,
        requirement=row.requirement,
        tests=tuple(one.test for one in results),
        proof=RAN if ran else ASSERTED if passed else "",
        passing=bool(passed) and len(passed) == len(results) and (ran or not row.run),
        commit=newest.commit if newest else "",
    )


def _folder() -> Path:
    here = Path.cwd()
    return next((one / FOLDER for one in (here, *here.parents) if (one / FOLDER).is_dir()), here / FOLDER)

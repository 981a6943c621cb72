"""What cdk-nag's rule packs and cfn-lint find in the blueprints, and which of it has been looked at and left.

Suppressions are data (`nag.yaml`), and nothing is written into templates. Each has a day on which it ends; one that no
finding needs is as wrong as a finding that has none.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from constructs import IConstruct

PACKS = ("AwsSolutionsChecks", "NIST80053R5Checks", "PCIDSS321Checks")
LINT = "cfn-lint-"
_DATA = "nag.yaml"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A rule, and the construct (its path within its stack) or resource (its logical id) that breaks it."""

    rule: str
    path: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Suppression:
    """`rule` and `path` are patterns, `*` in them is anything; `expires` is the first day on which it holds no more."""

    rule: str
    path: str
    reason: str
    owner: str
    expires: dt.date

    def covers(self, finding: Finding) -> bool:
        """Whether it is about that finding."""
        return _matches(self.rule, finding.rule) and _matches(self.path, finding.path)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`open` findings have no suppression that holds, `unused` suppressions no finding; `expired` ones have run out."""

    open: Sequence[Finding]
    unused: Sequence[Suppression]
    expired: Sequence[Suppression]

    @property
    def clean(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.open or self.unused or self.expired)


@cache
def suppressions() -> tuple[Suppression, ...]:
    """All that are written down."""
    text = files("tapehouse.cloud").joinpath(_DATA).read_text(encoding="utf-8")
    return tuple(Suppression(**entry) for entry in yaml.safe_load(text))


def findings(app: IConstruct, packs: Sequence[str] = PACKS) -> list[Finding]:
    """What the packs find in an app that has not been synthesized; each once, in order."""
    import cdk_nag

    found: set[Finding] = set()
    for pack in packs:
        report = getattr(cdk_nag, pack)(app).validate_scope(app)
        for violation in report.violations:
            for resource in violation.violating_resources:
                # The construct's path is in the report; the Python class has no property for it.
                path = resource._values["construct_path"]
                found.add(Finding(violation.rule_name, _within_stack(path), violation.description))
    return sorted(found)


def lint(assembly: Path, region: str = "us-east-1") -> list[Finding]:
    """What cfn-lint finds in the templates of an assembly, of any severity; each once, in order. Their paths are
    logical ids, for these are what a template tells.
    """
    from cfnlint.api import lint_file  # type: ignore[import-untyped]
    from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

    found: set[Finding] = set()
    for template in sorted(assembly.glob("*.template.json")):
        for match in lint_file(template, config=ManualArgs(regions=[region])):
            place = match.path or []
            found.add(Finding(f"{LINT}{match.rule.id}", str(place[1]) if len(place) > 1 else "", match.message))
    return sorted(found)


def judge(found: Iterable[Finding], known: Sequence[Suppression], on: dt.date) -> Judgement:
    """What is left to do on that day."""
    every = list(found)
    holding = [one for one in known if on < one.expires]
    return Judgement(
        [finding for finding in every if not any(one.covers(finding) for one in holding)],
        [one for one in known if not any(one.covers(finding) for finding in every)],
        [one for one in known if on >= one.expires],
    )


def _within_stack(path: str) -> str:
    return path.partition("/")[2]


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text) is not None

"""Rule packs of cdk-nag, and cfn-lint, on every template."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.blueprints import BLUEPRINTS
from tapehouse.cloud.nag import LINT, Finding, Suppression, findings, judge, lint, suppressions

from ..deployments import ENVIRONMENTS, settings_of  # noqa: TID252 - shared with other folders

TODAY = dt.date(2026, 11, 27)


@pytest.fixture(scope="module")
def found(assemblies: Mapping[tuple[str, str], Path], packages: Packages) -> list[Finding]:
    """In both blueprints, in both environments."""
    every: list[Finding] = []
    for blueprint in BLUEPRINTS.values():
        for environment in ENVIRONMENTS:
            app = App(analytics_reporting=False)
            blueprint.build(app, settings_of(environment), packages)
            every.extend(findings(app))
            every.extend(lint(assemblies[blueprint.name, environment]))
    return every


def test_every_finding_has_been_looked_at(found: list[Finding]) -> None:
    assert not judge(found, suppressions(), dt.date.today()).open


def test_every_suppression_is_needed_and_in_force(found: list[Finding]) -> None:
    judged = judge(found, suppressions(), dt.date.today())
    assert not judged.unused
    assert not judged.expired


def test_each_says_why_who_and_until_when() -> None:
    for one in suppressions():
        assert len(one.reason) > 40, one.rule
        assert one.owner
        assert one.expires - TODAY < dt.timedelta(days=400), one.rule


def test_a_bucket_for_everybody_is_found() -> None:
    stack = Stack(App(analytics_reporting=False), "Main")
    s3.Bucket(stack, "Open")
    assert Finding("AwsSolutions-S1", "Open/Resource") in [
        Finding(one.rule, one.path) for one in findings(stack.node.root, ["AwsSolutionsChecks"])
    ]


def test_a_wrong_template_is_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.template.json").write_text('{"Resources": {"Bucket": {"Type": "AWS::S3::Buckett"}}}')
    (only,) = lint(tmp_path)
    assert only.rule == f"{LINT}E3006"
    assert only.path == "Bucket"


def test_a_template_without_resources_is_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.template.json").write_text('{"Outputs": {}}')
    assert {one.path for one in lint(tmp_path)} == {""}


@pytest.mark.parametrize(
    ("on", "open_", "expired"), [(TODAY, 0, 0), (dt.date(2027, 1, 1), 1, 1), (dt.date(2027, 1, 2), 1, 1)]
)
def test_a_suppression_holds_until_its_day(on: dt.date, open_: int, expired: int) -> None:
    known = [Suppression("Pack-IAM5[Resource::<*.Arn>/*]", "Glue/*", "why", "who", dt.date(2027, 1, 1))]
    judged = judge([Finding("Pack-IAM5[Resource::<Raw.Arn>/raw/*]", "Glue/Role")], known, on)
    assert (len(judged.open), len(judged.expired), len(judged.unused)) == (open_, expired, 0)
    assert judged.clean is (on == TODAY)


def test_brackets_and_dots_are_themselves() -> None:
    known = [Suppression("A.B[x]", "*", "why", "who", dt.date(2027, 1, 1))]
    assert judge([Finding("AxBx", "p")], known, TODAY).open
    assert not judge([Finding("A.B[x]", "p")], known, TODAY).open

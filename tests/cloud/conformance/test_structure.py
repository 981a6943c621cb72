"""Rows about the code that makes templates. Each has a mutant beside it: code that its check must find."""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, CfnResource, Stack
from constructs import Construct

import tapehouse.cloud
from tapehouse.cloud.conformance.rows import blueprints
from tapehouse.cloud.conformance.stacks import Stacks
from tapehouse.cloud.releases import catalogue as releases
from tapehouse.cloud.settings import Settings
from tapehouse.cloud.synth import blueprint_of

from .ours import COMMON, packages_in, settings_of, stacks_of
from .structure import release_literals, unreachable, untyped_props

pytestmark = pytest.mark.xdist_group("conformance")

SOURCES = Path(tapehouse.cloud.__file__).parent
BUILDING = ("constructs", "blueprints", "monitoring")


def modules() -> Iterator[Any]:
    for package in BUILDING:
        parent = importlib.import_module(f"tapehouse.cloud.{package}")
        yield parent
        for found in pkgutil.iter_modules(parent.__path__, f"{parent.__name__}."):
            yield importlib.import_module(found.name)


def constructs() -> list[type]:
    found = {
        kind
        for module in modules()
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Construct) and kind.__module__.startswith("tapehouse.")
    }
    return sorted(found, key=lambda kind: kind.__name__)


# ---- L16: every resource a typed public attribute ------------------------------------------------------------------


@pytest.mark.parametrize("blueprint", blueprints())
@pytest.mark.parametrize("environment", ["test", "prod"])
@pytest.mark.proves("L16")
def test_every_resource_is_reached_by_typed_attributes(blueprint: str, environment: str, tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"), analytics_reporting=False)
    blueprint_of(blueprint).build(app, settings_of(environment), packages_in(tmp_path / "packages"))
    stacks = [one for one in app.node.children if Stack.is_stack(one)]
    assert len(stacks) == 2
    for stack in stacks:
        assert unreachable(stack) == []


class Hiding(Stack):
    """Keeps one resource to itself, has another without a type, and tells of a third."""

    told: CfnResource

    def __init__(self) -> None:
        super().__init__(None, "Hiding")
        self.told = CfnResource(self, "Told", type="AWS::SQS::Queue")
        self._kept = CfnResource(self, "Kept", type="AWS::SQS::Queue")
        self.untyped: Any = None
        CfnResource(self, "Forgotten", type="AWS::SQS::Queue")
        CfnResource(self, "Joint", type="AWS::SQS::QueuePolicy")


def test_hidden_resources_are_found() -> None:
    assert unreachable(Hiding()) == ["AWS::SQS::Queue Hiding/Kept", "AWS::SQS::Queue Hiding/Forgotten"]


# ---- L17: configuration object importable by tests -----------------------------------------------------------------


@pytest.mark.proves("L17")
def test_settings_are_an_object_that_tests_import() -> None:
    settings = Settings.of(dict(COMMON, environment="test"))
    assert settings.label == "test-x1a2"
    with pytest.raises(Exception, match="frozen"):
        settings.suffix = "other"  # type: ignore[misc]
    names = set(Settings.model_fields)
    assert names >= {"application", "environment", "suffix", "region", "owner", "cost_centre", "contracts", "network"}


@pytest.mark.proves("L17")
def test_the_template_is_of_the_settings_that_were_given(tmp_path: Path) -> None:
    settings = settings_of("test", owner="somebody", suffix="y9z9")
    stacks = stacks_of(settings, "serverless-lake", tmp_path)
    assert stacks.of("AWS::S3::Bucket")
    assert not of_others(stacks, settings)


def test_a_template_of_settings_of_its_own_is_found(tmp_path: Path) -> None:
    """Such as a blueprint would make that reads its settings from elsewhere than the object it is given."""
    stacks = stacks_of(settings_of("test"), "serverless-lake", tmp_path)
    for given in ({"owner": "somebody"}, {"suffix": "y9z9"}):
        assert len(of_others(stacks, settings_of("test", **given))) == len(stacks.of("AWS::S3::Bucket"))


def of_others(stacks: Stacks, settings: Settings) -> list[str]:
    """Names of the buckets that are not as these settings have them."""
    owner = {"Key": "Owner", "Value": settings.owner}
    return [
        one.name
        for one in stacks.of("AWS::S3::Bucket")
        if f"-{settings.suffix}-" not in one.name or owner not in one.get("Tags")
    ]


# ---- L18: typed stack props ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", constructs(), ids=lambda kind: kind.__name__)
@pytest.mark.proves("L18")
def test_what_a_construct_is_made_from_is_typed(kind: type) -> None:
    assert untyped_props(kind) == []


class Loose(Stack):
    def __init__(self, scope: Construct, construct_id: str, *, props: dict[str, str]) -> None:
        super().__init__(scope, construct_id)


class Looser(Stack):
    def __init__(self, scope: Construct, construct_id: str, **props: Any) -> None:
        super().__init__(scope, construct_id)


class Bare(Stack):
    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)


@dataclass(frozen=True)
class PartlyTyped:
    size: int
    rest: Any


class Partly(Stack):
    def __init__(self, scope: Construct, construct_id: str, *, props: PartlyTyped) -> None:
        super().__init__(scope, construct_id)


@pytest.mark.parametrize("kind", [Loose, Looser, Bare, Partly])
def test_untyped_properties_are_found(kind: type) -> None:
    assert untyped_props(kind)


# ---- L19: every construct has assertions over its template ---------------------------------------------------------


@pytest.mark.parametrize("module", sorted({kind.__module__ for kind in constructs()}))
def test_every_module_of_constructs_is_tested(module: str) -> None:
    """By a file of its name, by one that imports it, or (a blueprint) by its name. Coverage tells how far."""
    part, name = module.split(".")[-2:]
    texts = [path.read_text() for path in Path(__file__).parents[1].rglob("*.py")]
    stem = rf"\b{name}\b"
    named = (Path(__file__).parents[1] / part / f"test_{name}.py").is_file() or any(
        re.search(stem, one) for one in texts
    )
    assert named or (part == "blueprints" and (name == "pipeline" or name.replace("_", "-") in blueprints()))


# ---- L21: the newest release is data -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
@pytest.mark.proves("L21")
def test_no_release_is_written_in_code(path: Path) -> None:
    assert release_literals(path.read_text()) == []


@pytest.mark.parametrize(
    "source", ['runtime = "python3.14"', "Runtime.PYTHON_3_14", 'glue_version = "6.0"', 'label = "emr-7.14.0"']
)
def test_releases_in_code_are_found(source: str) -> None:
    assert release_literals(source)


@pytest.mark.proves("L21", "L07", "L08")
@pytest.mark.parametrize("blueprint", blueprints())
def test_a_newer_release_in_the_catalogue_is_in_the_template(
    blueprint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = list(releases.catalogue())
    newer = {
        # An old name, as if a newer one: the CDK keeps each runtime that is made, and cdk-nag asks it for the newest.
        "lambda-python": releases.Release("lambda-python", "python3.9", dt.date(2040, 1, 1), "3.99"),
        "glue": releases.Release("glue", "9.0", None, "3.99"),
    }
    grown = releases.Catalogue(
        {
            product: (
                *((newer[product],) if product in newer else ()),
                *(one for one in known if one.product == product),
            )
            for product in {one.product for one in known}
        }
    )
    monkeypatch.setattr(releases, "catalogue", lambda: grown)
    stacks = stacks_of(settings_of("test"), blueprint, tmp_path)
    assert {one.get("Runtime") for one in stacks.of("AWS::Lambda::Function")} == {"python3.9"}
    assert {one.get("GlueVersion") for one in stacks.of("AWS::Glue::Job")} == {"9.0"}

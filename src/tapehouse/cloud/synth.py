"""From settings to a cloud assembly: a pure function of the settings, the contracts and the packages."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tapehouse.cloud.blueprint import Blueprint, Packages
from tapehouse.cloud.node import use_bundled_node
from tapehouse.cloud.settings import Settings
from tapehouse.errors import UsageError


def synthesize(settings: Settings, blueprint: str, out: Path, packages: Packages | None = None) -> Path:
    """Write the assembly of that blueprint to `out`, replacing what is there; returns `out`.

    Without `packages` the real ones are built, or taken from the cache.
    """
    use_bundled_node()
    from aws_cdk import App

    chosen = blueprint_of(blueprint)
    if packages is None:
        from tapehouse.cloud.package import packages_for

        packages = packages_for(settings)
    if out.exists():
        if not out.is_dir() or (not (out / "manifest.json").is_file() and any(out.iterdir())):
            raise UsageError(f"{out} is not empty and no assembly", fix="name an absent or empty folder with --out")
        shutil.rmtree(out)
    app = App(
        outdir=str(out),
        analytics_reporting=False,
        tree_metadata=False,
        context={"aws:cdk:disable-asset-staging": False, "@aws-cdk/core:newStyleStackSynthesis": True},
    )
    chosen.build(app, settings, packages)
    app.synth()
    return out


@dataclass(frozen=True, slots=True)
class StackFile:
    """A stack of an assembly: its name, its template's file name, size and number of resources."""

    name: str
    template: str
    resources: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def stacks_of(assembly: Path) -> list[StackFile]:
    """The stacks in a folder that `synthesize` wrote, by name."""
    artifacts = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    found = []
    for name, artifact in sorted(artifacts.items()):
        if artifact["type"] == "aws:cloudformation:stack":
            template = artifact["properties"]["templateFile"]
            text = (assembly / template).read_bytes()
            resources = json.loads(text).get("Resources", {})
            found.append(StackFile(artifact["properties"].get("stackName", name), template, len(resources), len(text)))
    return found


def blueprint_of(name: str) -> Blueprint:
    """The blueprint of that name; UsageError lists those that there are."""
    from tapehouse.cloud.blueprints import BLUEPRINTS

    if name not in BLUEPRINTS:
        raise UsageError(f"no blueprint {name!r}", fix=f"one of: {', '.join(BLUEPRINTS)}")
    return BLUEPRINTS[name]

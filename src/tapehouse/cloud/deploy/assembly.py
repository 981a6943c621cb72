"""A cloud assembly: the folder that synthesis writes, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapehouse.cloud.deploy.errors import AssemblyError

MANIFEST = "manifest.json"
_SYNTH = "write it with `tapehouse cloud synth`"
# More than these, CloudFormation does not take.
TEMPLATE_BYTES_MAX = 1_048_576


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a stack refers to. `bucket` and `key` may hold placeholders for account and region; `source` is a
    file, or a folder that is zipped when `zipped`."""

    hash: str
    source: Path
    zipped: bool
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class StackArtifact:
    """A stack to deploy. `depends_on` are ids of stacks of the same assembly; `account` and `region` are empty where
    the template serves any."""

    id: str
    name: str
    template: Path
    parameters: dict[str, str]
    tags: dict[str, str]
    depends_on: tuple[str, ...]
    assets: tuple[Asset, ...]
    protected: bool
    account: str
    region: str

    def body(self) -> str:
        """The template, byte for byte as synthesized. AssemblyError when CloudFormation would refuse its size."""
        text = self.template.read_text(encoding="utf-8")
        size = len(text.encode())
        if size > TEMPLATE_BYTES_MAX:
            raise AssemblyError(
                f"{self.template}: the template has {size:,} bytes, and CloudFormation takes {TEMPLATE_BYTES_MAX:,}",
                fix="deploy fewer contracts in one stack",
            )
        return text

    def template_asset(self) -> Asset | None:
        """The template itself among the assets."""
        return next((asset for asset in self.assets if asset.source == self.template), None)


@dataclass(frozen=True, slots=True)
class Assembly:
    """Stacks in the order in which they can be deployed."""

    folder: Path
    stacks: tuple[StackArtifact, ...]

    @classmethod
    def read(cls, folder: Path) -> Assembly:
        """AssemblyError names the file that is missing or wrong."""
        manifest = _json(folder / MANIFEST)
        artifacts = manifest.get("artifacts") or {}
        found = [_stack(folder, name, artifacts) for name, one in artifacts.items() if _is_stack(one)]
        if not found:
            raise AssemblyError(f"{folder / MANIFEST} holds no stack", fix=_SYNTH)
        return cls(folder, tuple(_in_order(found)))

    def buckets(self) -> tuple[str, ...]:
        """Buckets that assets go to, with placeholders, each once."""
        return tuple(dict.fromkeys(asset.bucket for stack in self.stacks for asset in stack.assets))


def _is_stack(artifact: dict[str, Any]) -> bool:
    return bool(artifact.get("type") == "aws:cloudformation:stack")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AssemblyError(f"{path} does not exist: {path.parent} is no assembly", fix=_SYNTH) from None
    except (OSError, ValueError) as error:
        raise AssemblyError(f"{path} cannot be read: {error}", fix=_SYNTH) from None
    if not isinstance(found, dict):
        raise AssemblyError(f"{path} holds no object", fix=_SYNTH)
    return found


def _stack(folder: Path, name: str, artifacts: dict[str, Any]) -> StackArtifact:
    artifact = artifacts[name]
    properties = artifact.get("properties") or {}
    needed = artifact.get("dependencies") or []
    manifests = [one for one in needed if artifacts.get(one, {}).get("type") == "cdk:asset-manifest"]
    account, region = _environment(artifact.get("environment", ""))
    template = folder / properties["templateFile"]
    if not template.is_file():
        raise AssemblyError(f"{template} does not exist", fix=_SYNTH)
    return StackArtifact(
        id=name,
        name=properties.get("stackName", name),
        template=template,
        parameters=dict(properties.get("parameters") or {}),
        tags=dict(properties.get("tags") or {}),
        depends_on=tuple(one for one in needed if _is_stack(artifacts.get(one, {}))),
        assets=tuple(a for one in manifests for a in _assets(folder, artifacts[one]["properties"]["file"])),
        protected=bool(properties.get("terminationProtection", False)),
        account=account,
        region=region,
    )


def _environment(text: str) -> tuple[str, str]:
    """Account and region of `aws://account/region`, empty where they are unknown."""
    parts = text.removeprefix("aws://").split("/") if text else ["", ""]
    account, region = (part if not part.startswith("unknown-") else "" for part in parts)
    return account, region


def _assets(folder: Path, manifest: str) -> list[Asset]:
    content = _json(folder / manifest)
    images = content.get("dockerImages") or {}
    if images:
        raise AssemblyError(
            f"{folder / manifest} has container images ({', '.join(sorted(images))}), which are not deployed here",
            fix="ship functions and jobs as files",
        )
    found = []
    for digest, one in sorted((content.get("files") or {}).items()):
        source = folder / one["source"]["path"]
        if not source.exists():
            raise AssemblyError(f"{source} does not exist, and {folder / manifest} refers to it", fix=_SYNTH)
        zipped = one["source"].get("packaging") == "zip"
        places = one["destinations"].values()
        found += [Asset(digest, source, zipped, place["bucketName"], place["objectKey"]) for place in places]
    return found


def _in_order(stacks: list[StackArtifact]) -> list[StackArtifact]:
    """Each after what it depends on; otherwise as the manifest has them."""
    by_id = {stack.id: stack for stack in stacks}
    done: dict[str, StackArtifact] = {}

    def add(stack: StackArtifact, path: tuple[str, ...]) -> None:
        if stack.id in path:
            raise AssemblyError(f"stacks depend on each other: {' -> '.join([*path, stack.id])}", fix=_SYNTH)
        for needed in stack.depends_on:
            add(by_id[needed], (*path, stack.id))
        done[stack.id] = stack

    for stack in stacks:
        add(stack, ())
    return list(done.values())

"""Cloud assemblies as synthesis writes them, from a few lines."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

BUCKET = "tape-assets-{suffix}-${{AWS::AccountId}}-${{AWS::Region}}"
Template = dict[str, Any]


class Writer:
    """Writes one assembly, stack by stack; each stack has its template among its assets, as the CDK does it."""

    def __init__(self, folder: Path, suffix: str = "one") -> None:
        self.folder = folder
        self.bucket = BUCKET.format(suffix=suffix)
        self._artifacts: dict[str, Any] = {}
        folder.mkdir(parents=True)

    def stack(
        self,
        name: str,
        resources: Template,
        *,
        outputs: Template | None = None,
        needs: tuple[str, ...] = (),
        files: dict[str, Path] | None = None,
        **properties: Any,
    ) -> Path:
        """Add or replace a stack; `files` are more assets by key, `properties` go to its artifact."""
        told = {key: {"Value": value} for key, value in (outputs or {}).items()}
        document = {"Resources": resources, "Outputs": told, **properties.pop("template", {})}
        template = self.folder / f"{name}.template.json"
        template.write_text(json.dumps(document), encoding="utf-8")
        assets = {self._hash(template): (template.name, "file", "json")}
        for key, path in (files or {}).items():
            assets[key] = (str(path), "zip" if path.is_dir() else "file", "zip")
        content = {
            "files": {
                digest: {
                    "source": {"path": path, "packaging": packaging},
                    "destinations": {"current": {"bucketName": self.bucket, "objectKey": f"assets/{digest}.{suffix}"}},
                }
                for digest, (path, packaging, suffix) in assets.items()
            }
        }
        environment = properties.pop("environment", "aws://unknown-account/unknown-region")
        (self.folder / f"{name}.assets.json").write_text(json.dumps(content), encoding="utf-8")
        self._artifacts[f"{name}.assets"] = {
            "type": "cdk:asset-manifest",
            "properties": {"file": f"{name}.assets.json"},
        }
        self._artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": environment,
            "dependencies": [*needs, f"{name}.assets"],
            "properties": {"templateFile": template.name, **properties},
        }
        self._artifacts["Tree"] = {"type": "cdk:tree", "properties": {"file": "tree.json"}}
        manifest = {"version": "40.0.0", "artifacts": self._artifacts}
        (self.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return self.folder

    @staticmethod
    def _hash(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()


def queue(name: str, **properties: Any) -> Template:
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name, **properties}}


def parameter(name: str, value: str) -> Template:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Name": name, "Type": "String", "Value": value}}

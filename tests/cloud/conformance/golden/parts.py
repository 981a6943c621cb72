"""Words of the golden template: references, statements, names, tags, outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tapehouse.cloud.conformance.checks.names import TAGGABLE, TAGGED_AS_MAP, TAGS
from tapehouse.cloud.conformance.checks.outputs import TOLD

Json = dict[str, Any]
ACCOUNT_ROOT = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
CONSUMER = "444455556666"
PRODUCTION_SHARDS = 1_160


@dataclass(frozen=True)
class Kind:
    service: str
    environment: str
    streamed: bool

    @property
    def production(self) -> bool:
        return self.environment == "prod"

    @property
    def label(self) -> str:
        return f"{self.environment}-a1"

    @property
    def keep(self) -> str:
        return "Retain" if self.production else "Delete"


def text(kind: Kind, purpose: str) -> str:
    return f"tape-{kind.service}-{purpose}-{kind.label}-${{AWS::Region}}"


def name(kind: Kind, purpose: str) -> Json:
    return {"Fn::Sub": text(kind, purpose)}


def bucket_text(kind: Kind, purpose: str) -> str:
    return f"tape-{kind.service}-{purpose}-{kind.label}-${{AWS::AccountId}}-${{AWS::Region}}"


def sub(words: str) -> Json:
    return {"Fn::Sub": words}


def here(service: str, resource: str) -> Json:
    return sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")


def ref(logical_id: str) -> Json:
    return {"Ref": logical_id}


def att(logical_id: str, attribute: str = "Arn") -> Json:
    return {"Fn::GetAtt": [logical_id, attribute]}


def made(kind: str, properties: Json, keep: str = "", **more: Any) -> Json:
    policies = {"DeletionPolicy": keep, "UpdateReplacePolicy": keep} if keep else {}
    return {"Type": kind, "Properties": properties, **policies, **more}


def allow(action: Any, resource: Any, **more: Any) -> Json:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any, **more: Any) -> Json:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def document(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def via(service: str) -> Json:
    return sub(f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}")


def outputs(kind: Kind, resources: Json, prefix: str = "") -> Json:
    """One for every component, and for the computed concurrency."""
    found: Json = {}
    for logical_id, resource in resources.items():
        if resource["Type"] in TOLD:
            export = f"tape-{kind.service}-{kind.label}-{prefix}{logical_id.lower()}"
            found[logical_id] = {"Value": ref(logical_id), "Export": {"Name": export}}
    if kind.streamed and not prefix:
        shards = PRODUCTION_SHARDS
        found["Concurrency"] = {
            "Value": f"{shards} = shards x parallelization = {shards} x 1",
            "Export": {"Name": f"tape-{kind.service}-{kind.label}-concurrency"},
        }
    return found


def tagged(kind: Kind, resources: Json) -> None:
    values = dict.fromkeys(TAGS, "desk") | {"Environment": kind.label}
    for resource in resources.values():
        if resource["Type"] in TAGGED_AS_MAP:
            resource["Properties"]["Tags"] = dict(values)
        elif resource["Type"] in TAGGABLE:
            resource["Properties"]["Tags"] = [{"Key": key, "Value": value} for key, value in values.items()]


def body(widgets: list[Json]) -> Json:
    return sub(json.dumps({"widgets": widgets}))

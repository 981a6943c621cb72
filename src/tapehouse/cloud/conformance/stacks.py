"""A deployment's templates, as checks read them: resources by type with resolved values, and who may do what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from tapehouse.cloud.policy import Account, Place, Resolver

Template = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the settings say of a deployment, beside its templates. `volume` in bytes a day over all datasets."""

    application: str
    service: str
    environment: str
    suffix: str
    datasets: tuple[str, ...] = ()
    volume: float = 0.0
    peak_factor: float = 1.0
    as_of: date | None = None

    @property
    def label(self) -> str:
        """Value of the Environment dimension and tag."""
        return f"{self.environment}-{self.suffix}"

    @property
    def production(self) -> bool:
        return self.environment == "prod"


class Resource:
    """One resource: `properties` resolved, `written` as in the template."""

    def __init__(self, stack: str, logical_id: str, written: Mapping[str, Any], resolver: Resolver) -> None:
        self.stack = stack
        self.id = logical_id
        self.type: str = written["Type"]
        self.written = written
        self._resolver = resolver

    def __str__(self) -> str:
        return f"{self.type.rpartition('::')[2]} {self.id}"

    @cached_property
    def properties(self) -> Mapping[str, Any]:
        """Its properties, resolved when first asked for: most checks look at a few types only."""
        return self._resolver.properties(self.id)

    def get(self, path: str, default: Any = None) -> Any:
        """Property at a dotted path; `default` when it is absent."""
        value: Any = self.properties
        for part in path.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return default
            value = value[part]
        return value

    @cached_property
    def arn(self) -> str:
        """Its ARN with the stand-in account and region."""
        return str(self._resolver.value({"Fn::GetAtt": [self.id, "Arn"]}))

    @cached_property
    def ref(self) -> str:
        """What Ref returns."""
        return str(self._resolver.value({"Ref": self.id}))

    @cached_property
    def name(self) -> str:
        """Its physical name, or the stand-in for one that CloudFormation would make."""
        return self.ref.rpartition(":")[2].rpartition("/")[2] if "://" in self.ref or "arn:" in self.ref else self.ref

    @property
    def removed(self) -> str:
        """What happens on deletion of the stack: Delete, Retain or Snapshot; empty when nothing is said."""
        return str(self.written.get("DeletionPolicy", ""))

    @property
    def replaced(self) -> str:
        """What happens to the old one on replacement."""
        return str(self.written.get("UpdateReplacePolicy", ""))


class Stacks:
    """The stacks of one deployment in one environment. Read-only: what is computed is kept."""

    def __init__(self, templates: Mapping[str, Template], facts: Facts, place: Place | None = None) -> None:
        self.templates = templates
        self.facts = facts
        self.place = place or Place()
        self.resolvers = {
            name: Resolver(template, replace(self.place, stack=name)) for name, template in templates.items()
        }

    @classmethod
    def read(cls, assembly: Path, facts: Facts) -> Stacks:
        """From a synthesized assembly: the stacks that its manifest names."""
        manifest = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))
        templates: dict[str, Template] = {}
        for name, artifact in sorted(manifest["artifacts"].items()):
            if artifact["type"] == "aws:cloudformation:stack":
                properties = artifact["properties"]
                text = (assembly / properties["templateFile"]).read_text(encoding="utf-8")
                templates[properties.get("stackName", name)] = json.loads(text)
        return cls(templates, facts)

    @cached_property
    def all(self) -> tuple[Resource, ...]:
        """Every resource whose condition holds."""
        return tuple(
            Resource(stack, logical_id, written, resolver)
            for stack, resolver in self.resolvers.items()
            for logical_id, written in resolver.resources()
        )

    def of(self, *types: str) -> list[Resource]:
        """Resources of these types; a type that ends in `*` is a prefix."""
        heads = tuple(one[:-1] for one in types if one.endswith("*"))
        return [one for one in self.all if one.type in types or (heads and one.type.startswith(heads))]

    def find(self, value: Any, *types: str) -> Resource | None:
        """The resource of these types that a resolved value names, by ARN, Ref or physical name."""
        for one in self.of(*types):
            if isinstance(value, str) and value in (one.arn, one.ref, one.name):
                return one
        return None

    def key(self, value: Any) -> Resource | None:
        """The KMS key that a resolved value names: id, ARN or alias; None for AWS's own keys and unknown ones."""
        if isinstance(value, str) and "alias/" in value:
            name = "alias/" + value.rpartition("alias/")[2]
            alias = next((one for one in self.of("AWS::KMS::Alias") if one.get("AliasName") == name), None)
            value = alias.get("TargetKeyId") if alias else None
        return self.find(value, "AWS::KMS::Key")

    @cached_property
    def account(self) -> Account:
        """The policies of all stacks together."""
        return Account(self.resolvers.values())

    def outputs(self) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
        """(stack, name, as written, resolved) of every output."""
        for stack, template in self.templates.items():
            for name, written in template.get("Outputs", {}).items():
                yield stack, name, written, self.resolvers[stack].value(written)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One blueprint in both kinds of environment: what can be destroyed, and what must last."""

    blueprint: str
    test: Stacks
    prod: Stacks

    def environments(self) -> Iterator[Stacks]:
        yield self.test
        yield self.prod

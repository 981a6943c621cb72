"""A deployment's templates as a mutant may change them: deep copies, found by type, never by logical id."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tapehouse.cloud.conformance.stacks import Deployment, Stacks
from tapehouse.cloud.policy.resolve import mentioned

Json = dict[str, Any]
KEY, BUCKET_POLICY, ROLE = "AWS::KMS::Key", "AWS::S3::BucketPolicy", "AWS::IAM::Role"


class Draft:
    """Both environments of a deployment; `test` and `prod` are templates by stack name."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        # By way of JSON, which is five times as fast as deepcopy.
        self.test: dict[str, Json] = json.loads(json.dumps(deployment.test.templates))
        self.prod: dict[str, Json] = json.loads(json.dumps(deployment.prod.templates))

    def deployment(self) -> Deployment:
        """What the checks read."""
        return Deployment(self._deployment.blueprint, self.stacks("test"), self.stacks("prod"))

    def stacks(self, kind: str) -> Stacks:
        """One environment as it is now, for mutants that must know resolved values."""
        before: Stacks = getattr(self._deployment, kind)
        return Stacks(getattr(self, kind), before.facts, before.place)

    @property
    def changed(self) -> bool:
        same = self.test == self._deployment.test.templates and self.prod == self._deployment.prod.templates
        return not same

    def templates(self) -> Iterator[Json]:
        yield from self.test.values()
        yield from self.prod.values()

    def resources(self, *types: str) -> Iterator[Json]:
        """Declarations of these types, in both environments."""
        for template in self.templates():
            yield from [one for one in template["Resources"].values() if one["Type"] in types]

    def properties(self, *types: str) -> Iterator[Json]:
        """Their properties."""
        for one in self.resources(*types):
            yield one.setdefault("Properties", {})

    def drop(self, kind: str, judge: Callable[[Json], bool] = lambda one: True, count: int = 0) -> None:
        """Remove resources of a type (at most `count` in a template; 0 for all), with the outputs that tell them."""
        for template in self.templates():
            found = [name for name, one in template["Resources"].items() if one["Type"] == kind and judge(one)]
            for name in found[: count or None]:
                del template["Resources"][name]
                told = template.get("Outputs", {})
                for output in [key for key, value in told.items() if name in mentioned(value)]:
                    del told[output]

    def add(self, kind: str, properties: Json, beside: str = "") -> None:
        """One more resource in both environments, in the stack that has resources of the type `beside`."""
        for template in self.templates():
            there = template["Resources"]
            if not beside or any(one["Type"] == beside for one in there.values()):
                there[f"Added{len(there)}"] = {"Type": kind, "Properties": properties}

    # ---- policies --------------------------------------------------------------------------------------------------

    def documents(self, *types: str) -> Iterator[Json]:
        """Policy documents of these types of resources: a key's, a bucket's, what a role may do and who may take it."""
        for one in self.resources(*types):
            properties = one["Properties"]
            for name in ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"):
                if name in properties:
                    yield properties[name]
            for policy in properties.get("Policies", []):
                yield policy["PolicyDocument"]

    def statements(self, *types: str) -> Iterator[Json]:
        """Their statements."""
        for document in self.documents(*types):
            yield from _listed(document["Statement"])

    def unsay(self, judge: Callable[[Json], bool], *types: str) -> None:
        """Remove statements."""
        for document in self.documents(*types):
            document["Statement"] = [one for one in _listed(document["Statement"]) if not judge(one)]

    def say(self, statement: Json, *types: str) -> None:
        """Add a statement to every document of these types."""
        for document in self.documents(*types):
            document["Statement"] = [*_listed(document["Statement"]), statement]


@dataclass(frozen=True)
class Mutant:
    """One way to break a row."""

    row: str
    name: str
    change: Callable[[Draft], None]


MUTANTS: list[Mutant] = []


def mutant(*rows: str) -> Callable[[Callable[[Draft], None]], Callable[[Draft], None]]:
    """The decorated function breaks these rows."""

    def register(change: Callable[[Draft], None]) -> Callable[[Draft], None]:
        MUTANTS.extend(Mutant(row, change.__name__, change) for row in rows)
        return change

    return register


def set_everywhere(kind: str, path: str, value: Any) -> Callable[[Draft], None]:
    """Sets a property of every resource of a type."""

    def change(draft: Draft) -> None:
        for properties in draft.properties(kind):
            *parts, last = path.split(".")
            inner = properties
            for part in parts:
                inner = inner.setdefault(part, {})
            inner[last] = copy.deepcopy(value)

    return change


def simple(row: str, kind: str, path: str, value: Any) -> None:
    """A mutant that sets a property of every resource of a type."""
    MUTANTS.append(
        Mutant(row, f"{kind.rpartition('::')[2]}.{path}={json.dumps(value)}", set_everywhere(kind, path, value))
    )


def without(row: str, kind: str, path: str) -> None:
    """A mutant that removes a property from every resource of a type."""

    def change(draft: Draft) -> None:
        for properties in draft.properties(kind):
            *parts, last = path.split(".")
            inner = properties
            for part in parts:
                inner = inner.get(part, {})
            inner.pop(last, None)

    MUTANTS.append(Mutant(row, f"{kind.rpartition('::')[2]}.{path} removed", change))


def _listed(value: Any) -> list[Json]:
    return value if isinstance(value, list) else [value]

"""Policy documents as typed values. What AWS would refuse to store raises `PolicyError` here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tapehouse.errors import UsageError

_VERSIONS = ("2008-10-17", "2012-10-17")
_STATEMENT_KEYS = frozenset(
    {
        "Sid",
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Principal",
        "NotPrincipal",
        "Condition",
    }
)


class PolicyError(UsageError):
    """A document that AWS would not store, or a question that names something the template does not have."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `actions` and `resources` are patterns; `not_*` says that they name what is *not* meant.

    `principals` maps AWS, Service, Federated or CanonicalUser to values; None in policies of an identity.
    `resources` is empty in trust policies, where the role itself is meant.
    """

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    principals: Mapping[str, tuple[str, ...]] | None = None
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    not_action: bool = False
    not_resource: bool = False
    not_principal: bool = False
    sid: str = ""
    source: str = ""
    variables: bool = True

    @property
    def allows(self) -> bool:
        return self.effect == "Allow"

    @property
    def label(self) -> str:
        """Where the statement stands, for people."""
        return f"{self.source}[{self.sid}]" if self.sid else self.source


@dataclass(frozen=True, slots=True)
class Document:
    """Statements in order. `source` names where the document stands (logical id and property)."""

    statements: tuple[Statement, ...]
    source: str = ""

    @classmethod
    def parse(cls, body: Mapping[str, Any], source: str = "policy") -> Document:
        """From a resolved document (no intrinsic functions left)."""
        version = str(body.get("Version", "2008-10-17"))
        if version not in _VERSIONS:
            raise PolicyError(f"{source}: Version {version!r} does not exist", fix=f"write {_VERSIONS[1]}")
        bodies = body.get("Statement", [])
        bodies = [bodies] if isinstance(bodies, Mapping) else bodies
        found = tuple(
            _statement(one, f"{source}.Statement[{index}]", version == _VERSIONS[1]) for index, one in enumerate(bodies)
        )
        return cls(found, source)

    def without(self, index: int) -> Document:
        """The same document less one statement: for tests that ask whether the statement is needed."""
        return Document(self.statements[:index] + self.statements[index + 1 :], self.source)


def texts(value: Any) -> tuple[str, ...]:
    """One value or a list of them as texts, booleans as AWS writes them."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)


def _statement(body: Mapping[str, Any], source: str, variables: bool) -> Statement:
    strange = sorted(set(body) - _STATEMENT_KEYS)
    if strange:
        raise PolicyError(f"{source}: unknown element {strange[0]!r}", fix=f"use {', '.join(sorted(_STATEMENT_KEYS))}")
    effect = body.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"{source}: Effect is {effect!r}", fix="write Allow or Deny")
    actions, not_action = _either(body, "Action", source)
    if not actions:
        raise PolicyError(f"{source}: no Action", fix="name at least one action")
    resources, not_resource = _either(body, "Resource", source)
    principals, not_principal = _principals(body, source)
    conditions = {
        operator: {key: texts(value) for key, value in keys.items()}
        for operator, keys in (body.get("Condition") or {}).items()
    }
    return Statement(
        effect=effect,
        actions=actions,
        resources=resources,
        principals=principals,
        conditions=conditions,
        not_action=not_action,
        not_resource=not_resource,
        not_principal=not_principal,
        sid=str(body.get("Sid", "")),
        source=source,
        variables=variables,
    )


def _either(body: Mapping[str, Any], key: str, source: str) -> tuple[tuple[str, ...], bool]:
    if key in body and f"Not{key}" in body:
        raise PolicyError(f"{source}: both {key} and Not{key}", fix="keep one of them")
    negated = f"Not{key}" in body
    value = body.get(f"Not{key}" if negated else key)
    return ((), False) if value is None else (texts(value), negated)


def _principals(body: Mapping[str, Any], source: str) -> tuple[Mapping[str, tuple[str, ...]] | None, bool]:
    if "Principal" in body and "NotPrincipal" in body:
        raise PolicyError(f"{source}: both Principal and NotPrincipal", fix="keep one of them")
    negated = "NotPrincipal" in body
    value = body.get("NotPrincipal" if negated else "Principal")
    if value is None:
        return None, False
    if value == "*":
        return {"*": ("*",)}, negated
    if not isinstance(value, Mapping):
        raise PolicyError(f"{source}: Principal is {value!r}", fix='write "*" or a map such as {"AWS": "..."}')
    return {kind: texts(names) for kind, names in value.items()}, negated

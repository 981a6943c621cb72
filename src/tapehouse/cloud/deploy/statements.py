"""Policy documents compared by what they allow, not by how they are written.

A document is taken apart into grants: one effect, principal, action, resource and condition each. A grant is covered by
another of the same effect that is at least as wide in each of them. What an Allow covers anew, and what a Deny covers
no more, is a widening. Values that are functions of CloudFormation are compared as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

from tapehouse.cloud.deploy.templates import canonical

ANYONE = "*"


@dataclass(frozen=True, slots=True)
class Condition:
    """An operator on a key; the values are alternatives."""

    operator: str
    key: str
    values: frozenset[str]

    def covers(self, other: Condition) -> bool:
        """Whether this one holds wherever `other` does: fewer values are narrower, but of an operator that says what
        must not be, more are."""
        if (self.operator, self.key) != (other.operator, other.key):
            return False
        return self.values <= other.values if "Not" in self.operator else other.values <= self.values

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {' or '.join(sorted(self.values))}"


@dataclass(frozen=True, slots=True)
class Grant:
    """One atom of a document. `negated` names the parts that say what is *not* meant: such a grant covers only itself.
    All `conditions` have to hold."""

    effect: str
    principal: str
    action: str
    resource: str
    conditions: frozenset[Condition]
    negated: tuple[str, ...] = ()

    def covers(self, other: Grant) -> bool:
        """Whether whoever is let through by `other` is by this one."""
        if self.negated or other.negated:
            return self == other
        return (
            self.effect == other.effect
            and _wide(self.principal, other.principal)
            and _wide(self.action, other.action)
            and _wide(self.resource, other.resource)
            and all(any(own.covers(theirs) for theirs in other.conditions) for own in self.conditions)
        )

    def __str__(self) -> str:
        who = f" by {self.principal}" if self.principal else ""
        under = f" when {' and '.join(sorted(map(str, self.conditions)))}" if self.conditions else ""
        but = f" (not: {', '.join(self.negated)})" if self.negated else ""
        return f"{self.effect} {self.action} on {self.resource or 'itself'}{who}{under}{but}"


def widenings(before: Any, after: Any) -> list[str]:
    """What the document `after` lets through that `before` did not, one line each."""
    old, new = list(grants(before)), list(grants(after))
    gained = [one for one in new if one.effect == "Allow" and not any(known.covers(one) for known in old)]
    freed = [one for one in old if one.effect != "Allow" and not any(kept.covers(one) for kept in new)]
    return [*map(str, gained), *(f"no longer: {one}" for one in freed)]


def grants(document: Any) -> Iterator[Grant]:
    """The atoms of a document; of one that is a function, itself as a whole."""
    if not document:
        return
    if not isinstance(document, Mapping) or "Statement" not in document:
        yield Grant("Allow", "", canonical(document), "", frozenset(), ("document",))
        return
    for statement in _list(document["Statement"]):
        if not isinstance(statement, Mapping) or "Effect" not in statement:
            yield Grant("Allow", "", canonical(statement), "", frozenset(), ("statement",))
            continue
        yield from _grants(statement)


def _grants(statement: Mapping[str, Any]) -> Iterator[Grant]:
    negated = tuple(key for key in ("NotAction", "NotResource", "NotPrincipal") if key in statement)
    actions = [_text(one).lower() for one in _list(statement.get("Action", statement.get("NotAction", [])))]
    targets = [_text(one) for one in _list(statement.get("Resource", statement.get("NotResource", "")))]
    callers = list(_principals(statement.get("Principal", statement.get("NotPrincipal", ""))))
    conditions = frozenset(_conditions(statement.get("Condition") or {}))
    for caller, action, target in product(callers, actions, targets):
        yield Grant(str(statement["Effect"]), caller, action, target, conditions, negated)


def _principals(principal: Any) -> Iterator[str]:
    if not isinstance(principal, Mapping):
        yield _text(principal)
        return
    for kind, values in principal.items():
        for value in _list(values):
            yield ANYONE if (kind, value) == ("AWS", ANYONE) else f"{kind}:{_text(value)}"


def _conditions(conditions: Mapping[str, Any]) -> Iterator[Condition]:
    for operator, keys in conditions.items():
        for key, values in keys.items() if isinstance(keys, Mapping) else [("", keys)]:
            yield Condition(operator, key, frozenset(_text(value) for value in _list(values)))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else canonical(value)


def _wide(pattern: str, value: str) -> bool:
    """Whether all that `value` (a pattern itself) means is meant by `pattern`."""
    return pattern == value or _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """`*` covers anything, wildcards included; `?` any one letter that is no wildcard."""
    text = "".join(".*" if char == "*" else "[^*]" if char == "?" else re.escape(char) for char in pattern)
    return re.compile(text, re.DOTALL)

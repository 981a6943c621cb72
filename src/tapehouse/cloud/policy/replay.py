"""Calls that were recorded in a run, asked again of a deployment's policies: is each allowed, and is each permission
needed?

An emulator judges few calls; a template's policies judge all of them. And a statement that no call needs is one that
nobody would miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tapehouse.cloud.policy.account import Account, Permit
from tapehouse.cloud.policy.decide import Decision
from tapehouse.cloud.policy.documents import Document, Statement


@dataclass(frozen=True, slots=True)
class Call:
    """`role` by name or ARN, `action` as policies write it, `resource` an ARN or `*`, and the request's facts."""

    role: str
    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)


def denied(account: Account, calls: Iterable[Call]) -> list[tuple[Call, Decision]]:
    """Calls that the policies do not allow, each with the decision. PolicyError for a role that is not there."""
    asked = ((call, account.allows(call.role, call.action, call.resource, call.context)) for call in calls)
    return [(call, decision) for call, decision in asked if not decision]


def idle(account: Account, calls: Sequence[Call], roles: Iterable[str] = ()) -> list[tuple[str, Statement]]:
    """Allowing statements of these roles (default: all that called) whose removal denies none of the calls."""
    chosen = [account.role(name) for name in roles or {call.role for call in calls}]
    found: list[tuple[str, Statement]] = []
    for permit in chosen:
        own = [call for call in calls if account.role(call.role).arn == permit.arn]
        allowed = [call for call in own if account.allows(call.role, call.action, call.resource, call.context)]
        for statement, less in _lessened(permit):
            if not denied(account.with_role(less), allowed):
                found.append((permit.logical_id, statement))
    return found


def _lessened(permit: Permit) -> Iterator[tuple[Statement, Permit]]:
    """The role without each of its allowing statements."""
    for at, document in enumerate(permit.identity):
        for index, statement in enumerate(document.statements):
            if statement.allows:
                documents: list[Document] = list(permit.identity)
                documents[at] = document.without(index)
                yield statement, replace(permit, identity=tuple(documents))

"""One decision by AWS's rules: an explicit deny beats any allow, and nothing is allowed that no statement allows.

Within one account an identity policy or a resource policy is enough, except for KMS keys and roles, whose own policy
must always agree. Across accounts both must allow. A permissions boundary allows nothing, and limits what does.
Left out: organisations' control policies, session policies, endpoint policies, grants of KMS keys and object ACLs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tapehouse.cloud.policy.conditions import holds
from tapehouse.cloud.policy.documents import Document, Statement
from tapehouse.cloud.policy.patterns import Lookup, fits, like
from tapehouse.cloud.policy.request import Caller, Request

# Services whose resources obey nobody but their own policy; what that policy leaves to the account needs both.
_OWN_POLICY_FIRST = ("kms", "sts")


@dataclass(frozen=True, slots=True)
class Policies:
    """What bears on one request. `resource` is the policy of the bucket, key, queue, topic or (for sts) the role."""

    identity: Sequence[Document] = ()
    resource: Document | None = None
    boundary: Document | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`allowed`, why in words, and the statements that decided (empty where none spoke)."""

    allowed: bool
    reason: str
    statements: tuple[Statement, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed

    def __str__(self) -> str:
        names = ", ".join(statement.label for statement in self.statements)
        return f"{'allowed' if self.allowed else 'denied'}: {self.reason}{f' ({names})' if names else ''}"


def decide(request: Request, policies: Policies) -> Decision:
    """The answer AWS would give."""
    facts = request.facts()
    identity = [one for document in policies.identity for one in _speaking(document, request, facts)]
    boundary = list(_speaking(policies.boundary, request, facts))
    resource = [
        (statement, how)
        for statement in _speaking(policies.resource, request, facts)
        if (how := _names(statement, request.caller))
    ]
    denies = [one for one in [*identity, *boundary, *(one for one, _ in resource)] if not one.allows]
    if denies:
        return Decision(False, "explicit deny", tuple(denies))
    bounded = policies.boundary is None or any(one.allows for one in boundary)
    granted = [one for one in identity if one.allows] if bounded else []
    return _allow(request, granted, resource, bounded)


def _allow(
    request: Request, identity: list[Statement], resource: list[tuple[Statement, str]], bounded: bool
) -> Decision:
    direct = [one for one, how in resource if how != "account"]
    delegated = [one for one, how in resource if how == "account"]
    if request.caller.service or not request.caller.arn:
        return Decision(bool(direct), "the resource's policy allows" if direct else "implicit deny", tuple(direct))
    if request.caller.account != request.resource_account:
        theirs = direct or delegated
        if theirs and identity:
            return Decision(True, "both accounts allow", (*identity, *theirs))
        missing = (
            "the resource's policy does not name the caller" if not theirs else "the caller's policies do not allow"
        )
        return Decision(False, f"implicit deny across accounts: {missing}")
    if direct and not bounded and any(how == "session" for _, how in resource):
        return Decision(True, "the resource's policy allows the session", tuple(direct))
    if direct and bounded:
        return Decision(True, "the resource's policy allows", tuple(direct))
    if request.action.partition(":")[0].lower() in _OWN_POLICY_FIRST and _has_own_policy(request) and not delegated:
        return Decision(False, "implicit deny: the resource's own policy does not admit the account")
    if identity:
        return Decision(True, "the caller's policies allow", (*identity, *delegated))
    why = "" if bounded else ": outside the permissions boundary"
    return Decision(False, f"implicit deny{why}")


def _has_own_policy(request: Request) -> bool:
    """Calls such as kms:ListAliases and sts:GetCallerIdentity concern no key and no role."""
    return ":key/" in request.resource or ":role/" in request.resource


def _speaking(document: Document | None, request: Request, facts: Mapping[str, Sequence[str]]) -> Iterator[Statement]:
    """Statements whose action, resource and conditions fit; principals are the caller's concern."""
    for statement in document.statements if document else ():
        lookup = _lookup(facts) if statement.variables else None
        if (
            _acts(statement, request.action)
            and _covers(statement, request.resource, lookup)
            and holds(statement.conditions, facts, lookup)
        ):
            yield statement


def _lookup(facts: Mapping[str, Sequence[str]]) -> Lookup:
    return lambda name: facts.get(name.lower())


def _acts(statement: Statement, action: str) -> bool:
    named = any(like(action, pattern, ignore_case=True) for pattern in statement.actions)
    return named != statement.not_action


def _covers(statement: Statement, resource: str, lookup: Lookup | None) -> bool:
    if not statement.resources:
        return True
    return any(fits(resource, pattern, lookup) for pattern in statement.resources) != statement.not_resource


def _names(statement: Statement, caller: Caller) -> str:
    """How a resource policy's statement names the caller: role, session, service, anyone, account, or nothing."""
    if statement.principals is None:
        # In a statement without a principal AWS would not store a resource policy; nobody is meant.
        return ""
    found = [
        how for kind, names in statement.principals.items() for name in names if (how := _meant(kind, name, caller))
    ]
    if statement.not_principal:
        # AWS may judge the account before the role, so an exemption counts only when both are named.
        exempt = "anyone" in found or "service" in found or {"account"} < set(found)
        return "" if exempt else "anyone"
    if "account" in found and len(set(found)) == 1:
        return "account"
    return next((how for how in found if how != "account"), "")


def _meant(kind: str, name: str, caller: Caller) -> str:
    if name == "*" and kind in ("*", "AWS"):
        return "anyone"
    if kind == "Service":
        return "service" if caller.service and name.lower() == caller.service.lower() else ""
    if kind != "AWS" or not caller.arn:
        return ""
    if name == caller.arn:
        return "role"
    if name and name == caller.session_arn:
        return "session"
    root = name == caller.account or (name.startswith("arn:") and name.endswith(f":iam::{caller.account}:root"))
    return "account" if root else ""

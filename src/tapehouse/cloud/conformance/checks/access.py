"""Roles: who may become them, and that they hold no more than they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from tapehouse.cloud.conformance.checks.keys import ANYTHING, foreign
from tapehouse.cloud.conformance.registry import absent, check
from tapehouse.cloud.conformance.stacks import Stacks
from tapehouse.cloud.conformance.uses import FUNCTION, JOB, MACHINE, role_of
from tapehouse.cloud.policy import Caller, Permit, Statement

# Actions that AWS gives no resource to name, by pattern, with AWS's reason. What is not here needs a resource.
# https://docs.aws.amazon.com/service-authorization/latest/reference/
ONLY_ANY_RESOURCE: Mapping[str, str] = {
    "ec2:describe*": "EC2 describes lists, and knows no resource to describe",
    "ec2:createnetworkinterface": "Lambda and Glue make interfaces in subnets, before the interface has an ARN",
    "ec2:deletenetworkinterface": "Lambda removes interfaces whose ids nobody knows beforehand",
    "ec2:assignprivateipaddresses": "Lambda gives addresses to interfaces whose ids nobody knows beforehand",
    "ec2:unassignprivateipaddresses": "Lambda takes addresses from interfaces whose ids nobody knows beforehand",
    "ec2:createtags": "Glue tags interfaces that it has just made",
    "ec2:deletetags": "Glue removes tags of interfaces that it made",
    "cloudwatch:putmetricdata": "metrics are no resources; the condition on cloudwatch:namespace limits it",
    "xray:put*": "traces are no resources",
    "xray:getsampling*": "sampling rules are read as a whole",
    "logs:describeloggroups": "log groups are listed as a whole",
    "logs:createlogdelivery": "log deliveries have no ARN",
    "logs:getlogdelivery": "log deliveries have no ARN",
    "logs:updatelogdelivery": "log deliveries have no ARN",
    "logs:deletelogdelivery": "log deliveries have no ARN",
    "logs:listlogdeliveries": "log deliveries have no ARN",
    "logs:putresourcepolicy": "resource policies of logs are the account's",
    "logs:describeresourcepolicies": "resource policies of logs are the account's",
    "cloudwatch:getmetricstatistics": "metrics are no resources, and reading them knows no condition",
    "cloudwatch:getmetricdata": "metrics are no resources, and reading them knows no condition",
    "glue:getsecurityconfiguration": "security configurations have no ARN",
    "s3:listallmybuckets": "buckets are listed as a whole",
    "kms:listaliases": "aliases are listed as a whole",
    "sts:getcalleridentity": "the caller is the resource",
}
# Actions above that an unconditioned statement would let act on what is not the deployment's.
NEEDS_CONDITION = ("cloudwatch:putmetricdata",)
# Services that say whose resource they act for when they take a role (their guides on the confused deputy). Lambda,
# Glue and EC2 take the roles of functions, jobs and instances without; iam:PassRole guards those.
TELLS_ITS_SOURCE = frozenset(
    {
        "vpc-flow-logs.amazonaws.com",
        "events.amazonaws.com",
        "scheduler.amazonaws.com",
        "pipes.amazonaws.com",
        "states.amazonaws.com",
        "elasticmapreduce.amazonaws.com",
        "firehose.amazonaws.com",
        "ecs-tasks.amazonaws.com",
        "sns.amazonaws.com",
        "backup.amazonaws.com",
    }
)


def _roles(stacks: Stacks) -> list[Permit]:
    return list(stacks.account.roles.values())


def _allowing(stacks: Stacks) -> Iterator[tuple[Permit, Statement]]:
    for role in _roles(stacks):
        for document in role.identity:
            yield from ((role, one) for one in document.statements if one.allows)


@check("A11", "B41")
def roles_hold_no_wildcards(stacks: Stacks) -> Iterator[str]:
    """No action with a wildcard for a whole service; `*` as resource only where AWS knows none to name."""
    yield from absent(_roles(stacks), "role")
    for role in _roles(stacks):
        for arn in role.managed:
            yield f"Role {role.logical_id}: {arn} is attached, whose permissions are AWS's to change"
    for role, statement in _allowing(stacks):
        where = f"Role {role.logical_id}: {statement.label}"
        if statement.not_action or statement.not_resource:
            yield f"{where} allows everything but what it names"
        for action in statement.actions:
            if action == "*" or action.partition(":")[2] in ("*", ""):
                yield f"{where} allows {action}"
        if "*" in statement.resources:
            yield from (f"{where} {wrong}" for wrong in _unlisted(statement))


def _unlisted(statement: Statement) -> Iterator[str]:
    from tapehouse.cloud.policy.patterns import like

    for action in statement.actions:
        lower = action.lower()
        if not any(like(lower, pattern) for pattern in ONLY_ANY_RESOURCE):
            yield f"allows {action} on every resource"
        elif lower in NEEDS_CONDITION and not statement.conditions:
            yield f"allows {action} on every resource without a condition"


@check("A12")
def services_take_roles_for_this_account_only(stacks: Stacks) -> Iterator[str]:
    """Of services that tell their source, both conditions; of any, that another account's source is let in by none."""
    trusted = [(role, one) for role in _roles(stacks) for one in role.trust.statements if _services(one)]
    yield from absent(trusted, "role that a service takes")
    for role, statement in trusted:
        held = {name.lower() for block in statement.conditions.values() for name in block}
        for service in _services(statement):
            missing = [one for one in ("aws:SourceAccount", "aws:SourceArn") if one.lower() not in held]
            if service in TELLS_ITS_SOURCE and missing:
                yield f"Role {role.logical_id}: {service} takes it without a condition on {' and '.join(missing)}"


def _services(statement: Statement) -> tuple[str, ...]:
    return (statement.principals or {}).get("Service", ()) if statement.allows else ()


@check("B13")
def each_kind_of_worker_has_its_own_role(stacks: Stacks) -> Iterator[str]:
    yield from absent(_roles(stacks), "role")
    for role in _roles(stacks):
        services = {name for statement in role.trust.statements for name in _services(statement)}
        if len(services) > 1:
            yield f"Role {role.logical_id}: trusted by {', '.join(sorted(services))}"
    owners: dict[str, set[str]] = {}
    for owner in stacks.of(FUNCTION, JOB, MACHINE):
        owners.setdefault(role_of(stacks, owner), set()).add(owner.type)
        if not role_of(stacks, owner):
            yield f"{owner}: its role is not of the deployment"
    wanted = {FUNCTION: "lambda.amazonaws.com", JOB: "glue.amazonaws.com", MACHINE: "states.amazonaws.com"}
    for arn, kinds in owners.items():
        if arn and len(kinds) > 1:
            yield f"role {arn} is shared by {', '.join(sorted(kinds))}"
        for kind in kinds if arn else ():
            if not stacks.account.admits(Caller.of_service(wanted[kind]), "sts:AssumeRole", arn):
                yield f"role {arn} cannot be taken by {wanted[kind]}"


@check("C39")
def other_accounts_take_roles_with_an_external_id_only(stacks: Stacks) -> Iterator[str]:
    found = [(role, one) for role in _roles(stacks) for one in role.trust.statements if foreign(stacks, one)]
    yield from absent(found, "role for a consumer's account")
    for role, statement in found:
        ids = [
            value
            for operator, block in statement.conditions.items()
            for name, values in block.items()
            if name.lower() == "sts:externalid" and operator in ("StringEquals", "ForAnyValue:StringEquals")
            for value in values
        ]
        if not ids:
            yield f"Role {role.logical_id}: {statement.label} does not require sts:ExternalId"
        for account, given in product(foreign(stacks, statement), ["", *ids]):
            caller = Caller.role(f"arn:{stacks.place.partition}:iam::{account}:role/reader")
            context = {"sts:ExternalId": given} if given else {}
            taken = stacks.account.admits(caller, "sts:AssumeRole", role.arn, context, [ANYTHING])
            if bool(taken) != bool(given):
                how = "with its external id" if given else "without an external id"
                yield f"Role {role.logical_id}: {account} {'can' if taken else 'cannot'} take it {how}"

"""Customer keys: rotation, what services they admit, and what other accounts may do with them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tapehouse.cloud.conformance.registry import absent, check, each
from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.conformance.uses import KEY, LOGS, QUEUE, RULE, TOPIC, targets
from tapehouse.cloud.policy import Caller, Document, Statement

EXCHANGE = ("kms:Decrypt", "kms:GenerateDataKey")
STRANGER = "999900001111"
ANYTHING = Document.parse({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
# Any of these says on whose behalf a service may use a key.
_GUARDS = (
    "aws:sourceaccount",
    "aws:sourcearn",
    "kms:viaservice",
    "kms:calleraccount",
    "kms:encryptioncontext:",
    "aws:sourceorgid",
)


@check("C01")
def customer_keys_rotate(stacks: Stacks) -> Iterator[str]:
    def judge(key: Resource) -> str | None:
        symmetric = key.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
        return "EnableKeyRotation is not true" if symmetric and key.get("EnableKeyRotation") is not True else None

    yield from each(stacks.of(KEY), "customer key", judge)


@check("C02")
def alarms_and_topics_may_use_the_key(stacks: Stacks) -> Iterator[str]:
    encrypted = [(topic, stacks.key(topic.get("KmsMasterKeyId"))) for topic in stacks.of(TOPIC)]
    yield from absent([key for _, key in encrypted if key], "topic under a customer key")
    for topic, key in encrypted:
        if key is None:
            yield f"{topic}: not under a customer key of the deployment"
            continue
        callers = {
            "cloudwatch.amazonaws.com": stacks.place.arn("cloudwatch", "alarm:any"),
            "sns.amazonaws.com": topic.arn,
        }
        for (service, source), action in product(callers.items(), EXCHANGE):
            if not service_may(stacks, service, action, key, source):
                yield f"{key}: its policy does not admit {service} to {action}, which {topic} needs"


def service_may(stacks: Stacks, service: str, action: str, key: Resource, source: str) -> bool:
    """Whether the key's policy lets a service act for something of this account."""
    context = {"aws:SourceAccount": stacks.place.account, "aws:SourceArn": source}
    return bool(stacks.account.admits(Caller.of_service(service), action, key.arn, context))


def foreign(stacks: Stacks, statement: Statement) -> list[str]:
    """Accounts, other than the deployment's, that an allowing statement names; `*` for anyone."""
    if not statement.allows or statement.principals is None:
        return []
    names = [name for kind in ("AWS", "*") for name in statement.principals.get(kind, ())]
    accounts = [name.split(":")[4] if name.startswith("arn:") else name for name in names]
    return [one for one in accounts if one != stacks.place.account and "cloudfront" not in one]


@check("C03")
def other_accounts_use_keys_through_services_only(stacks: Stacks) -> Iterator[str]:
    keys = stacks.of(KEY)
    yield from absent(keys, "customer key")
    for key in keys:
        for statement in stacks.account.resource_policies[key.arn].statements:
            accounts = foreign(stacks, statement)
            held = {name.lower() for keys_ in statement.conditions.values() for name in keys_}
            if accounts and not {"kms:viaservice", "kms:calleraccount"} <= held:
                yield f"{key}: {statement.label} admits {', '.join(accounts)} without kms:ViaService, kms:CallerAccount"
        stranger = Caller.role(f"arn:{stacks.place.partition}:iam::{STRANGER}:role/any")
        if stacks.account.admits(stranger, "kms:Decrypt", key.arn, identity=[ANYTHING]):
            yield f"{key}: any account may decrypt with it"


@check("C41")
def consumers_decrypt_through_s3_only(stacks: Stacks) -> Iterator[str]:
    granted = 0
    for key in stacks.of(KEY):
        for statement in stacks.account.resource_policies[key.arn].statements:
            accounts = foreign(stacks, statement)
            granted += bool(accounts)
            more = [one for one in statement.actions if one not in ("kms:Decrypt", "kms:DescribeKey")]
            if accounts and (more or statement.not_action):
                yield f"{key}: {statement.label} lets {', '.join(accounts)} do {', '.join(more) or 'all but something'}"
            for account in accounts:
                yield from _only_through_s3(stacks, key, statement, account)
    if not granted:
        yield "no key lets a consumer's account decrypt"


def _only_through_s3(stacks: Stacks, key: Resource, statement: Statement, account: str) -> Iterator[str]:
    caller = Caller.role(f"arn:{stacks.place.partition}:iam::{account}:role/reader")
    pairs = [pair for block in statement.conditions.values() for pair in block.items()]
    context = {name: values[0].replace("*", "x") for name, values in pairs}
    context = {name: value for name, value in context.items() if not name.lower().startswith("kms:via")}
    context["kms:CallerAccount"] = account
    s3 = f"s3.{stacks.place.region}.{stacks.place.suffix}"
    through = stacks.account.admits(caller, "kms:Decrypt", key.arn, {**context, "kms:ViaService": s3}, [ANYTHING])
    other = {**context, "kms:ViaService": s3.replace("s3.", "ec2.")}
    if not through:
        yield f"{key}: {account} cannot decrypt through S3"
    if stacks.account.admits(caller, "kms:Decrypt", key.arn, context, [ANYTHING]):
        yield f"{key}: {account} may decrypt without going through a service"
    if stacks.account.admits(caller, "kms:Decrypt", key.arn, other, [ANYTHING]):
        yield f"{key}: {account} may decrypt through another service than S3"


@check("B12")
def keys_cover_services_each_under_a_condition(stacks: Stacks) -> Iterator[str]:
    keys = stacks.of(KEY)
    yield from absent(keys, "customer key")
    for key in keys:
        for statement in stacks.account.resource_policies[key.arn].statements:
            names = statement.principals or {}
            held = [name.lower() for block in statement.conditions.values() for name in block]
            if statement.allows and "Service" in names and not any(name.startswith(_GUARDS) for name in held):
                yield f"{key}: {statement.label} admits {', '.join(names['Service'])} without a condition"
    yield from _log_groups(stacks)
    yield from _queues_of_rules(stacks)


def _log_groups(stacks: Stacks) -> Iterator[str]:
    service = Caller.of_service(f"logs.{stacks.place.region}.amazonaws.com")
    keyed = [(group, stacks.key(group.get("KmsKeyId"))) for group in stacks.of(LOGS)]
    for group, key in ((group, key) for group, key in keyed if key):
        context = {"kms:EncryptionContext:aws:logs:arn": stacks.place.arn("logs", f"log-group:{group.ref}")}
        if not all(stacks.account.admits(service, action, key.arn, context) for action in EXCHANGE):
            yield f"{key}: its policy does not admit CloudWatch Logs for {group}"


def _queues_of_rules(stacks: Stacks) -> Iterator[str]:
    for rule in stacks.of(RULE):
        for target in targets(rule):
            queue = stacks.find(target.get("Arn"), QUEUE, TOPIC)
            key = stacks.key(queue.get("KmsMasterKeyId")) if queue else None
            if key and not all(service_may(stacks, "events.amazonaws.com", one, key, rule.arn) for one in EXCHANGE):
                yield f"{key}: its policy does not admit EventBridge, whose {rule} sends to {queue}"


@check("C44")
def nobody_of_the_deployment_deletes_keys(stacks: Stacks) -> Iterator[str]:
    """Key deletion, the part of the explicit denies that is about keys."""
    keys, roles = stacks.of(KEY), stacks.account.roles
    yield from absent(keys, "customer key")
    for key, role in product(keys, roles.values()):
        decision = stacks.account.allows(role.logical_id, "kms:ScheduleKeyDeletion", key.arn)
        if decision.reason != "explicit deny":
            yield f"Role {role.logical_id}: no explicit deny of kms:ScheduleKeyDeletion on {key}"

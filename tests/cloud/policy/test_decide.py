"""Who may do what, by AWS's documented rules: accounts, own policies of keys and roles, boundaries, denies."""

from __future__ import annotations

from typing import Any

import pytest

from tapehouse.cloud.policy import Caller, Document, Policies, PolicyError, Request, decide

HOME, AWAY = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{HOME}:role/app"
SESSION = f"arn:aws:sts::{HOME}:assumed-role/app/session"
OTHER = f"arn:aws:iam::{AWAY}:role/reader"
OBJECT = "arn:aws:s3:::tape/raw/a.csv"
KEY = f"arn:aws:kms:us-east-1:{HOME}:key/k1"


def statement(effect: str = "Allow", action: Any = "s3:GetObject", **rest: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": "*", **rest}


def document(*statements: dict[str, Any]) -> Document:
    return Document.parse({"Version": "2012-10-17", "Statement": list(statements)})


READ = document(statement())
QUEUES = document(statement(action="sqs:*"))


def denies(principal: Any) -> Document:
    return document(statement("Deny", Principal=principal))


def asked(
    caller: Caller,
    *,
    identity: Document | None = None,
    resource: Document | None = None,
    boundary: Document | None = None,
    action: str = "s3:GetObject",
    arn: str = OBJECT,
    owner: str = HOME,
    **context: Any,
) -> bool:
    request = Request(caller, action, arn, context, owner)
    return bool(decide(request, Policies((identity,) if identity else (), resource, boundary)))


def named(*principals: str, **rest: Any) -> Document:
    return document(statement(Principal={"AWS": list(principals)}, **rest))


@pytest.mark.parametrize(
    ("what", "arguments", "allowed"),
    [
        ("nothing speaks", {}, False),
        ("identity alone", {"identity": READ}, True),
        ("resource policy names the role", {"resource": named(ROLE)}, True),
        ("resource policy names the session", {"resource": named(SESSION)}, True),
        ("resource policy names the account only", {"resource": named(f"arn:aws:iam::{HOME}:root")}, False),
        ("the account and identity", {"resource": named(HOME), "identity": READ}, True),
        ("anyone", {"resource": document(statement(Principal="*"))}, True),
        ("wildcards in a principal's ARN mean nothing", {"resource": named(f"arn:aws:iam::{HOME}:role/*")}, False),
        ("another role", {"resource": named(f"{ROLE}2")}, False),
        ("a service", {"resource": document(statement(Principal={"Service": "sns.amazonaws.com"}))}, False),
        ("deny by identity", {"identity": document(statement(), statement("Deny"))}, False),
        ("deny by resource", {"identity": READ, "resource": denies("*")}, False),
        ("deny of others", {"identity": READ, "resource": denies({"AWS": OTHER})}, True),
        ("deny of the account", {"identity": READ, "resource": denies({"AWS": HOME})}, False),
        ("boundary without it", {"identity": READ, "boundary": QUEUES}, False),
        ("boundary with it", {"identity": READ, "boundary": READ}, True),
        ("boundary alone", {"boundary": READ}, False),
        ("boundary limits a role the resource names", {"resource": named(ROLE), "boundary": QUEUES}, False),
        (
            "boundary does not limit a session named by the resource",
            {"resource": named(SESSION), "boundary": QUEUES},
            True,
        ),
        ("deny in a boundary", {"identity": READ, "boundary": document(statement(), statement("Deny"))}, False),
    ],
)
def test_within_one_account(what: str, arguments: dict[str, Document], allowed: bool) -> None:
    assert asked(Caller.role(ROLE), **arguments) is allowed, what


@pytest.mark.parametrize(
    ("identity", "resource", "allowed"),
    [
        (READ, None, False),
        (None, named(OTHER), False),
        (READ, named(OTHER), True),
        (READ, named(AWAY), True),
        (READ, named(f"arn:aws:iam::{HOME}:root"), False),
        (READ, document(statement("Deny", Principal={"AWS": AWAY}), statement(Principal={"AWS": OTHER})), False),
    ],
)
def test_across_accounts_both_must_allow(identity: Document | None, resource: Document | None, allowed: bool) -> None:
    assert asked(Caller.role(OTHER), identity=identity, resource=resource) is allowed


DECRYPT = document(statement(action="kms:Decrypt"))
ROOT_KEY = document(statement(action="kms:*", Principal={"AWS": f"arn:aws:iam::{HOME}:root"}))


@pytest.mark.parametrize(
    ("identity", "policy", "allowed"),
    [
        (DECRYPT, None, False),
        (DECRYPT, named(OTHER, action="kms:*"), False),
        (DECRYPT, ROOT_KEY, True),
        (None, ROOT_KEY, False),
        (None, named(ROLE, action="kms:Decrypt"), True),
    ],
)
def test_a_key_obeys_its_own_policy_first(identity: Document | None, policy: Document | None, allowed: bool) -> None:
    assert asked(Caller.role(ROLE), identity=identity, resource=policy, action="kms:Decrypt", arn=KEY) is allowed


def test_kms_actions_that_concern_no_key_need_no_key_policy() -> None:
    listing = document(statement(action="kms:ListAliases"))
    assert asked(Caller.role(ROLE), identity=listing, action="kms:ListAliases", arn="*")


def test_via_service_limits_a_key_to_calls_through_s3() -> None:
    condition = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": AWAY}}
    policy = named(AWAY, action="kms:Decrypt", Condition=condition)
    caller = Caller.role(OTHER)
    ask = {"identity": DECRYPT, "resource": policy, "action": "kms:Decrypt", "arn": KEY}
    assert not asked(caller, **ask)
    assert asked(caller, **ask, **{"kms:ViaService": "s3.us-east-1.amazonaws.com"})
    assert not asked(caller, **ask, **{"kms:ViaService": "ec2.us-east-1.amazonaws.com"})


def test_a_role_of_another_account_is_assumed_only_with_the_external_id() -> None:
    trust = Document.parse(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": f"arn:aws:iam::{AWAY}:root"},
                "Condition": {"StringEquals": {"sts:ExternalId": "tape-7"}},
            },
        }
    )
    may = document(statement(action="sts:AssumeRole"))
    ask = {"identity": may, "resource": trust, "action": "sts:AssumeRole", "arn": ROLE}
    assert not asked(Caller.role(OTHER), **ask)
    assert not asked(Caller.role(OTHER), **ask, **{"sts:ExternalId": "other"})
    assert asked(Caller.role(OTHER), **ask, **{"sts:ExternalId": "tape-7"})


def test_a_service_needs_the_resource_policy_and_its_conditions() -> None:
    policy = document(
        statement(
            action=["kms:Decrypt", "kms:GenerateDataKey*"],
            Principal={"Service": "sns.amazonaws.com"},
            Condition={"StringEquals": {"aws:SourceAccount": HOME}},
        )
    )
    ask = {"resource": policy, "action": "kms:GenerateDataKey", "arn": KEY}
    assert asked(Caller.of_service("sns.amazonaws.com"), **ask, **{"aws:SourceAccount": HOME})
    assert not asked(Caller.of_service("sns.amazonaws.com"), **ask, **{"aws:SourceAccount": AWAY})
    assert not asked(Caller.of_service("sqs.amazonaws.com"), **ask, **{"aws:SourceAccount": HOME})


# ---- buckets -----------------------------------------------------------------------------------------------------

SSE, KEY_ID = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"


def deny_put(**condition: Any) -> dict[str, Any]:
    return statement("Deny", action="s3:PutObject", Principal="*", Condition=condition)


TWO_STATEMENTS = document(
    deny_put(StringNotEquals={SSE: "aws:kms"}, Null={SSE: "false"}),
    deny_put(StringNotEquals={KEY_ID: KEY}, Null={KEY_ID: "false"}),
)
ONE_STATEMENT = document(deny_put(StringNotEquals={SSE: "aws:kms"}))


@pytest.mark.parametrize(
    ("headers", "two", "one"),
    [
        ({}, True, False),
        ({SSE: "aws:kms"}, True, True),
        ({SSE: "aws:kms", KEY_ID: KEY}, True, True),
        ({SSE: "AES256"}, False, False),
        ({SSE: "aws:kms", KEY_ID: f"{KEY}2"}, False, True),
    ],
)
def test_null_form_leaves_bucket_default_encryption_alone(headers: dict[str, str], two: bool, one: bool) -> None:
    put = document(statement(action="s3:PutObject"))
    caller = Caller.role(ROLE)
    assert asked(caller, identity=put, resource=TWO_STATEMENTS, action="s3:PutObject", **headers) is two
    assert asked(caller, identity=put, resource=ONE_STATEMENT, action="s3:PutObject", **headers) is one


@pytest.mark.parametrize(
    ("context", "allowed"),
    [
        ({}, True),
        ({"s3:TlsVersion": "1.2"}, True),
        ({"s3:TlsVersion": "1.1"}, False),
        ({"aws:SecureTransport": False}, False),
    ],
)
def test_old_and_absent_tls_are_denied(context: dict[str, Any], allowed: bool) -> None:
    policy = document(
        statement("Deny", action="s3:*", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}}),
        statement("Deny", action="s3:*", Principal="*", Condition={"NumericLessThan": {"s3:TlsVersion": 1.2}}),
    )
    assert asked(Caller.role(ROLE), identity=READ, resource=policy, **context) is allowed


# ---- elements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "action", "arn", "allowed"),
    [
        ({"Action": "S3:getobject", "Resource": "*"}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:Get*", "Resource": "arn:aws:s3:::tape/raw/*"}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:Get*", "Resource": "arn:aws:s3:::tape/RAW/*"}, "s3:GetObject", OBJECT, False),
        ({"Action": "s3:Get*", "Resource": "arn:aws:s3:::tape"}, "s3:GetObject", OBJECT, False),
        ({"NotAction": "s3:Delete*", "Resource": "*"}, "s3:GetObject", OBJECT, True),
        ({"NotAction": "s3:Get*", "Resource": "*"}, "s3:GetObject", OBJECT, False),
        ({"Action": "*", "NotResource": "arn:aws:s3:::tape/*"}, "s3:GetObject", OBJECT, False),
        ({"Action": "*", "NotResource": "arn:aws:s3:::other/*"}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::${aws:PrincipalAccount}/*"}, "s3:GetObject", OBJECT, False),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::${k}/*"}, "s3:GetObject", f"arn:aws:s3:::{HOME}/x", False),
        (
            {"Action": "s3:*", "Resource": "arn:aws:s3:::${aws:PrincipalAccount}/*"},
            "s3:GetObject",
            f"arn:aws:s3:::{HOME}/x",
            True,
        ),
    ],
)
def test_elements(body: dict[str, Any], action: str, arn: str, allowed: bool) -> None:
    assert asked(Caller.role(ROLE), identity=document({"Effect": "Allow", **body}), action=action, arn=arn) is allowed


def test_not_principal_exempts_only_account_and_role_together() -> None:
    def denied(*exempt: str) -> bool:
        policy = document(statement("Deny", NotPrincipal={"AWS": list(exempt)}))
        return not asked(Caller.role(ROLE), identity=READ, resource=policy)

    assert denied(OTHER)
    assert denied(ROLE)
    assert not denied(ROLE, f"arn:aws:iam::{HOME}:root")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"Effect": "allow", "Action": "s3:*", "Resource": "*"}, "Effect"),
        ({"Effect": "Allow", "Resource": "*"}, "Action"),
        ({"Effect": "Allow", "Action": "s3:*", "NotAction": "s3:*"}, "both Action"),
        ({"Effect": "Allow", "Action": "s3:*", "Principal": "*", "NotPrincipal": "*"}, "both Principal"),
        ({"Effect": "Allow", "Action": "s3:*", "Principal": "me"}, "Principal is"),
        ({"Effect": "Allow", "Action": "s3:*", "Resources": "*"}, "Resources"),
    ],
)
def test_what_aws_would_not_store_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        document(body)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(PolicyError, match="2012"):
        Document.parse({"Version": "2012-10-18", "Statement": []})


def test_an_action_without_service_is_refused() -> None:
    with pytest.raises(PolicyError, match="GetObject"):
        Request(Caller.role(ROLE), "GetObject", OBJECT)


def test_a_decision_names_its_statements() -> None:
    policy = document(statement(Sid="Reads"), statement("Deny", Sid="Never"))
    decision = decide(Request(Caller.role(ROLE), "s3:GetObject", OBJECT), Policies((policy,)))
    assert str(decision) == "denied: explicit deny (policy.Statement[1][Never])"


def test_a_statement_of_a_resource_without_principal_means_nobody() -> None:
    assert not asked(Caller.role(ROLE), resource=READ)

"""Keys, roles and resource policies."""

from __future__ import annotations

import json
from typing import Any

from .draft import BUCKET_POLICY, KEY, ROLE, Draft, mutant, set_everywhere, simple, without

STRANGER = {"Fn::Sub": "arn:${AWS::Partition}:iam::999900001111:root"}
IDENTITY = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", ROLE)
Json = dict[str, Any]


def names_service(*services: str) -> Any:
    """Whether a statement admits one of these services."""
    return lambda one: any(service in json.dumps(one.get("Principal", "")) for service in services)


def foreign(one: Json) -> bool:
    """Whether a statement names an account by its digits."""
    text = json.dumps(one.get("Principal", ""))
    return one["Effect"] == "Allow" and any(
        len(part) == 12 and part.isdigit() for part in text.replace('"', ":").split(":")
    )


def _without_condition(draft: Draft, key: str, *types: str) -> None:
    for one in draft.statements(*types):
        for operator in list(one.get("Condition", {})):
            block = one["Condition"][operator]
            for name in [name for name in block if name.lower() == key.lower()]:
                del block[name]
            if not block:
                del one["Condition"][operator]


simple("C01", KEY, "EnableKeyRotation", False)


@mutant("C02")
def alarms_cannot_use_the_key(draft: Draft) -> None:
    draft.unsay(names_service("cloudwatch.amazonaws.com"), KEY)


@mutant("C02")
def topics_cannot_use_the_key(draft: Draft) -> None:
    draft.unsay(names_service("sns.amazonaws.com"), KEY)


@mutant("C03")
def another_account_may_do_all(draft: Draft) -> None:
    draft.say({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": STRANGER}}, KEY)


@mutant("C03")
def anyone_may_decrypt(draft: Draft) -> None:
    draft.say({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Principal": "*"}, KEY)


@mutant("C03", "C41")
def consumers_need_no_service(draft: Draft) -> None:
    for one in draft.statements(KEY):
        if foreign(one):
            one["Condition"] = {}


@mutant("C41")
def consumers_may_encrypt(draft: Draft) -> None:
    for one in draft.statements(KEY):
        if foreign(one):
            one["Action"] = ["kms:Decrypt", "kms:Encrypt"]


@mutant("C41")
def consumers_are_not_in_the_key(draft: Draft) -> None:
    draft.unsay(foreign, KEY)


@mutant("C41")
def consumers_decrypt_through_another_service(draft: Draft) -> None:
    for one in draft.statements(KEY):
        if foreign(one):
            for block in one["Condition"].values():
                if "kms:ViaService" in block:
                    block["kms:ViaService"] = {"Fn::Sub": "ec2.${AWS::Region}.${AWS::URLSuffix}"}


without("C02", "AWS::SNS::Topic", "KmsMasterKeyId")


@mutant("B12")
def services_without_condition(draft: Draft) -> None:
    for one in draft.statements(KEY):
        if "Service" in one.get("Principal", {}):
            one.pop("Condition", None)


@mutant("B12")
def logs_cannot_use_their_key(draft: Draft) -> None:
    draft.unsay(names_service("logs."), KEY)


@mutant("B12")
def events_cannot_use_the_queue_key(draft: Draft) -> None:
    draft.unsay(names_service("events.amazonaws.com"), KEY)


def _denies(one: Json, *words: str) -> bool:
    return one["Effect"] == "Deny" and any(word in json.dumps(one) for word in words)


@mutant("C44")
def keys_may_be_deleted(draft: Draft) -> None:
    draft.unsay(lambda one: _denies(one, "kms:ScheduleKeyDeletion"), KEY, *IDENTITY)


@mutant("C04", "C44")
def uploads_may_take_another_key(draft: Draft) -> None:
    draft.unsay(lambda one: _denies(one, "aws-kms-key-id"), BUCKET_POLICY)


@mutant("C04")
def uploads_may_be_unencrypted(draft: Draft) -> None:
    draft.unsay(lambda one: _denies(one, "server-side-encryption"), BUCKET_POLICY)


@mutant("C04")
def uploads_without_header_are_denied(draft: Draft) -> None:
    """The one-statement form, which breaks clients that rely on the bucket's default."""
    for one in draft.statements(BUCKET_POLICY):
        condition = one.get("Condition", {})
        if one["Effect"] == "Deny" and "server-side-encryption" in json.dumps(condition.get("StringNotEquals", {})):
            condition.pop("Null", None)


@mutant("C44")
def uploads_may_be_public(draft: Draft) -> None:
    draft.unsay(lambda one: _denies(one, "x-amz-acl"), BUCKET_POLICY)


@mutant("C05", "C44")
def transport_may_be_clear(draft: Draft) -> None:
    draft.unsay(lambda one: _denies(one, "aws:SecureTransport"), BUCKET_POLICY)


@mutant("C05")
def tls_may_be_old(draft: Draft) -> None:
    draft.unsay(lambda one: _denies(one, "TlsVersion"), BUCKET_POLICY)


@mutant("C05")
def only_the_newest_tls(draft: Draft) -> None:
    for one in draft.statements(BUCKET_POLICY):
        for block in one.get("Condition", {}).values():
            if "s3:TlsVersion" in block:
                block["s3:TlsVersion"] = 1.3


@mutant("C40")
def any_account_may_read(draft: Draft) -> None:
    for one in draft.statements(BUCKET_POLICY):
        if foreign(one):
            one["Principal"] = "*"


@mutant("C40")
def everyone_may_read(draft: Draft) -> None:
    anything = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": {"AWS": "999900001111"}}
    draft.say(anything, BUCKET_POLICY)


@mutant("C40")
def consumers_may_write(draft: Draft) -> None:
    for one in draft.statements(BUCKET_POLICY):
        if foreign(one):
            one["Action"] = ["s3:GetObject", "s3:PutObject"]


@mutant("C40")
def consumers_may_read_everything(draft: Draft) -> None:
    for one in draft.statements(BUCKET_POLICY):
        if foreign(one):
            one["Resource"] = "*"


@mutant("C40")
def consumers_may_list_everything(draft: Draft) -> None:
    for one in draft.statements(BUCKET_POLICY):
        if foreign(one):
            one.pop("Condition", None)


@mutant("C40")
def no_consumer_in_any_bucket(draft: Draft) -> None:
    draft.unsay(foreign, BUCKET_POLICY)


@mutant("C39")
def consumers_need_no_external_id(draft: Draft) -> None:
    _without_condition(draft, "sts:ExternalId", ROLE)


@mutant("C39")
def no_role_for_consumers(draft: Draft) -> None:
    draft.unsay(foreign, ROLE)


@mutant("A11", "B41")
def a_whole_service_is_allowed(draft: Draft) -> None:
    draft.say({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, "AWS::IAM::ManagedPolicy")


@mutant("A11", "B41")
def every_object_may_be_read(draft: Draft) -> None:
    draft.say({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}, "AWS::IAM::ManagedPolicy")


@mutant("A11", "B41")
def metrics_of_any_namespace(draft: Draft) -> None:
    draft.say({"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*"}, "AWS::IAM::ManagedPolicy")


@mutant("A11", "B41")
def policies_of_aws(draft: Draft) -> None:
    arn = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"}
    for properties in draft.properties(ROLE):
        properties["ManagedPolicyArns"] = [*properties.get("ManagedPolicyArns", []), arn]


@mutant("A11", "B41")
def everything_but(draft: Draft) -> None:
    draft.say({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "AWS::IAM::ManagedPolicy")


@mutant("A12")
def services_act_for_anyone(draft: Draft) -> None:
    _without_condition(draft, "aws:SourceAccount", ROLE)


@mutant("A12")
def services_act_for_anything(draft: Draft) -> None:
    _without_condition(draft, "aws:SourceArn", ROLE)


@mutant("B13")
def one_role_for_two_services(draft: Draft) -> None:
    for properties in draft.properties(ROLE):
        for one in properties["AssumeRolePolicyDocument"]["Statement"]:
            if "Service" in one.get("Principal", {}):
                one["Principal"] = {"Service": ["lambda.amazonaws.com", "glue.amazonaws.com"]}


@mutant("B13")
def jobs_share_the_functions_role(draft: Draft) -> None:
    role = next(iter(draft.properties("AWS::Lambda::Function")))["Role"]
    set_everywhere("AWS::Glue::Job", "Role", role)(draft)


@mutant("B48")
def no_identity_allows_anything(draft: Draft) -> None:
    draft.unsay(lambda one: one["Effect"] == "Allow" and "Principal" not in one, *IDENTITY)

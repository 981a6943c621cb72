"""Who may do what with the keys."""

from __future__ import annotations

import pytest
from aws_cdk import aws_iam as iam

from tapehouse.cloud.constructs.encryption import Encryption, EncryptionProps
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.policy import Caller, Document

from .whole import CONSUMER_ACCOUNT, PLACE, Template, Whole, empty_stack, settings_of, statements, template_of

ANYTHING = Document.parse({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
ADMINISTRATOR = Caller.role("arn:aws:iam::111122223333:role/administrator")
CURATED = "arn:aws:s3:::tapehouse-lake-curated-test-x1a2-111122223333-eu-central-1"
SERVICES = {
    "cloudwatch.amazonaws.com": PLACE.arn("cloudwatch", "alarm:any"),
    "events.amazonaws.com": PLACE.arn("events", "rule/any"),
    "sns.amazonaws.com": PLACE.arn("sns", "alerts"),
    "sqs.amazonaws.com": PLACE.arn("sqs", "queue"),
    "kinesis.amazonaws.com": PLACE.arn("kinesis", "stream/any"),
    "glue.amazonaws.com": PLACE.arn("glue", "job/any"),
}


def admits(found: Whole, caller: Caller, action: str, **context: str) -> bool:
    """Whether the data key's policy lets somebody in who is allowed everything by his own policies."""
    named = {name.replace("__", ":"): value for name, value in context.items()}
    template = found.template
    return bool(template.account.admits(caller, action, template.data_key, named, [ANYTHING]))


@pytest.mark.parametrize(("where", "days", "policy"), [("in_test", 7, "Delete"), ("in_prod", 30, "Retain")])
def test_keys_rotate_and_wait_before_they_go(
    where: str, days: int, policy: str, request: pytest.FixtureRequest
) -> None:
    keys = request.getfixturevalue(where).template.of("AWS::KMS::Key")
    assert len(keys) == 2
    for key in keys.values():
        assert key["Properties"]["EnableKeyRotation"] is True
        assert key["Properties"]["PendingWindowInDays"] == days
        assert key["DeletionPolicy"] == key["UpdateReplacePolicy"] == policy


def test_aliases_are_the_deployments_names(in_test: Whole) -> None:
    found = {one["Properties"]["AliasName"] for one in in_test.template.of("AWS::KMS::Alias").values()}
    tail = "test-x1a2-eu-central-1"
    assert found == {f"alias/tapehouse-lake-data-{tail}", f"alias/tapehouse-lake-logs-{tail}"}


@pytest.mark.parametrize("service", SERVICES)
def test_services_use_the_key_for_this_account_alone(in_test: Whole, service: str) -> None:
    ours = {"aws__SourceAccount": "111122223333", "aws__SourceArn": SERVICES[service]}
    theirs = {name: value.replace("111122223333", "999900001111") for name, value in ours.items()}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert admits(in_test, Caller.of_service(service), action, **ours)
        assert not admits(in_test, Caller.of_service(service), action, **theirs)
        # EventBridge does not always say on whose behalf it calls.
        assert bool(admits(in_test, Caller.of_service(service), action)) is (service == "events.amazonaws.com")


def test_a_service_is_not_admitted_for_another_kind_of_source(in_test: Whole) -> None:
    context = {"aws__SourceAccount": "111122223333", "aws__SourceArn": PLACE.arn("ec2", "instance/i-1")}
    assert not admits(in_test, Caller.of_service("cloudwatch.amazonaws.com"), "kms:Decrypt", **context)


def test_the_accounts_roles_use_data_through_services_only(in_test: Whole) -> None:
    s3 = {"kms__CallerAccount": "111122223333", "kms__ViaService": "s3.eu-central-1.amazonaws.com"}
    assert admits(in_test, ADMINISTRATOR, "kms:Decrypt", **s3)
    assert not admits(in_test, ADMINISTRATOR, "kms:Decrypt", kms__CallerAccount="111122223333")
    assert not admits(
        in_test, ADMINISTRATOR, "kms:Decrypt", **{**s3, "kms__ViaService": "ec2.eu-central-1.amazonaws.com"}
    )


def test_grants_are_for_services_that_hold_them(in_test: Whole) -> None:
    held = {
        "kms__CallerAccount": "111122223333",
        "kms__ViaService": "dynamodb.eu-central-1.amazonaws.com",
        "kms__GrantIsForAWSResource": "true",
    }
    assert admits(in_test, ADMINISTRATOR, "kms:CreateGrant", **held)
    assert not admits(in_test, ADMINISTRATOR, "kms:CreateGrant", **{**held, "kms__GrantIsForAWSResource": "false"})


def test_nothing_is_left_to_iam_but_administration(in_test: Whole) -> None:
    """No statement gives the account everything: then its IAM policies alone would decide."""
    for key in in_test.template.of("AWS::KMS::Key").values():
        for one in statements(key["Properties"]["KeyPolicy"]):
            assert "*" not in json_actions(one)
    assert admits(in_test, ADMINISTRATOR, "kms:PutKeyPolicy")
    assert not admits(in_test, ADMINISTRATOR, "kms:Sign")


def test_nobody_deletes_a_key_by_himself(in_test: Whole, in_prod: Whole) -> None:
    for found in (in_test, in_prod):
        for action in ("kms:ScheduleKeyDeletion", "kms:DisableKey"):
            assert not admits(found, ADMINISTRATOR, action)


def test_cloudformation_takes_keys_away_outside_production_alone(in_test: Whole, in_prod: Whole) -> None:
    called = {"aws__CalledVia": "cloudformation.amazonaws.com"}
    assert admits(in_test, ADMINISTRATOR, "kms:ScheduleKeyDeletion", **called)
    assert not admits(in_prod, ADMINISTRATOR, "kms:ScheduleKeyDeletion", **called)


def test_consumers_decrypt_curated_data_through_s3(in_test: Whole) -> None:
    reader = Caller.role(f"arn:aws:iam::{CONSUMER_ACCOUNT}:role/reader")
    context = {
        "kms__CallerAccount": CONSUMER_ACCOUNT,
        "kms__ViaService": "s3.eu-central-1.amazonaws.com",
        "kms__EncryptionContext:aws:s3:arn": CURATED,
    }
    assert admits(in_test, reader, "kms:Decrypt", **context)
    assert not admits(in_test, reader, "kms:GenerateDataKey", **context)
    raw = CURATED.replace("curated", "raw")
    assert not admits(in_test, reader, "kms:Decrypt", **{**context, "kms__EncryptionContext:aws:s3:arn": raw})
    del context["kms__ViaService"]
    assert not admits(in_test, reader, "kms:Decrypt", **context)


def test_log_groups_of_this_account_use_the_log_key(in_test: Whole) -> None:
    account, arn = in_test.template.account, in_test.template.logs_key
    service = Caller.of_service("logs.eu-central-1.amazonaws.com")
    name = "kms:EncryptionContext:aws:logs:arn"
    ours = PLACE.arn("logs", "log-group:/aws/lambda/any")
    assert account.admits(service, "kms:GenerateDataKey", arn, {name: ours})
    assert not account.admits(service, "kms:GenerateDataKey", arn, {name: ours.replace("111122223333", "999900001111")})
    assert not account.admits(service, "kms:GenerateDataKey", arn)


def test_without_consumers_no_other_account_is_named() -> None:
    template = keys_alone()
    assert "ConsumersThroughS3" not in template.text


def test_a_role_is_admitted_directly_by_its_name() -> None:
    template = keys_alone(direct=True)
    arn = template.data_key
    context = {"kms:CallerAccount": "111122223333"}
    job = Caller.role("arn:aws:iam::111122223333:role/tapehouse-lake-job-test-x1a2-eu-central-1")
    assert template.account.admits(job, "kms:Encrypt", arn, context, [ANYTHING])
    assert not template.account.admits(job, "kms:Encrypt", arn, context)
    assert not template.account.admits(ADMINISTRATOR, "kms:Encrypt", arn, context, [ANYTHING])


def keys_alone(*, direct: bool = False) -> Template:
    """A template of the keys without consumers and, if asked, with a role that uses one directly."""
    settings = settings_of("test", consumers=[])
    naming = Naming.of(settings, "lake")
    stack = empty_stack(naming)
    encryption = Encryption(stack, "Encryption", props=EncryptionProps(naming, Lifecycle.of(settings)))
    if direct:
        role = iam.Role(
            stack, "Job", role_name=naming.name("job"), assumed_by=iam.ServicePrincipal("glue.amazonaws.com")
        )
        # As denies do: the role refers to the key, and the key must not refer back.
        role.add_to_policy(iam.PolicyStatement(actions=["kms:Encrypt"], resources=[encryption.data.key_arn]))
        encryption.admit_directly(role)
    return template_of(stack)


def json_actions(statement: dict[str, object]) -> str:
    return str(statement["Action"])

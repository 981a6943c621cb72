"""The topic that tells people."""

from __future__ import annotations

import pytest

from tapehouse.cloud.constructs.alerts import Alerts, AlertsProps
from tapehouse.cloud.constructs.encryption import Encryption, EncryptionProps
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.policy import Caller, Document

from .whole import PLACE, Whole, empty_stack, settings_of, template_of

TOPIC = PLACE.arn("sns", "tapehouse-lake-alerts-test-x1a2-eu-central-1")
ANYTHING = Document.parse({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


def publishes(found: Whole, service: str, source: str, account: str = "111122223333") -> bool:
    context = {"aws:SourceAccount": account, "aws:SourceArn": source, "aws:SecureTransport": "true"}
    return bool(found.template.account.admits(Caller.of_service(service), "sns:Publish", TOPIC, context))


@pytest.mark.parametrize(
    ("service", "source"),
    [
        ("cloudwatch.amazonaws.com", PLACE.arn("cloudwatch", "alarm:any")),
        ("events.amazonaws.com", PLACE.arn("events", "rule/any")),
    ],
)
def test_alarms_and_rules_of_this_account_publish(in_test: Whole, service: str, source: str) -> None:
    assert publishes(in_test, service, source)
    assert not publishes(in_test, service, source, account="999900001111")
    assert not publishes(in_test, service, PLACE.arn("ec2", "instance/i-1"))
    assert not publishes(in_test, "s3.amazonaws.com", source)


def test_nothing_is_published_in_the_clear(in_test: Whole) -> None:
    caller, account = Caller.role("arn:aws:iam::111122223333:role/any"), in_test.template.account
    assert account.admits(caller, "sns:Publish", TOPIC, {"aws:SecureTransport": "true"}, [ANYTHING])
    assert not account.admits(caller, "sns:Publish", TOPIC, {"aws:SecureTransport": "false"}, [ANYTHING])


def test_the_topic_is_encrypted_and_goes_with_the_deployment(in_prod: Whole) -> None:
    (topic,) = in_prod.template.of("AWS::SNS::Topic").values()
    assert topic["Properties"]["KmsMasterKeyId"] == in_prod.template.data_key
    assert topic["DeletionPolicy"] == "Delete"


def test_people_are_asked_by_mail(in_test: Whole) -> None:
    subscription = in_test.template.one("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "tape@example.com")
    assert len(in_test.alerts.subscriptions) == 1


def test_nobody_needs_to_be_asked() -> None:
    settings = settings_of("test", alert_emails=[])
    naming, lifecycle = Naming.of(settings, "lake"), Lifecycle.of(settings)
    stack = empty_stack(naming)
    keys = Encryption(stack, "Encryption", props=EncryptionProps(naming, lifecycle))
    alerts = Alerts(stack, "Alerts", props=AlertsProps(naming, lifecycle, keys.data))
    assert alerts.subscriptions == ()
    assert not template_of(stack).of("AWS::SNS::Subscription")

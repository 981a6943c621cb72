"""Queues and where their failed messages go."""

from __future__ import annotations

import pytest

from tapehouse.cloud.conformance.stacks import Resource, Stacks
from tapehouse.cloud.constructs.queues import DEAD_RETENTION_DAYS
from tapehouse.cloud.settings import StreamSettings


def queue(stacks: Stacks, purpose: str) -> Resource:
    (found,) = (one for one in stacks.of("AWS::SQS::Queue") if one.name.startswith(f"tapehouse-stream-{purpose}-test-"))
    return found


def test_every_queue_is_encrypted_and_goes_with_the_stack(stream: Stacks) -> None:
    found = stream.of("AWS::SQS::Queue")
    assert len(found) == 4
    for one in found:
        assert stream.key(one.get("KmsMasterKeyId")) is not None
        assert one.removed == one.replaced == "Delete"


def test_every_queue_refuses_calls_without_tls(stream: Stacks) -> None:
    for one in stream.of("AWS::SQS::Queue"):
        (policy,) = (it for it in stream.of("AWS::SQS::QueuePolicy") if one.ref in it.get("Queues"))
        denied = [it for it in policy.get("PolicyDocument.Statement") if it["Effect"] == "Deny"]
        assert [it["Condition"] for it in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_a_message_is_not_seen_again_while_it_is_worked_on(stream: Stacks) -> None:
    (reader,) = (one for one in stream.of("AWS::Lambda::Function") if "object_validator" in one.get("Handler"))
    assert queue(stream, "objects").get("VisibilityTimeout") == 6 * reader.get("Timeout")


def test_a_message_that_fails_becomes_a_dead_letter_of_one_queue(stream: Stacks) -> None:
    work, dead = queue(stream, "objects"), queue(stream, "objects-dlq")
    assert work.get("RedrivePolicy") == {"deadLetterTargetArn": dead.arn, "maxReceiveCount": 5}
    assert dead.get("RedriveAllowPolicy") == {"redrivePermission": "byQueue", "sourceQueueArns": [work.arn]}


@pytest.mark.parametrize("purpose", ["objects-dlq", "stream-dlq", "undelivered"])
def test_dead_letters_are_kept_longer_than_anything_waits(stream: Stacks, purpose: str) -> None:
    assert queue(stream, purpose).get("MessageRetentionPeriod") == 14 * 86_400
    assert queue(stream, "objects").get("MessageRetentionPeriod") == 4 * 86_400


def test_records_can_be_read_for_longer_than_their_dead_letters_are_kept() -> None:
    assert StreamSettings().retention_hours > DEAD_RETENTION_DAYS * 24

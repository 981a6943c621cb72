"""What services deliver to queues and topics: ministack asks no key, and of rules of EventBridge not even the policy.

Here a queue or a topic must let the sender in (`aws:SourceArn`), and so must the key that encrypts it. An event that a
rule could not deliver goes to the target's dead-letter queue, with the attributes that AWS gives it; without a queue it
is lost, which ministack does with all of them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from emulator.inside import client

EVENTS = "events.amazonaws.com"
_LOG = logging.getLogger("emulator.deliveries")


def install() -> None:
    from ministack.services import eventbridge, sns, sqs

    sqs.queue_policy_allows = _and_the_key(sqs.queue_policy_allows)
    sns.topic_policy_allows = _and_the_key(sns.topic_policy_allows)
    deliver = eventbridge._invoke_target

    def deliver_if_allowed(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        refused = _refusal(target["Arn"], rule["Arn"])
        if refused:
            _dead_letter(target, event, rule, refused, view or eventbridge._pattern_event_view(event))
        else:
            deliver(target, event, rule, view)

    eventbridge._invoke_target = deliver_if_allowed


def _and_the_key(allows: Callable[[str, str, str, str], bool]) -> Callable[[str, str, str, str], bool]:
    from emulator.key_use import service_may

    def allows_with_key(target: str, service: str, source: str, account: str) -> bool:
        return allows(target, service, source, account) and service_may(service, target, source, account)

    return allows_with_key


def _refusal(target: str, rule: str) -> str:
    """The code of the error that the target answers; empty when it takes the event."""
    from ministack.core.responses import get_account_id
    from ministack.services import lambda_svc, sns, sqs

    own = get_account_id()
    service, name = target.split(":")[2], target.rsplit(":", 1)[-1]
    if service == "sqs":
        if sqs._queue_by_arn(target) is None:
            return "NO_RESOURCE"
        allowed = sqs.queue_policy_allows(target, EVENTS, rule, own)
        return "" if allowed else "NO_PERMISSIONS"
    if service == "sns":
        if target not in sns._topics:
            return "NO_RESOURCE"
        allowed = sns.topic_policy_allows(target, EVENTS, rule, own)
        return "" if allowed else "NO_PERMISSIONS"
    if service == "lambda":
        return "" if name in lambda_svc._functions else "NO_RESOURCE"
    return ""


def _dead_letter(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], code: str, view: Any) -> None:
    from ministack.core.responses import get_account_id
    from ministack.services import sqs

    queue = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    _LOG.warning(
        "%s could not deliver to %s: %s; dead letter to %s", rule["Arn"], target["Arn"], code, queue or "nobody"
    )
    if not queue or not sqs.queue_policy_allows(queue, EVENTS, rule["Arn"], get_account_id()):
        return
    told = {"RULE_ARN": rule["Arn"], "TARGET_ARN": target["Arn"], "ERROR_CODE": code}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
    body = json.dumps(view.event_with_detail())
    _later(queue.rsplit(":", 1)[-1], body, attributes)


def _later(queue: str, body: str, attributes: dict[str, Any]) -> None:
    """Sent from a thread: an event may be dispatched on the loop that has to answer us."""
    import contextvars
    import threading

    def send() -> None:
        sqs = client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)

    threading.Thread(target=contextvars.copy_context().run, args=(send,), daemon=True).start()

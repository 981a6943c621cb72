"""Alerts to every kind of sink, once per run, without ever stopping one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tapehouse.errors import UsageError
from tapehouse.observe.alerts import Alert, Alerter, AlertLevel, LogSink, SnsSink, WebhookSink, sinks_for
from tapehouse.observe.delivery import Patience

QUICK = Patience(attempts=2, timeout_seconds=2.0, backoff_seconds=0.01, total_seconds=5.0)
TOPIC = "arn:aws:sns:eu-west-1:123456789012:tape-alerts"
ALERT = Alert(AlertLevel.CRITICAL, "budget of late exceeded", "run-1", {"rule": "late", "share": 0.4, "budget": 0.1})
BODY = {
    "source": "tapehouse",
    "severity": "critical",
    "title": "budget of late exceeded",
    "run_id": "run-1",
    "facts": {"rule": "late", "share": 0.4, "budget": 0.1},
}


class Topic:
    """Keeps what is published, and refuses what SNS refuses: subjects over 99 characters, in several lines or not
    ASCII; messages over 256 KiB; FIFO topics without a group.
    """

    def __init__(self, region: str = "") -> None:
        self.region = region
        self.published: list[Mapping[str, Any]] = []

    def publish(self, **request: Any) -> Mapping[str, Any]:
        if not re.fullmatch(r"[A-Za-z0-9!-/][\x20-\x7e]{0,98}", request["Subject"]):
            raise ValueError("InvalidParameter: Subject")
        if not 0 < len(request["Message"].encode()) <= 262144:
            raise ValueError("InvalidParameter: Message too long")
        if request["TopicArn"].endswith(".fifo") != ("MessageGroupId" in request):
            raise ValueError("InvalidParameter: MessageGroupId")
        self.published.append(request)
        return {"MessageId": str(len(self.published))}


def test_log_writes_one_line_of_json_to_standard_error(capsys):
    assert LogSink().send(ALERT).delivered
    out, err = capsys.readouterr()
    assert out == ""
    document = json.loads(err)
    assert document.pop("time").endswith("+00:00")
    assert document == BODY


def test_log_to_a_closed_stream_is_a_warning():
    stream = io.StringIO()
    stream.close()
    outcome = LogSink(stream).send(ALERT)
    assert (outcome.delivered, "closed" in outcome.warning) == (False, True)


def test_webhook_posts_the_document_and_retries(listener, answer):
    listener.script = [answer(503)]
    [sink] = sinks_for([f"{listener.url}/hook"], patience=QUICK)
    assert isinstance(sink, WebhookSink)
    outcome = sink.send(ALERT)
    assert (outcome.delivered, outcome.attempts) == (True, 2)
    assert listener.documents == [BODY, BODY]


def test_unreachable_webhook_does_not_keep_the_others_from_being_told(listener, answer):
    listener.script = [answer(500)] * 2
    log = io.StringIO()
    alerter = Alerter([*sinks_for([listener.url], patience=QUICK), LogSink(log)])
    assert [outcome.delivered for outcome in alerter.send(ALERT)] == [False, True]
    assert json.loads(log.getvalue())["run_id"] == "run-1"


def test_the_same_alert_is_told_once_per_run():
    log = io.StringIO()
    alerter = Alerter([LogSink(log)])
    same = Alert(AlertLevel.CRITICAL, ALERT.title, "run-1", {"budget": 0.1, "share": 0.4, "rule": "late"})
    others = [
        Alert(AlertLevel.WARNING, ALERT.title, "run-1", ALERT.facts),
        Alert(AlertLevel.CRITICAL, ALERT.title, "run-2", ALERT.facts),
        Alert(AlertLevel.CRITICAL, ALERT.title, "run-1", {**ALERT.facts, "share": 0.5}),
    ]
    told = [len(alerter.send(alert)) for alert in (ALERT, same, *others, ALERT)]
    assert told == [1, 0, 1, 1, 1, 0]
    assert len(log.getvalue().splitlines()) == 4


def test_sns_publishes_document_and_severity():
    topics: list[Topic] = []

    def client(region: str) -> Topic:
        topics.append(Topic(region))
        return topics[-1]

    [sink] = sinks_for([f"sns:{TOPIC}"], sns_client=client)
    assert sink.send(ALERT).delivered
    [request] = topics[0].published
    assert topics[0].region == "eu-west-1"
    assert request["TopicArn"] == TOPIC
    assert request["MessageAttributes"]["severity"] == {"DataType": "String", "StringValue": "critical"}
    assert json.loads(request["Message"]) == BODY


@pytest.mark.parametrize("title", ["x" * 500, "two\nlines", "Zürich – tape", "bell \x07", "tab\there"])
def test_sns_subjects_stay_within_what_sns_takes(title):
    topic = Topic()
    assert SnsSink(TOPIC, topic).send(Alert(AlertLevel.INFO, title, "r")).delivered
    assert json.loads(topic.published[0]["Message"])["title"] == title


def test_sns_message_too_large_names_what_it_leaves_out():
    topic = Topic()
    assert SnsSink(TOPIC, topic).send(Alert(AlertLevel.INFO, "t", "r", {"rows": ["é" * 100] * 2000})).delivered
    facts = json.loads(topic.published[0]["Message"])["facts"]
    assert facts["names"] == ["rows"]
    assert "262144" in facts["left_out"]


def test_fifo_topics_get_a_group_per_run():
    topic = Topic()
    assert SnsSink(TOPIC + ".fifo", topic).send(ALERT).delivered
    assert topic.published[0]["MessageGroupId"] == "run-1"


def test_a_failing_client_is_a_warning():
    class Down:
        def publish(self, **request: Any) -> Mapping[str, Any]:
            raise ConnectionError("endpoint unreachable")

    outcome = SnsSink(TOPIC, Down()).send(ALERT)
    assert (outcome.delivered, outcome.warning) == (False, f"{TOPIC}: endpoint unreachable")


def test_each_target_makes_one_sink():
    assert [type(sink) for sink in sinks_for(["log:", "https://h.example/x", "log:"])] == [LogSink, WebhookSink]
    assert sinks_for([]) == []


@pytest.mark.parametrize(
    "target", ["", "mailto:a@b", "ftp://h/x", "http://", "sns:topic", f"sns:{TOPIC}\n", f"sqs:{TOPIC}", "file:///x"]
)
def test_other_targets_are_refused_at_start(target):
    with pytest.raises(UsageError, match="alert"):
        sinks_for([target], sns_client=Topic)

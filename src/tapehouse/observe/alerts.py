"""Telling people that a run needs them: to the log, to a webhook, to an SNS topic."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol, TextIO

from tapehouse import aws
from tapehouse.errors import RunError, UsageError
from tapehouse.observe.delivery import Delivery, JsonPoster, Patience, check_http_url

SNS_SUBJECT_CHARACTERS_MAX = 99
SNS_MESSAGE_BYTES_MAX = 256 * 1024
_TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:(?P<region>[a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")


class AlertLevel(StrEnum):
    """INFO wants no action, WARNING wants one today, CRITICAL means that nothing was published."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell. `facts` hold JSON values only; put the numbers there, not into the title."""

    severity: AlertLevel
    title: str
    run_id: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The JSON body every sink sends."""
        return {
            "source": "tapehouse",
            "severity": self.severity.value,
            "title": self.title,
            "run_id": self.run_id,
            "facts": dict(self.facts),
        }

    def identity(self) -> str:
        """Equal for alerts that say the same of the same run."""
        return json.dumps(self.document(), sort_keys=True, default=str)


class Sink(Protocol):
    """Takes alerts; never raises."""

    def send(self, alert: Alert) -> Delivery:
        """Tell one alert."""
        ...


@dataclass(frozen=True, slots=True)
class LogSink:
    """One line of JSON per alert, on standard error unless given another stream."""

    stream: TextIO | None = None

    def send(self, alert: Alert) -> Delivery:
        """Written and flushed when delivered."""
        stream = self.stream if self.stream is not None else sys.stderr
        line = json.dumps({"time": datetime.now(UTC).isoformat(), **alert.document()}, default=str, ensure_ascii=False)
        try:
            print(line, file=stream, flush=True)
        except (OSError, ValueError) as error:  # a closed pipe, a closed stream
            return Delivery("log", delivered=False, warning=f"log: {error}")
        return Delivery("log", delivered=True)


@dataclass(frozen=True, slots=True)
class WebhookSink:
    """Posts the alert's document as JSON."""

    poster: JsonPoster

    def send(self, alert: Alert) -> Delivery:
        """Within the poster's patience."""
        return self.poster.post(alert.document())


class SnsClient(Protocol):
    """The one call we make of boto3's `client("sns")`."""

    def publish(self, **request: Any) -> Mapping[str, Any]:
        """`TopicArn`, `Subject`, `Message`, `MessageAttributes`, and `MessageGroupId` for a FIFO topic."""
        ...


@dataclass(frozen=True, slots=True)
class SnsSink:
    """Publishes to a topic: the severity is a message attribute to filter on, the document is the message."""

    topic_arn: str
    client: SnsClient

    def send(self, alert: Alert) -> Delivery:
        """One publish; retries are the client's own."""
        attributes = {"severity": {"DataType": "String", "StringValue": alert.severity.value}}
        # A FIFO topic demands a group, and drops repeats by content if the topic says so.
        more = {"MessageGroupId": alert.run_id} if self.topic_arn.endswith(".fifo") else {}
        try:
            self.client.publish(
                TopicArn=self.topic_arn,
                Subject=_subject(alert),
                Message=_message(alert),
                MessageAttributes=attributes,
                **more,
            )
        except Exception as error:  # boto3 raises types of its own, and an alert must not stop a run
            return Delivery(self.topic_arn, delivered=False, warning=f"{self.topic_arn}: {error}")
        return Delivery(self.topic_arn, delivered=True)


def _subject(alert: Alert) -> str:
    """Within what SNS allows: printable ASCII in one line, under 100 characters, starting with a letter."""
    text = f"Tapehouse {alert.severity.value}: {alert.title}"
    plain = " ".join(text.encode("ascii", "replace").decode().split())
    return "".join(c for c in plain if c.isprintable())[:SNS_SUBJECT_CHARACTERS_MAX]


def _message(alert: Alert) -> str:
    text = json.dumps(alert.document(), default=str)
    if len(text) <= SNS_MESSAGE_BYTES_MAX:  # ASCII: characters are bytes
        return text
    names = sorted(str(name) for name in alert.facts)
    facts = {"left_out": f"facts over {SNS_MESSAGE_BYTES_MAX} bytes; see the run", "names": names[:100]}
    return json.dumps({**alert.document(), "title": alert.title[:1000], "facts": facts}, default=str)


@dataclass(slots=True)
class Alerter:
    """Sends each alert to every sink, once per run however often it is raised."""

    sinks: Sequence[Sink]
    _told: set[str] = field(default_factory=set)

    def send(self, alert: Alert) -> list[Delivery]:
        """One outcome per sink; empty if the same alert was told before."""
        identity = alert.identity()
        if identity in self._told:
            return []
        self._told.add(identity)
        return [sink.send(alert) for sink in self.sinks]


def sinks_for(
    targets: Iterable[str],
    *,
    patience: Patience | None = None,
    sns_client: Callable[[str], SnsClient] | None = None,
) -> list[Sink]:
    """The sinks for `log:`, `http(s)://...` and a topic's ARN (with or without `sns:` before it), each once. UsageError
    for anything else.

    `sns_client` makes a client for a region; by default boto3, which is then needed.
    """
    return [_sink(target, patience or Patience(), sns_client or _boto3_client) for target in dict.fromkeys(targets)]


def _sink(target: str, patience: Patience, sns_client: Callable[[str], SnsClient]) -> Sink:
    if target in ("log:", "log"):
        return LogSink()
    if target.startswith(("http://", "https://")):
        return WebhookSink(JsonPoster(check_http_url(target, "alert"), patience=patience))
    if target.startswith(("sns:", "arn:")):
        arn = target.removeprefix("sns:")
        match = _TOPIC_ARN.fullmatch(arn)
        if match is None:
            raise UsageError(f"alert: {arn!r} is not a topic ARN", fix="write sns:arn:aws:sns:REGION:ACCOUNT:TOPIC")
        return SnsSink(arn, sns_client(match["region"]))
    raise UsageError(
        f"alert: {target!r} is not understood", fix="give log:, http://HOST/PATH, https://HOST/PATH or a topic's ARN"
    )


def _boto3_client(region: str) -> SnsClient:
    try:
        client: SnsClient = aws.client("sns", region, patient=False)
    except RunError as error:
        raise UsageError(f"alert: a topic needs boto3: {error.message}", fix=error.fix) from error
    return client

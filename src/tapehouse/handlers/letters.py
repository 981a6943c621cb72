"""Letters of dead-letter queues: taken once in a run, put back, removed, or sent again with one attempt more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# A letter that is in work is hidden for as long as an invocation may take.
HIDDEN_SECONDS = 900
_RECEIVED_MAX = 10
_ATTEMPTS, _RUN = "attempts", "redrive"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of a dead-letter queue. `attempts` are redrives before this one."""

    number: str
    receipt: str
    body: str
    attempts: int
    attributes: Mapping[str, Any]


class Queue:
    """Takes letters from a queue, each once in the life of this object."""

    def __init__(self, sqs: Any, url: str, run: str) -> None:
        self._sqs, self._url, self._run = sqs, url, run
        self._seen: set[str] = set()

    def waiting(self) -> int:
        """About how many letters there are."""
        name = "ApproximateNumberOfMessages"
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(found["Attributes"][name])

    def letters(self, limit: int) -> Iterator[Letter]:
        """At most `limit` letters, until there are none but those that this run has sent back."""
        taken = 0
        while taken < limit:
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(_RECEIVED_MAX, limit - taken),
                VisibilityTimeout=HIDDEN_SECONDS,
                MessageAttributeNames=["All"],
                WaitTimeSeconds=1,
            )
            letters = [_letter(message) for message in answer.get("Messages", [])]
            fresh = [one for one in letters if self._is_fresh(one)]
            for one in letters:
                if one not in fresh:
                    self.put_back(one)
            if not fresh:
                return
            self._seen |= {one.number for one in fresh}
            taken += len(fresh)
            yield from fresh

    def _is_fresh(self, letter: Letter) -> bool:
        sender = letter.attributes.get(_RUN, {}).get("StringValue")
        return letter.number not in self._seen and sender != self._run

    def put_back(self, letter: Letter) -> None:
        """Let others see a letter again."""
        self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)

    def done(self, letter: Letter) -> None:
        """Remove a letter."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)

    def send(self, url: str, body: str, attempts: int) -> None:
        """A letter to any queue, with its attempts."""
        self._sqs.send_message(
            QueueUrl=url,
            MessageBody=body,
            MessageAttributes={
                _ATTEMPTS: {"DataType": "Number", "StringValue": str(attempts)},
                _RUN: {"DataType": "String", "StringValue": self._run},
            },
        )

    def again(self, letter: Letter, body: str) -> None:
        """A letter of this queue that stays one."""
        self.send(self._url, body, letter.attempts + 1)


def _letter(message: Mapping[str, Any]) -> Letter:
    attributes = message.get("MessageAttributes") or {}
    attempts = int(attributes.get(_ATTEMPTS, {}).get("StringValue", "0"))
    return Letter(message["MessageId"], message["ReceiptHandle"], message["Body"], attempts, attributes)

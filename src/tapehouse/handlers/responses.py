"""CloudFormation's protocol for custom resources: a request comes as an event, the answer is put to a URL in it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tapehouse.handlers.surroundings import log

REASON_CHARACTERS_MAX = 1_000
_ATTEMPTS, _SECONDS = 4, 10
_SCHEMES = ("https", "http")


@dataclass(frozen=True, slots=True)
class Answer:
    """What CloudFormation is told. `data` are the resource's attributes."""

    physical_id: str
    data: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def status(self) -> str:
        """FAILED when there is a reason."""
        return "FAILED" if self.reason else "SUCCESS"


def respond(event: Mapping[str, Any], answer: Answer) -> None:
    """Put the answer, several times if need be: without it CloudFormation waits for an hour."""
    body = {
        "Status": answer.status,
        "Reason": answer.reason[:REASON_CHARACTERS_MAX] or "done",
        "PhysicalResourceId": answer.physical_id,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": dict(answer.data),
    }
    log("answer", resource=event["LogicalResourceId"], request=event["RequestType"], status=answer.status,
        physical_id=answer.physical_id, reason=answer.reason)  # fmt: skip
    url = str(event["ResponseURL"])
    if url.partition(":")[0] not in _SCHEMES:
        raise ValueError(f"the response URL is no web address: {url.partition(':')[0]}")
    data = json.dumps(body).encode()
    for attempt in range(_ATTEMPTS):
        # The URL is signed for an empty content type.
        request = urllib.request.Request(url, data, {"Content-Type": ""}, method="PUT")  # noqa: S310 - see above
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310 - see above
                return
        except OSError as error:
            log("answer not taken", attempt=attempt + 1, reason=str(error))
            if attempt == _ATTEMPTS - 1:
                raise

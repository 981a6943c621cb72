"""Contents whose run did not do its work, found in the lineage table: each is sent to the validator as if it had just
landed, and gets a run of its own there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tapehouse.handlers.lineage import UNFINISHED, unfinished_values
from tapehouse.handlers.surroundings import error_code, log


@dataclass(frozen=True, slots=True)
class Landed:
    """Where contents land (`s3://bucket/landing/`), the lineage table, and for how long a run may say nothing."""

    place: str
    table: str
    started_seconds: float

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.place.partition("://")[2].partition("/")[0]


class Unfinished:
    """Items that are `failed`, `stopped`, or `started` for longer than a run may take."""

    def __init__(self, landed: Landed, dynamodb: Any, sqs: Any, queue: str) -> None:
        self._landed, self._dynamodb, self._sqs, self._queue = landed, dynamodb, sqs, queue

    def waiting(self, limit: int) -> int:
        """How many there are, as far as `limit`."""
        return sum(1 for _ in islice(self._items(), limit))

    def send_back(self, limit: int, counts: Counter[str], seconds_left: Callable[[], float]) -> None:
        """At most `limit` of them, while there is time."""
        for item in islice(self._items(), limit):
            if seconds_left() <= 0:
                counts["not_reached"] += 1
                return
            try:
                self._sqs.send_message(QueueUrl=self._queue, MessageBody=self._event(item))
            except Exception as error:
                counts["runs_failed"] += 1
                log("not sent back", dataset=item["dataset"]["S"], sha256=item["sha256"]["S"], reason=error_code(error))
                continue
            counts["runs_sent_back"] += 1

    def _items(self) -> Iterator[Mapping[str, Any]]:
        """Those that landed; of a file that a run took from elsewhere there is no event."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._landed.table,
            ConsistentRead=True,
            FilterExpression=f"begins_with(#source, :landed) AND ({UNFINISHED})",
            ProjectionExpression="dataset, sha256, #source, source_version",
            ExpressionAttributeNames={"#status": "status", "#source": "source"},
            ExpressionAttributeValues={
                ":landed": {"S": self._landed.place},
                **unfinished_values(self._landed.started_seconds),
            },
        )
        for page in pages:
            yield from page["Items"]

    def _event(self, item: Mapping[str, Any]) -> str:
        """As EventBridge tells of a created object."""
        key = item["source"]["S"].removeprefix(f"s3://{self._landed.bucket}/")
        version = item.get("source_version", {}).get("S", "")
        found = {"key": key, **({"version-id": version} if version else {})}
        detail = {"bucket": {"name": self._landed.bucket}, "object": found}
        return json.dumps({"source": "tapehouse.redrive", "detail-type": "Object Created", "detail": detail})

"""Contents whose run did not do its work, found in the lineage table: each is sent to the validator as if it had just
landed, and gets a run of its own there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from tapehouse.handlers.landing import PREFIX
from tapehouse.handlers.lineage import UNFINISHED, unfinished_values
from tapehouse.handlers.surroundings import Surroundings, error_code, log


class Unfinished:
    """Items that are `failed`, `stopped`, or `started` for longer than a run may take."""

    def __init__(self, here: Surroundings, dynamodb: Any, sqs: Any, queue: str) -> None:
        self._here, self._dynamodb, self._sqs, self._queue = here, dynamodb, sqs, queue
        self._landed = f"s3://{here.raw_bucket}/{PREFIX}"

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
            TableName=self._here.lineage_table,
            ConsistentRead=True,
            FilterExpression=f"begins_with(#source, :landed) AND ({UNFINISHED})",
            ProjectionExpression="dataset, sha256, #source, source_version",
            ExpressionAttributeNames={"#status": "status", "#source": "source"},
            ExpressionAttributeValues={
                ":landed": {"S": self._landed},
                **unfinished_values(self._here.started_seconds),
            },
        )
        for page in pages:
            yield from page["Items"]

    def _event(self, item: Mapping[str, Any]) -> str:
        """As EventBridge tells of a created object."""
        key = item["source"]["S"].removeprefix(f"s3://{self._here.raw_bucket}/")
        version = item.get("source_version", {}).get("S", "")
        found = {"key": key, **({"version-id": version} if version else {})}
        detail = {"bucket": {"name": self._here.raw_bucket}, "object": found, "redriven": True}
        return json.dumps({"source": "tapehouse.redrive", "detail-type": "Object Created", "detail": detail})

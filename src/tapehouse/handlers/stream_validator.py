"""Lambda function on Kinesis: decodes, judges and lands what producers put, each good record once.

A poison record (it cannot be decompressed, is not UTF-8, is empty, or has a line over `feed.max_record_bytes`) is
reported as a batch item failure, with all good records around it landed: the event source tries the rest of the batch
again, finds it landed, and at last sends the position to the dead-letter queue. Rows that break rules are landed as
they are: the run quarantines them with their reasons.

Calls: s3:ListBucket on the raw bucket; s3:GetObject (of HEAD) and s3:PutObject on landing/*; dynamodb:PutItem on the
lineage table; sns:Publish on the topic of alerts; kms:Decrypt and kms:GenerateDataKey on the data key by way of these.
"""

from __future__ import annotations

import base64
import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

from tapehouse.handlers.records import Position
from tapehouse.handlers.streaming import Delivered, StreamValidator
from tapehouse.handlers.surroundings import Surroundings, client


def delivered_of(event: Mapping[str, Any]) -> list[Delivered]:
    """The records of a Lambda event."""
    return [_delivered(record) for record in event["Records"]]


def _delivered(record: Mapping[str, Any]) -> Delivered:
    data = record["kinesis"]
    # arn:aws:kinesis:region:account:stream/NAME or that and /consumer/..
    stream = record["eventSourceARN"].split(":", 5)[5].split("/")[1]
    shard = record["eventID"].partition(":")[0]
    arrived = dt.datetime.fromtimestamp(data["approximateArrivalTimestamp"], dt.UTC)
    return Delivered(Position(stream, shard, data["sequenceNumber"]), arrived, base64.b64decode(data["data"]))


_validator: StreamValidator | None = None


def validator() -> StreamValidator:
    """The process's validator."""
    global _validator
    if _validator is None:
        _validator = StreamValidator(Surroundings.read(), client("s3"), client("dynamodb"), client("sns"))
        _validator.warm()
    return _validator


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Entry point. Poison records are reported as failed; whatever else fails, fails the invocation."""
    outcome = validator().process(delivered_of(event))
    failed = sorted(outcome.poison, key=lambda at: at.order)
    return {"batchItemFailures": [{"itemIdentifier": at.sequence} for at in failed]}


if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
    validator()  # while the sandbox starts, with a whole processor, and not in the first invocation

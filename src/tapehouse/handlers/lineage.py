"""The lineage table: one item for each content of a dataset, by its sha256, from landing to the run that took it.

Status goes `validated`, `started` (a job run has it), then what the run made of it: `published`, `stopped`, `failed`. A
run that dies says nothing; so `started` holds only for as long as a run may take, and the content may then be given to
another.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tapehouse.handlers.surroundings import STARTED_SECONDS, error_code

DAYS_DEFAULT = 90
_DAY_SECONDS = 86_400
# What a run ended with that may be tried again.
_AGAIN = ("stopped", "failed")
UNFINISHED = "#status IN (:stopped, :failed) OR (#status = :started AND updated_at < :before)"
"""Condition on items whose run did not do its work; see `unfinished_values`."""
_FREE = f"#status = :validated OR {UNFINISHED}"


class State(Enum):
    """Whether a content is to be given to a run: `FRESH` never was, `AGAIN` was given to one that did not do its work,
    `DONE` is published or may yet be.
    """

    FRESH = "fresh"
    AGAIN = "again"
    DONE = "done"


def unfinished_values(started_seconds: float) -> dict[str, Any]:
    """Of `UNFINISHED`: a run that began `started_seconds` ago is taken to have died."""
    return {
        ":stopped": {"S": "stopped"},
        ":failed": {"S": "failed"},
        ":started": {"S": "started"},
        ":before": {"S": _begun_before(started_seconds)},
    }


def _begun_before(started_seconds: float) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=started_seconds)).isoformat()


@dataclass(frozen=True, slots=True)
class Landed:
    """What is known of a content when it has landed. `rows` is None where it was not judged as a whole."""

    dataset: str
    sha256: str
    source: str
    size: int
    status: str = "validated"
    rows: int | None = None
    rules: Mapping[str, int] = field(default_factory=dict)
    source_version: str = ""
    keep_days: int | None = DAYS_DEFAULT


class Lineage:
    """Items of the table. `keep_days` of an item become `expires_at`, after which DynamoDB removes it. A run that has
    said nothing for `started_seconds` is taken to have died.
    """

    def __init__(self, dynamodb: Any, table: str, started_seconds: float = STARTED_SECONDS) -> None:
        self._dynamodb, self._table, self._started_seconds = dynamodb, table, started_seconds

    def add(self, landed: Landed) -> bool:
        """Write an item unless there is one of that content; whether it was written."""
        now = dt.datetime.now(dt.UTC).isoformat()
        item: dict[str, Any] = {
            "dataset": {"S": landed.dataset},
            "sha256": {"S": landed.sha256},
            "source": {"S": landed.source},
            "bytes": {"N": str(landed.size)},
            "status": {"S": landed.status},
            "rules": {"M": {code: {"N": str(count)} for code, count in sorted(landed.rules.items())}},
            "outputs": {"L": []},
            "landed_at": {"S": now},
            "updated_at": {"S": now},
        }
        if landed.rows is not None:
            item["rows"] = {"N": str(landed.rows)}
        if landed.source_version:
            item["source_version"] = {"S": landed.source_version}
        if landed.keep_days is not None:
            item["expires_at"] = {"N": str(int(time.time()) + landed.keep_days * _DAY_SECONDS)}
        absent = {"ConditionExpression": "attribute_not_exists(sha256)"}
        return self._accepted("put_item", TableName=self._table, Item=item, **absent)

    def state(self, dataset: str, sha256: str) -> State:
        """Whether that content is to be given to a run, and whether it was before."""
        item = self._find(dataset, sha256)
        status = item.get("status", {}).get("S", "validated")
        if status == "validated":
            return State.FRESH
        begun = item.get("updated_at", {}).get("S", "")
        died = status == "started" and begun < _begun_before(self._started_seconds)
        return State.AGAIN if died or status in _AGAIN else State.DONE

    def is_done(self, dataset: str, sha256: str) -> bool:
        """Whether a run has that content, or had it and did not fail."""
        return self.state(dataset, sha256) is State.DONE

    def claim(self, dataset: str, sha256: str, seconds: float) -> bool:
        """Reserve a content for a job that is about to be started; false while another has it, or a run.

        A claim that is not followed by `started` or `release` ends after `seconds`.
        """
        now = time.time()
        return self._update(
            dataset,
            sha256,
            "SET claimed_until = :until",
            f"({_FREE}) AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
            {
                ":until": {"N": f"{now + seconds:.3f}"},
                ":now": {"N": f"{now:.3f}"},
                ":validated": {"S": "validated"},
                **unfinished_values(self._started_seconds),
            },
        )

    def release(self, dataset: str, sha256: str) -> None:
        """Give up a claim: no job was started."""
        self._update(dataset, sha256, "REMOVE claimed_until", "attribute_exists(claimed_until)", {}, named=False)

    def started(self, dataset: str, sha256: str, job_run: str) -> None:
        """A job has been started for that content. What the job itself has written meanwhile stays."""
        values = {
            ":run": {"S": job_run},
            ":now": {"S": dt.datetime.now(dt.UTC).isoformat()},
            ":validated": {"S": "validated"},
            **unfinished_values(self._started_seconds),
        }
        self._update(
            dataset,
            sha256,
            "SET #status = :started, job_run_id = :run, updated_at = :now REMOVE claimed_until",
            f"attribute_exists(claimed_until) AND ({_FREE})",
            values,
        )

    def _find(self, dataset: str, sha256: str) -> dict[str, Any]:
        key = {"dataset": {"S": dataset}, "sha256": {"S": sha256}}
        found: dict[str, Any] = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return found.get("Item") or {}

    def _update(
        self,
        dataset: str,
        sha256: str,
        change: str,
        condition: str,
        values: Mapping[str, Any],
        *,
        named: bool = True,
    ) -> bool:
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": {"dataset": {"S": dataset}, "sha256": {"S": sha256}},
            "UpdateExpression": change,
            "ConditionExpression": condition,
        }
        if values:
            request["ExpressionAttributeValues"] = dict(values)
        if named:
            request["ExpressionAttributeNames"] = {"#status": "status"}
        return self._accepted("update_item", **request)

    def _accepted(self, call: str, **request: Any) -> bool:
        from botocore.exceptions import ClientError

        try:
            getattr(self._dynamodb, call)(**request)
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

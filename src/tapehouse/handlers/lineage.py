"""The lineage table: one item for each content of a dataset, by its sha256, from landing to the run that took it.

Status goes `validated`, `started` (a job run has it), then what the run made of it: `published`, `stopped`, `failed`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tapehouse.handlers.surroundings import error_code

DAYS_DEFAULT = 90
_DAY_SECONDS = 86_400
# What a run ended with that may be tried again.
_AGAIN = ("stopped", "failed")


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
    """Items of the table. `keep_days` of an item become `expires_at`, after which DynamoDB removes it."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

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

    def is_done(self, dataset: str, sha256: str) -> bool:
        """Whether a job has been started for that content, and did not fail."""
        status = self._find(dataset, sha256).get("status", {}).get("S", "validated")
        return status != "validated" and status not in _AGAIN

    def claim(self, dataset: str, sha256: str, seconds: float) -> bool:
        """Reserve a content for a job that is about to be started; false while another has it, or a job was started.

        A claim that is not followed by `started` or `release` ends after `seconds`.
        """
        now = time.time()
        return self._update(
            dataset,
            sha256,
            "SET claimed_until = :until",
            "(#status IN (:validated, :stopped, :failed)) AND "
            "(attribute_not_exists(claimed_until) OR claimed_until < :now)",
            {
                ":until": {"N": f"{now + seconds:.3f}"},
                ":now": {"N": f"{now:.3f}"},
                ":validated": {"S": "validated"},
                ":stopped": {"S": "stopped"},
                ":failed": {"S": "failed"},
            },
        )

    def release(self, dataset: str, sha256: str) -> None:
        """Give up a claim: no job was started."""
        self._update(dataset, sha256, "REMOVE claimed_until", "attribute_exists(claimed_until)", {}, named=False)

    def started(self, dataset: str, sha256: str, job_run: str) -> None:
        """A job has been started for that content. What the job itself has written meanwhile stays."""
        values = {
            ":started": {"S": "started"},
            ":run": {"S": job_run},
            ":now": {"S": dt.datetime.now(dt.UTC).isoformat()},
            ":validated": {"S": "validated"},
            ":stopped": {"S": "stopped"},
            ":failed": {"S": "failed"},
        }
        self._update(
            dataset,
            sha256,
            "SET #status = :started, job_run_id = :run, updated_at = :now REMOVE claimed_until",
            "attribute_exists(claimed_until) AND #status IN (:validated, :stopped, :failed)",
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

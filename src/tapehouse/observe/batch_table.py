"""What became of each batch, as an item of a DynamoDB table: of whoever asks by dataset and content.

The key is (`dataset`, `sha256`). Whoever saw the batch first may have made the item (a validator, with where and when
it landed): what is written here is added to it, and every item goes with its time to live.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tapehouse import aws
from tapehouse.errors import TapehouseError, UsageError
from tapehouse.observe.delivery import Delivery

SCHEME = "dynamodb://"
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
# A batch that was published once stays so, whatever becomes of a later run that was given it again.
_FINAL = "published"


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One batch: `source` is where it came from, `status` one of `published`, `stopped`, `failed`. What is None is left
    as it is in the table. `expires_at` is in seconds since 1970.
    """

    dataset: str
    sha256: str
    source: str
    bytes: int
    status: str
    updated_at: datetime
    expires_at: int | None = None
    rows: int | None = None
    rules: Mapping[str, int] | None = None
    run_id: str | None = None
    job_run_id: str | None = None
    outputs: Sequence[str] | None = None

    def update(self) -> dict[str, Any]:
        """Arguments of `UpdateItem`, but for the table."""
        values: dict[str, Any] = {
            "source": {"S": self.source},
            "bytes": {"N": str(self.bytes)},
            "status": {"S": self.status},
            "updated_at": {"S": self.updated_at.isoformat()},
        }
        optional = {
            "expires_at": _number(self.expires_at),
            "rows": _number(self.rows),
            "rules": None if self.rules is None else {"M": {code: _number(n) for code, n in self.rules.items()}},
            "run_id": _text(self.run_id),
            "job_run_id": _text(self.job_run_id),
            "outputs": None if self.outputs is None else {"L": [{"S": one} for one in self.outputs]},
        }
        values |= {name: value for name, value in optional.items() if value is not None}
        sets = [f"#{name} = :{name}" for name in values] + ["#landed_at = if_not_exists(#landed_at, :updated_at)"]
        request: dict[str, Any] = {
            "Key": {"dataset": {"S": self.dataset}, "sha256": {"S": self.sha256}},
            "UpdateExpression": f"SET {', '.join(sets)}",
            "ExpressionAttributeNames": {f"#{name}": name for name in (*values, "landed_at")},
            "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
        }
        if self.status != _FINAL:
            request["ConditionExpression"] = "attribute_not_exists(#status) OR #status <> :final"
            request["ExpressionAttributeValues"][":final"] = {"S": _FINAL}
        return request


@dataclass(frozen=True, slots=True)
class BatchTable:
    """A table to be told. `region` is boto3's own unless given."""

    name: str
    region: str = field(default="")

    @classmethod
    def of(cls, target: str) -> BatchTable:
        """For `dynamodb://TABLE`. Raises UsageError for anything else."""
        name = target.removeprefix(SCHEME)
        if not target.startswith(SCHEME) or not _TABLE.fullmatch(name):
            raise UsageError(f"lineage: {target!r} names no table", fix="write dynamodb://TABLE")
        return cls(name)

    def tell(self, items: Sequence[BatchItem]) -> Delivery:
        """Update every item; stops at the first that the table does not take. Never raises."""
        target, done = f"{SCHEME}{self.name}", 0
        try:
            client = aws.client("dynamodb", self.region, patient=False)
            for item in items:
                try:
                    client.update_item(TableName=self.name, **item.update())
                except Exception as error:
                    if aws.code_of(error) != "ConditionalCheckFailedException":
                        raise
                done += 1
        except TapehouseError as error:
            return Delivery(target, delivered=False, warning=f"{target}: {error.message}")
        except Exception as error:  # boto3 raises types of its own, and telling must not stop a run
            left = len(items) - done
            return Delivery(target, delivered=False, warning=f"{target}: {error} ({left} of {len(items)} batches)")
        return Delivery(target, delivered=True)


def _number(value: int | None) -> dict[str, str] | None:
    return None if value is None else {"N": str(value)}


def _text(value: str | None) -> dict[str, str] | None:
    return None if value is None else {"S": value}

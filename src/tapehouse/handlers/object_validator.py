"""Lambda function on the queue of landed objects: each content is judged at its head and given to one job run.

Messages are events of created objects. A content that has a job run already is done; the others of one dataset are
given to one run together, and each whose run failed or died to a run of its own. A version that is no longer its key's
latest is copied to a key of its own, whose event brings it here again: the job reads keys. What fails is reported by
message, so that only that comes again: a run that could not be started because the job has all it may have, an object
that cannot be read. The latter goes to the dead-letter queue in the end, with its reason in the log.

Calls: s3:ListBucket on the raw bucket, s3:GetObject, GetObjectVersion, PutObject and AbortMultipartUpload on landing/*,
s3:PutObject on manifests/*; dynamodb:GetItem, PutItem and UpdateItem on the lineage table; glue:StartJobRun on the job;
sns:Publish on the topic of alerts; kms:Decrypt and kms:GenerateDataKey on the data key by way of these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tapehouse.errors import FeedError, TapehouseError
from tapehouse.handlers.arrivals import Arrival, Examined, Examiner, GoneError, arrivals_of, unreadable
from tapehouse.handlers.judging import Dataset, Datasets
from tapehouse.handlers.lineage import Landed, Lineage, State
from tapehouse.handlers.starting import Identity, Starter, Taken
from tapehouse.handlers.superseded import Versions
from tapehouse.handlers.surroundings import Surroundings, client, error_code, log
from tapehouse.handlers.telling import Telling

# Left for what follows the reading of objects: two writes to the lineage table for each of a thousand.
RESERVE_SECONDS = 45


class ObjectValidator:
    """Processes messages of the queue."""

    def __init__(self, here: Surroundings, s3: Any, dynamodb: Any, sns: Any, glue: Any) -> None:
        self._datasets = Datasets(here.contracts, here.references)
        self._examiner, self._versions = Examiner(s3), Versions(s3)
        self._lineage = Lineage(dynamodb, here.lineage_table, here.started_seconds)
        self._telling = Telling(here, sns)
        self._starter = Starter(here, s3, glue, self._datasets, self._lineage, self._telling)

    def warm(self) -> None:
        """Load and compile every contract that can be judged here."""
        for name in self._datasets.names:
            self._judged_here(name)

    def process(self, messages: Mapping[str, str], seconds_left: Callable[[], float] = lambda: 600.0) -> list[str]:
        """Process message bodies by id; returns the ids of those that must come again."""
        failed: dict[str, None] = {}
        waiting: dict[Identity, Taken] = {}
        asked: dict[Identity, list[str]] = {}
        for number, body in messages.items():
            try:
                if seconds_left() <= RESERVE_SECONDS:
                    raise TimeoutError("no time left in this invocation")
                for arrival in arrivals_of(body):
                    taken = self._take(arrival, lambda: seconds_left() - RESERVE_SECONDS)
                    if taken is not None:
                        waiting.setdefault(taken.identity, taken)
                        asked.setdefault(taken.identity, []).append(number)
            except Exception as error:
                failed[number] = None
                _log_failure(number, error)
        for identity in self._starter.start(list(waiting.values())):
            failed |= dict.fromkeys(asked[identity])
        return list(failed)

    def _take(self, arrival: Arrival, seconds_left: Callable[[], float]) -> Taken | None:
        """Examine an object; what is to be given to a run."""
        name = arrival.dataset
        dataset = self._judged_here(name)
        try:
            there = self._versions.latest(arrival)
            if there is None:
                log("superseded", dataset=name, place=arrival.place, version=arrival.version)
                return None
            found = self._examiner.examine(there, dataset, seconds_left)
        except GoneError:
            log("gone", dataset=name, place=arrival.place)
            return None
        landed = self._landed(name, there, found)
        if self._lineage.add(landed):
            self._tell(name, dataset, there, found)
        state = self._lineage.state(name, found.sha256)
        if state is State.DONE:
            log("known", dataset=name, place=there.place, sha256=found.sha256)
            return None
        return Taken(name, found.sha256, there, alone=state is State.AGAIN)

    def _landed(self, name: str, arrival: Arrival, found: Examined) -> Landed:
        findings = found.findings
        return Landed(
            name,
            found.sha256,
            arrival.place,
            found.size,
            rows=None if findings is None or found.part else findings.rows,
            rules={} if findings is None else findings.rules,
            source_version=arrival.version,
            keep_days=self._datasets.contract(name).retention.lineage_days,
        )

    def _tell(self, name: str, dataset: Dataset | None, arrival: Arrival, found: Examined) -> None:
        if found.findings is not None and dataset is not None:
            self._telling.count(name, {"BytesIn": found.size})
            self._telling.judged(dataset, found.findings, arrival.place, part=found.part)
        log("examined", dataset=name, place=arrival.place, sha256=found.sha256, bytes=found.size, part=found.part,
            rules={} if found.findings is None else dict(found.findings.rules))  # fmt: skip

    def _judged_here(self, name: str) -> Dataset | None:
        """The dataset, or None where its format needs packages that the function does not have. Raises UsageError for
        one that is unknown.
        """
        try:
            return self._datasets.get(name)
        except ImportError as error:
            log("not judged", dataset=name, reason=str(error))
            return None


def _log_failure(number: str, error: Exception) -> None:
    told = str(error) if isinstance(error, TapehouseError | TimeoutError) else error_code(error)
    path = error.path if isinstance(error, FeedError) else ""
    log("failed", message=number, poison=unreadable(error), reason=told, path=path)


_validator: ObjectValidator | None = None


def validator() -> ObjectValidator:
    """The process's validator."""
    global _validator
    if _validator is None:
        clients = (client(name) for name in ("s3", "dynamodb", "sns", "glue"))
        _validator = ObjectValidator(Surroundings.read(), *clients)
        _validator.warm()
    return _validator


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Entry point."""
    messages = {record["messageId"]: record["body"] for record in event["Records"]}
    failed = validator().process(messages, lambda: context.get_remaining_time_in_millis() / 1000)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
    validator()  # while the sandbox starts, with a whole processor, and not in the first invocation

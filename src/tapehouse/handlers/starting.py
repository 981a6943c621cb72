"""Runs of the job for contents that have landed: one for all fresh ones of a dataset, one for each that comes again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tapehouse.handlers.arrivals import Arrival
from tapehouse.handlers.judging import Datasets
from tapehouse.handlers.lineage import Lineage
from tapehouse.handlers.surroundings import Surroundings, error_code, log
from tapehouse.handlers.telling import Telling

# Longer than an invocation: a claim must not end while its owner may still start a run.
CLAIM_SECONDS = 900
# More than so many are listed in a file: a run's arguments are limited, and shown to people.
ARGUMENTS_MAX = 10
MANIFESTS = "manifests/"
# What the service says when a run could start later.
_LATER = ("ConcurrentRunsExceededException", "ResourceNumberLimitExceededException", "ThrottlingException")

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """A content to be given to a run, and where it lies; `alone` where a run of it did not do its work: a bad file must
    not hold back its neighbours.
    """

    dataset: str
    sha256: str
    arrival: Arrival
    alone: bool = False

    @property
    def identity(self) -> Identity:
        """Key of the content's item."""
        return self.dataset, self.sha256


class _Answer(Enum):
    STARTED = 1
    LATER = 2
    REFUSED = 3


class Starter:
    """Starts runs."""

    def __init__(
        self, here: Surroundings, s3: Any, glue: Any, datasets: Datasets, lineage: Lineage, telling: Telling
    ) -> None:
        self._here, self._s3, self._glue = here, s3, glue
        self._datasets, self._lineage, self._telling = datasets, lineage, telling

    def start(self, waiting: Sequence[Taken]) -> list[Identity]:
        """Start what they need; returns what must be asked for again."""
        again: list[Identity] = []
        full = False
        for group in _groups(waiting):
            if full:
                # The job has all its runs: another question would have the same answer.
                again += [one.identity for one in group]
                continue
            claimed = self._claimed(group, again)
            answer = self._run(claimed) if claimed else _Answer.STARTED
            full = answer is _Answer.LATER
            if answer is not _Answer.STARTED:
                again += [one.identity for one in claimed]
        return again

    def _claimed(self, group: Sequence[Taken], again: list[Identity]) -> list[Taken]:
        """Those that nobody else has in hand."""
        claimed = []
        for one in group:
            if self._lineage.claim(*one.identity, CLAIM_SECONDS):
                claimed.append(one)
            elif not self._lineage.is_done(*one.identity):
                log("claimed by another", dataset=one.dataset, place=one.arrival.place)
                again.append(one.identity)
        return claimed

    def _run(self, claimed: Sequence[Taken]) -> _Answer:
        name = claimed[0].dataset
        try:
            arguments = self._arguments(name, [one.arrival.place for one in claimed])
            answer = self._glue.start_job_run(JobName=self._here.glue_job, Arguments=arguments)
        except Exception as error:
            for one in claimed:
                self._lineage.release(*one.identity)
            later = error_code(error) in _LATER
            log("not started", dataset=name, later=later, reason=error_code(error), objects=len(claimed))
            return _Answer.LATER if later else _Answer.REFUSED
        for one in claimed:
            self._lineage.started(*one.identity, answer["JobRunId"])
        self._telling.count(name, {"ObjectsLanded": len(claimed)})
        log("started", dataset=name, job_run=answer["JobRunId"], objects=[one.arrival.place for one in claimed])
        return _Answer.STARTED

    def _arguments(self, name: str, places: Sequence[str]) -> dict[str, str]:
        release = self._here.release
        given = ",".join(places) if len(places) <= ARGUMENTS_MAX else f"@{self._manifest(name, places)}"
        # One that was deleted since its event came is no reason to fail the others.
        found = {"--contract": f"{release}/contracts/{name}.yaml", "--input": given, "--absent": "skip"}
        files = self._datasets.references(name)
        if files:
            tables = (f"{table}={release}/references/{name}/{path.name}" for table, path in files.items())
            found["--reference"] = ",".join(tables)
        return found

    def _manifest(self, name: str, places: Sequence[str]) -> str:
        """Address of a file that lists the places, one a line."""
        body = "".join(f"{place}\n" for place in places).encode()
        key = f"{MANIFESTS}{name}/{hashlib.sha256(body).hexdigest()}.txt"
        self._s3.put_object(Bucket=self._here.raw_bucket, Key=key, Body=body, ContentType="text/plain")
        return f"s3://{self._here.raw_bucket}/{key}"


def _groups(waiting: Sequence[Taken]) -> Iterator[list[Taken]]:
    """What goes into one run; fresh contents first."""
    for name in dict.fromkeys(one.dataset for one in waiting):
        fresh = [one for one in waiting if one.dataset == name and not one.alone]
        if fresh:
            yield fresh
    yield from ([one] for one in waiting if one.alone)

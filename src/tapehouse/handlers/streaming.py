"""What becomes of the records of a stream, wherever they come from: the event source, or a dead letter."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tapehouse.errors import UsageError
from tapehouse.handlers.judging import Dataset, Datasets, Findings
from tapehouse.handlers.landing import Conflict, Landing, Put
from tapehouse.handlers.lineage import Landed, Lineage
from tapehouse.handlers.records import FORMATS, PoisonError, Position, Record, header_of, lines_of
from tapehouse.handlers.surroundings import Surroundings, log
from tapehouse.handlers.telling import Telling

# Attempts to land a run that others are landing too.
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Delivered:
    """A record as it was put: `payload` is not decoded yet."""

    at: Position
    arrived: dt.datetime
    payload: bytes


@dataclass(slots=True)
class Outcome:
    """What became of some records: how many were landed now, how many had been before, and which are poison, with the
    reason.
    """

    landed: int = 0
    earlier: int = 0
    objects: int = 0
    poison: dict[Position, str] = field(default_factory=dict)


class _Stream:
    """What lands the records of one dataset."""

    def __init__(self, dataset: Dataset, landing: Landing) -> None:
        self.dataset, self.landing = dataset, landing
        self.header = header_of(dataset.contract)


class StreamValidator:
    """Processes records of the streams that the surroundings name."""

    def __init__(self, here: Surroundings, s3: Any, dynamodb: Any, sns: Any) -> None:
        self._here, self._s3 = here, s3
        self._datasets = Datasets(here.contracts, here.references)
        self._lineage = Lineage(dynamodb, here.lineage_table)
        self._telling = Telling(here, sns)
        self._streams: dict[str, _Stream] = {}

    def warm(self) -> None:
        """Compile the rules of every streamed dataset, and import what judging imports."""
        for name in self._here.streams:
            stream = self._of(name)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "warm")
                path.write_bytes(stream.header or b"\n")
                stream.dataset.judge(path, "warm")

    def process(self, delivered: Sequence[Delivered]) -> Outcome:
        """Land the good records, in order within each shard. What fails on the way is raised: nothing is lost or landed
        twice when the same records come again.
        """
        outcome = Outcome()
        shards: dict[tuple[str, str], list[Delivered]] = {}
        for one in delivered:
            shards.setdefault((one.at.stream, one.at.shard), []).append(one)
        for (stream, _), records in shards.items():
            self._process_shard(self._of(stream), records, outcome)
        return outcome

    def _process_shard(self, stream: _Stream, delivered: Iterable[Delivered], outcome: Outcome) -> None:
        records: list[Record | None] = []
        poison: dict[Position, str] = {}
        for one in delivered:
            try:
                records.append(Record(one.at, one.arrived, lines_of(one.payload, stream.dataset.contract.feed)))
            except PoisonError as error:
                records.append(None)
                poison[one.at] = error.reason
        for run in stream.landing.runs(records):
            self._land(stream, run, outcome)
        name = stream.dataset.name
        for at, reason in poison.items():
            log("poison", dataset=name, stream=at.stream, shard=at.shard, sequence=at.sequence, reason=reason)
        if poison:
            self._telling.count(name, {"PoisonRecords": len(poison)})
        outcome.poison |= poison

    def _land(self, stream: _Stream, run: Sequence[Record], outcome: Outcome) -> None:
        before = outcome.landed
        for _ in range(_ROUNDS):
            try:
                for part in stream.landing.missing(run):
                    made = stream.landing.prepare(part, stream.header)
                    findings = self._judge(stream.dataset, made)
                    stream.landing.put(made)
                    outcome.landed += len(part)
                    outcome.objects += 1
                    self._tell(stream.dataset, made, findings)
            except Conflict as taken:
                log("taken", key=str(taken))
                continue
            outcome.earlier += len(run) - (outcome.landed - before)
            return
        raise RuntimeError(f"{run[0].at.shard}: others keep landing the records from {run[0].at.sequence}")

    def _judge(self, dataset: Dataset, made: Put) -> Findings:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"landed.{FORMATS[dataset.contract.feed.format]}")
            path.write_bytes(made.body)
            findings = dataset.judge(path, self._place(made.key))
        made.metadata["rows"] = str(findings.rows)
        made.metadata["rejected"] = str(findings.rejected)
        return findings

    def _tell(self, dataset: Dataset, made: Put, findings: Findings) -> None:
        place = self._place(made.key)
        self._lineage.add(
            Landed(
                dataset.name,
                made.metadata["sha256"],
                place,
                len(made.body),
                rows=findings.rows,
                rules=findings.rules,
                keep_days=dataset.contract.retention.lineage_days,
            )
        )
        self._telling.count(dataset.name, {"BytesIn": len(made.body)})
        self._telling.judged(dataset, findings, place)
        log("landed", dataset=dataset.name, place=place, records=len(made.records), rows=findings.rows,
            rejected=findings.rejected, rules=dict(findings.rules))  # fmt: skip

    def _place(self, key: str) -> str:
        return f"s3://{self._here.raw_bucket}/{key}"

    def _of(self, name: str) -> _Stream:
        if name not in self._streams:
            if name not in self._here.streams:
                known = ", ".join(sorted(self._here.streams)) or "none"
                raise UsageError(f"stream {name!r} is of no dataset", fix=f"TAPEHOUSE_STREAMS knows {known}")
            dataset = self._datasets.get(self._here.streams[name])
            suffix = FORMATS.get(dataset.contract.feed.format, "")
            landing = Landing(self._s3, self._here.raw_bucket, dataset.name, suffix, self._here.lanes)
            self._streams[name] = _Stream(dataset, landing)
        return self._streams[name]

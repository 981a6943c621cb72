"""What the volumes in the settings take: shards, concurrency, workers. Pure arithmetic, checked against quotas."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapehouse.cloud.capacity import quotas
from tapehouse.cloud.capacity.objects import RUN_OBJECTS, arriving
from tapehouse.cloud.settings import Settings
from tapehouse.errors import UsageError
from tapehouse.sizing.model import SECONDS_PER_DAY, Line, parse_volume

SHARD_BYTES_PER_SECOND = 1_000_000
SHARD_RECORDS_PER_SECOND = 1_000
# What one core of Spark judges and writes: two thirds of what `tapehouse size` measures on generated trades (30 MB/s),
# because a Glue worker's core is half a physical one.
CORE_BYTES_PER_SECOND = 20_000_000
UTILISATION = 0.7
WORKER_CORES = {"G.1X": 4, "G.2X": 8, "G.4X": 16, "G.8X": 32}
WORKER_DPUS = {"G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8}
WORKERS_OUTSIDE_PRODUCTION = 2
WORKERS_MIN_IN_PRODUCTION = 4
# An invocation gives up to RUN_OBJECTS objects to one run. More invocations at once would only make runs of fewer
# objects; whether the runs keep up is a matter of job.concurrent_runs, and `warnings` says when they do not.
OBJECT_CONCURRENCY = 5
# Of custom resources (5), redrives and shard scaling (1 each).
OTHER_CONCURRENCY = 7


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """One dataset's stream. Rates in bytes a second; `shards` is None for an on-demand stream, which has its own."""

    dataset: str
    mean_bytes_per_second: float
    peak_bytes_per_second: float
    shards: int | None
    concurrency: int
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Plan:
    """All of a deployment. `concurrency` is what the stream validator reserves, `workers` the job's upper bound;
    `warnings` say what will not keep up, and the setting to raise.
    """

    datasets: Sequence[DatasetPlan]
    shards: int
    concurrency: int
    object_concurrency: int
    workers: int
    lines: Sequence[Line]
    warnings: tuple[str, ...] = ()

    def dataset(self, name: str) -> DatasetPlan:
        """The plan of that dataset; KeyError if there is none."""
        for one in self.datasets:
            if one.dataset == name:
                return one
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "shards": self.shards,
            "concurrency": self.concurrency,
            "object_concurrency": self.object_concurrency,
            "workers": self.workers,
            "warnings": list(self.warnings),
            "lines": [line.as_dict() for line in self.lines],
            "datasets": {one.dataset: [line.as_dict() for line in one.lines] for one in self.datasets},
        }


def plan(settings: Settings, datasets: Sequence[str], *, streamed: Collection[str]) -> Plan:
    """What those datasets take; QuotaError names the quota that a part of it would exceed.

    Those not `streamed` arrive as files: for them there are neither shards nor a stream validator.
    """
    _check_names(settings, datasets)
    parts = [_dataset(settings, name, streamed=name in streamed) for name in datasets]
    shards = sum(part.shards or 0 for part in parts)
    concurrency = sum(part.concurrency for part in parts)
    mean = sum(part.mean_bytes_per_second for part in parts)
    peak = sum(part.peak_bytes_per_second for part in parts)
    workers, worker_lines = _workers(settings, peak)
    object_lines, warnings = arriving(settings, [(part.mean_bytes_per_second, part.concurrency) for part in parts])
    lines = (
        Line("volume", mean * SECONDS_PER_DAY / 1e12, "TB/day", "sum of the datasets'"),
        Line("peak input", peak / 1e6, "MB/s", f"volume / 86400 s x peak factor {settings.stream.peak_factor:g}"),
        *_stream_lines(bool(streamed), shards, concurrency),
        Line("concurrency of the object validator", OBJECT_CONCURRENCY, "executions",
             f"fixed: each gives up to {RUN_OBJECTS:,} objects to one run"),
        *object_lines,
        *worker_lines,
    )  # fmt: skip
    if settings.stream.mode == "provisioned":
        quotas.shards(settings).require(shards, "the streams' peak")
    quotas.concurrency(settings).require(
        concurrency + OBJECT_CONCURRENCY + OTHER_CONCURRENCY, "shards x parallelization, and the other functions,"
    )
    quotas.workers(settings).require(
        workers * WORKER_DPUS[settings.job.worker_type] * settings.job.concurrent_runs,
        f"{settings.job.concurrent_runs} concurrent runs of {workers} {settings.job.worker_type} workers",
    )
    return Plan(parts, shards, concurrency, OBJECT_CONCURRENCY, workers, lines, warnings)


def _stream_lines(streamed: bool, shards: int, concurrency: int) -> Iterator[Line]:
    if streamed:
        yield Line("shards", shards, "", "sum of the datasets'")
        yield Line("concurrency of the stream validator", concurrency, "executions", "sum of the datasets'")


def _dataset(settings: Settings, name: str, *, streamed: bool) -> DatasetPlan:
    stream = settings.stream
    mean = parse_volume(stream.volumes.get(name, stream.volume)) / SECONDS_PER_DAY
    peak = mean * stream.peak_factor
    rates = (
        Line("mean input", mean / 1e6, "MB/s", "volume / 86400 s"),
        Line("peak input", peak / 1e6, "MB/s", f"mean input x peak factor {stream.peak_factor:g}"),
    )
    if not streamed:
        return DatasetPlan(name, mean, peak, None, 0, rates)
    records = peak / stream.record_bytes
    shards = max(1, math.ceil(peak / SHARD_BYTES_PER_SECOND), math.ceil(records / SHARD_RECORDS_PER_SECOND))
    concurrency = shards * stream.parallelization
    if stream.mode == "on_demand":
        quotas.on_demand_write(settings).require(peak / 1e6, f"the peak of {name}")
        shard_line = Line("shards", shards, "", "on demand: about this many at the peak, chosen by the service")
    else:
        shard_line = Line(
            "shards", shards, "", "greater of peak input / 1 MB/s and peak records / 1,000 records/s, rounded up"
        )
    lines = (
        *rates,
        Line("peak records", records, "records/s", f"peak input / {stream.record_bytes:,} bytes a record"),
        shard_line,
        Line("concurrency", concurrency, "executions", f"{shards:,} shards x parallelization {stream.parallelization}"),
    )
    return DatasetPlan(name, mean, peak, None if stream.mode == "on_demand" else shards, concurrency, lines)


def _workers(settings: Settings, peak_bytes_per_second: float) -> tuple[int, tuple[Line, ...]]:
    cores = WORKER_CORES[settings.job.worker_type]
    per_worker = cores * CORE_BYTES_PER_SECOND * UTILISATION
    needed = math.ceil(peak_bytes_per_second / per_worker) + 1  # one is the driver
    formula = (
        f"peak input / ({cores} cores x {CORE_BYTES_PER_SECOND / 1e6:g} MB/s x utilisation {UTILISATION:g}) "
        "+ 1 for the driver"
    )
    if settings.job.workers_max is not None:
        chosen, why = settings.job.workers_max, "set by job.workers_max"
    elif settings.production:
        chosen, why = max(WORKERS_MIN_IN_PRODUCTION, needed), f"workers at peak, at least {WORKERS_MIN_IN_PRODUCTION}"
    else:
        chosen, why = WORKERS_OUTSIDE_PRODUCTION, f"fixed outside prod (prod would take {needed})"
    return chosen, (
        Line("workers at peak", needed, settings.job.worker_type, formula),
        Line("workers at most", chosen, settings.job.worker_type, why),
    )


def _check_names(settings: Settings, datasets: Sequence[str]) -> None:
    unknown = sorted(set(_volumes(settings)) - set(datasets))
    if unknown:
        raise UsageError(
            f"stream.volumes names {', '.join(unknown)}, and no contract is that dataset",
            fix=f"datasets are {', '.join(datasets)}",
        )


def _volumes(settings: Settings) -> Mapping[str, str]:
    return settings.stream.volumes

"""What a deployment costs a month at its mean volume, item by item, with the arithmetic.

An estimate to decide by, from list prices: the bill depends on discounts, the region and what is queried. The first
month's storage is the least: it grows by `lake growth` until retention and colder classes level it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tapehouse.cloud.capacity.plan import (
    CORE_BYTES_PER_SECOND,
    UTILISATION,
    WORKER_CORES,
    WORKER_DPUS,
    DatasetPlan,
    Plan,
)
from tapehouse.cloud.endpoint_services import MARKET_STREAM, SERVERLESS_LAKE
from tapehouse.cloud.settings import Settings

HOURS = 730
DAYS = HOURS / 24
SECONDS = HOURS * 3600
# Lambda, assumed: a core judges a batch of 5 MB in 0.1 s, or 0.4 s the first time; decoding and landing take the rest.
VALIDATOR_MEMORY_GB = 2.0
VALIDATOR_BYTES_PER_SECOND = 10e6
# Bytes that the lake grows by for a byte of input, all tables: what `tapehouse size` measures on generated trades.
LAKE_BYTES_PER_BYTE = 0.40
METRICS_PER_DATASET = 15
ALARMS_PER_DATASET = 10
KEYS = 2
DASHBOARDS = 2


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the bill: dollars a month, and how they come about."""

    service: str
    name: str
    dollars: float
    formula: str

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"service": self.service, "name": self.name, "dollars": round(self.dollars, 2), "formula": self.formula}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A month's bill."""

    items: tuple[Item, ...]

    @property
    def dollars(self) -> float:
        """All of it."""
        return sum(item.dollars for item in self.items)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "dollars_a_month": round(self.dollars, 2),
            "region_of_prices": "us-east-1",
            "items": [item.as_dict() for item in self.items],
        }


def estimate(settings: Settings, plan: Plan) -> Estimate:
    """The bill of a deployment with that plan, at its mean volume around the clock."""
    items: list[Item] = []
    streams = [dataset for dataset in plan.datasets if dataset.concurrency]
    for dataset in streams:
        items += _stream(settings, dataset)
    if streams:
        items += _validator(streams)
    items += _job(settings, plan)
    items += _storage(plan)
    items += _network(settings, MARKET_STREAM if streams else SERVERLESS_LAKE)
    items += _watching(plan)
    return Estimate(tuple(items))


def _stream(settings: Settings, dataset: DatasetPlan) -> Iterator[Item]:
    gigabytes = dataset.mean_bytes_per_second * SECONDS / 1e9
    name = dataset.dataset
    if dataset.shards is None:
        yield _item("Kinesis", f"{name}: stream", "kinesis.on_demand_hour", HOURS, f"{HOURS} h")
        yield _item("Kinesis", f"{name}: written", "kinesis.on_demand_in_gb", gigabytes, f"{gigabytes:,.0f} GB")
        yield _item("Kinesis", f"{name}: fan-out", "kinesis.on_demand_fan_out_gb", gigabytes, f"{gigabytes:,.0f} GB")
        kept = dataset.mean_bytes_per_second * settings.stream.retention_hours * 3600 / 1e9
        yield _item("Kinesis", f"{name}: kept", "kinesis.on_demand_extended_gb", kept, f"{kept:,.0f} GB at any time")
        return
    hours = dataset.shards * HOURS
    shown = f"{dataset.shards:,} shards x {HOURS} h"
    record = settings.stream.record_bytes
    units = dataset.mean_bytes_per_second / record * -(-record // 25_000) * SECONDS / 1e6
    yield _item("Kinesis", f"{name}: shards", "kinesis.shard_hour", hours, shown)
    if settings.stream.retention_hours > 24:
        yield _item("Kinesis", f"{name}: kept", "kinesis.extended_shard_hour", hours, shown)
    yield _item("Kinesis", f"{name}: written", "kinesis.put_units", units, f"{units:,.1f} million payload units")
    yield _item("Kinesis", f"{name}: fan-out", "kinesis.fan_out_shard_hour", hours, f"{shown} x 1 consumer")
    yield _item("Kinesis", f"{name}: fan-out", "kinesis.fan_out_gb", gigabytes, f"{gigabytes:,.0f} GB")


def _validator(streams: Sequence[DatasetPlan]) -> Iterator[Item]:
    mean = sum(dataset.mean_bytes_per_second for dataset in streams)
    seconds = mean * SECONDS / VALIDATOR_BYTES_PER_SECOND * VALIDATOR_MEMORY_GB
    shown = f"mean input / {VALIDATOR_BYTES_PER_SECOND / 1e6:g} MB/s x {VALIDATOR_MEMORY_GB:g} GB x a month"
    yield _item("Lambda", "stream validator", "lambda.gb_second", seconds, shown)
    batches = max(mean / 6e6, len(streams) / 5) * SECONDS / 1e6
    yield _item("Lambda", "invocations", "lambda.requests", batches, f"{batches:,.1f} million batches")
    yield _item("S3", "landed objects", "s3.puts", batches * 2, "a PUT and a COPY for each batch")


def _job(settings: Settings, plan: Plan) -> Iterator[Item]:
    mean = sum(dataset.mean_bytes_per_second for dataset in plan.datasets)
    speed = CORE_BYTES_PER_SECOND * UTILISATION * WORKER_CORES[settings.job.worker_type]
    busy = mean / speed + 1
    hours = busy * WORKER_DPUS[settings.job.worker_type] * HOURS
    shown = f"(mean input / {speed / 1e6:g} MB/s a worker + 1 driver) x {HOURS} h, were runs never to pause"
    yield _item("Glue", "job", "glue.dpu_hour", hours, shown)


def _storage(plan: Plan) -> Iterator[Item]:
    month = sum(dataset.mean_bytes_per_second for dataset in plan.datasets) * SECONDS / 1e9
    yield _item(
        "S3", "raw bytes of a month", "s3.standard_gb", month / 2, f"{month:,.0f} GB at its end, half on average"
    )
    lake = month * LAKE_BYTES_PER_BYTE
    yield _item("S3", "lake of a month", "s3.standard_gb", lake / 2, f"raw x {LAKE_BYTES_PER_BYTE}, half on average")


def _network(settings: Settings, services: Sequence[str]) -> Iterator[Item]:
    network = settings.network
    zones = network.zones if network.create else len(network.private_subnet_ids)
    if network.create:
        gateways = zones if settings.production else 1
        yield _item("VPC", "NAT gateways", "vpc.nat_hour", gateways * HOURS, f"{gateways} x {HOURS} h, without traffic")
    interfaces = len(set(services) - set(network.present_endpoints))
    yield _item("VPC", "interface endpoints", "vpc.endpoint_hour", interfaces * zones * HOURS,
                f"{interfaces} x {zones} zones x {HOURS} h")  # fmt: skip


def _watching(plan: Plan) -> Iterator[Item]:
    count = len(plan.datasets)
    metrics, alarms = METRICS_PER_DATASET * count + 10, ALARMS_PER_DATASET * count + 15
    yield _item("CloudWatch", "metrics", "cloudwatch.metric_month", metrics, f"about {metrics}")
    yield _item("CloudWatch", "alarms", "cloudwatch.alarm_month", alarms, f"about {alarms}")
    yield _item("CloudWatch", "dashboards", "cloudwatch.dashboard_month", DASHBOARDS, f"{DASHBOARDS}")
    yield _item("KMS", "keys", "kms.key_month", KEYS, f"{KEYS}")


def _item(service: str, name: str, price: str, quantity: float, shown: str) -> Item:
    entry = prices()[price]
    return Item(service, name, quantity * entry["price"], f"{shown} x ${entry['price']:g} a {entry['unit']}")


@cache
def prices() -> dict[str, dict[str, Any]]:
    """Price and unit by item."""
    text = files("tapehouse.cloud.capacity").joinpath("prices.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return found

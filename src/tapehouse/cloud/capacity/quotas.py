"""Service quotas that a deployment may run into, by the names that Service Quotas gives them."""

from __future__ import annotations

from dataclasses import dataclass

from tapehouse.cloud.settings import Settings
from tapehouse.errors import UsageError

# Regions whose default is 20,000 shards; elsewhere it is 1,000 or 6,000, and the lower is safe to assume.
_LARGE_REGIONS = frozenset({"us-east-1", "us-west-2", "eu-west-1"})
# Lambda refuses to reserve the last of an account's concurrency.
UNRESERVED = 100


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of the account in its region. `setting` is where a raised one is told."""

    service: str
    name: str
    value: float
    unit: str
    setting: str = ""

    def require(self, needed: float, why: str) -> None:
        """QuotaError when `needed` is above it."""
        if needed > self.value:
            raise QuotaError(self, needed, why)


class QuotaError(UsageError):
    """A deployment that its account would refuse, or throttle at its peak."""

    def __init__(self, quota: Quota, needed: float, why: str) -> None:
        raised = f", then say so in `{quota.setting}`" if quota.setting else ""
        super().__init__(
            f"{why} needs {needed:,.0f} {quota.unit}, above the quota {quota.service}: {quota.name} of "
            f"{quota.value:,.0f}",
            fix=f"have that quota raised for the account{raised}; or lower the volume or its peak factor",
        )
        self.quota = quota
        self.needed = needed


def shards(settings: Settings) -> Quota:
    """Of provisioned streams."""
    default = 20_000 if settings.region in _LARGE_REGIONS else 1_000
    value = settings.quotas.kinesis_shards or default
    return Quota("Kinesis Data Streams", "Shards per Region", value, "shards", "quotas.kinesis_shards")


def on_demand_write(settings: Settings) -> Quota:
    """Of one on-demand stream."""
    value = 10_000 if settings.region in _LARGE_REGIONS else 200
    return Quota("Kinesis Data Streams", "On-demand write throughput of a stream", value, "MB/s")


def concurrency(settings: Settings) -> Quota:
    """What functions may reserve together."""
    value = (settings.quotas.lambda_concurrency or 1_000) - UNRESERVED
    return Quota(
        "Lambda", f"Concurrent executions (less {UNRESERVED} that cannot be reserved)", value, "executions",
        "quotas.lambda_concurrency",
    )  # fmt: skip


def workers(settings: Settings) -> Quota:
    """Of Glue jobs together, in DPUs."""
    value = settings.quotas.glue_workers or 1_000
    return Quota("Glue", "Max task DPUs per account", value, "DPUs", "quotas.glue_workers")

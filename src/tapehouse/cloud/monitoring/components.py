"""What a deployment consists of, as monitoring sees it: names, and the sizes that bounds are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapehouse.cloud.datasets import Dataset
from tapehouse.cloud.monitoring.metrics import Metrics
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Settings


@dataclass(frozen=True, slots=True)
class Function:
    """`reserved` is None where the function takes from what the account has left."""

    purpose: str
    timeout_seconds: int
    reserved: int | None
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """`dead` queues should be empty; of the others `oldest_seconds` is how long a message may wait."""

    purpose: str
    dead: bool
    oldest_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """A dataset, its rates in bytes a second, and where it has one its stream with the registered consumer: names for
    `Fn::Sub`, empty without.
    """

    dataset: Dataset
    mean_bytes_per_second: float
    peak_bytes_per_second: float
    stream: str = ""
    consumer: str = ""


@dataclass(frozen=True, slots=True)
class Components:
    """All of a deployment, by the names that it gives its parts. `job_seconds` is the timeout of a run,
    `gateways` the number of NAT gateways, whose alarms are in their own stack.
    """

    settings: Settings
    naming: Naming
    datasets: Sequence[Watched]
    functions: Sequence[Function]
    queues: Sequence[Queue]
    rules: Sequence[str]
    buckets: Sequence[str]
    table: str
    topic: str
    job: str
    job_seconds: int
    workgroup: str
    gateways: int = 0

    @property
    def metrics(self) -> Metrics:
        """Of this deployment."""
        return Metrics(self.settings.label, self.naming.service)

    @property
    def topic_arn(self) -> str:
        """ARN of the alert topic, for `Fn::Sub`."""
        return f"arn:${{AWS::Partition}}:sns:${{AWS::Region}}:${{AWS::AccountId}}:{self.topic}"

    def function(self, one: Function) -> str:
        """The function's name."""
        return self.naming.text(one.purpose)

    def queue(self, one: Queue) -> str:
        """The queue's name."""
        return self.naming.text(one.purpose, limit=80)

"""Metrics by what they measure: namespaces, dimensions and statistics are written here and nowhere else.

Names within are texts for `Fn::Sub`, for they hold the region as a pseudo parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

NAMESPACE = "Tapehouse"
PERIOD_SECONDS = 300
HOUR_SECONDS = 3_600
DAY_SECONDS = 86_400
# Id of the configuration by which S3 counts the requests to a bucket, and value of its dimension.
REQUESTS = "requests"


@dataclass(frozen=True, slots=True)
class Metric:
    """One series. `statistic` and `seconds` (of a period) say how it is drawn together."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str = "Sum"
    seconds: int = PERIOD_SECONDS
    label: str = ""

    def every(self, seconds: int) -> Metric:
        """The same with that period."""
        return replace(self, seconds=seconds)

    def labelled(self, label: str) -> Metric:
        """The same with that name in graphs."""
        return replace(self, label=label)


@dataclass(frozen=True, slots=True)
class Formula:
    """Metric math: `expression` over the `inputs` by id, and over `steps`, which are expressions by id themselves."""

    expression: str
    inputs: Mapping[str, Metric]
    label: str
    steps: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> int:
        """The period of its inputs."""
        return next(iter(self.inputs.values())).seconds


@dataclass(frozen=True, slots=True)
class Metrics:
    """Makes them. `environment` and `pipeline` are dimensions of all that are our own."""

    environment: str
    pipeline: str

    def own(self, name: str, dataset: str, statistic: str = "Sum") -> Metric:
        """One of Tapehouse's, of a dataset."""
        dimensions = (("Dataset", dataset), ("Environment", self.environment), ("Pipeline", self.pipeline))
        return Metric(NAMESPACE, name, dimensions, statistic)

    def stream(self, name: str, stream: str, statistic: str = "Sum") -> Metric:
        """Of a stream."""
        return Metric("AWS/Kinesis", name, (("StreamName", stream),), statistic)

    def consumer(self, name: str, stream: str, consumer: str, statistic: str = "Maximum") -> Metric:
        """Of a registered consumer of a stream."""
        return Metric("AWS/Kinesis", name, (("ConsumerName", consumer), ("StreamName", stream)), statistic)

    def function(self, name: str, function: str, statistic: str = "Sum") -> Metric:
        """Of a function."""
        return Metric("AWS/Lambda", name, (("FunctionName", function),), statistic)

    def queue(self, name: str, queue: str, statistic: str = "Maximum") -> Metric:
        """Of a queue."""
        return Metric("AWS/SQS", name, (("QueueName", queue),), statistic)

    def table(self, name: str, table: str, *, operation: str = "") -> Metric:
        """Of a DynamoDB table, or of one operation on it."""
        operations = (("Operation", operation),) if operation else ()
        return Metric("AWS/DynamoDB", name, (*operations, ("TableName", table)))

    def topic(self, name: str, topic: str) -> Metric:
        """Of a topic."""
        return Metric("AWS/SNS", name, (("TopicName", topic),))

    def rule(self, name: str, rule: str) -> Metric:
        """Of a rule on the default event bus."""
        return Metric("AWS/Events", name, (("RuleName", rule),))

    def job(self, name: str, job: str, *, gauge: bool = False, statistic: str = "Sum") -> Metric:
        """Of all runs of a Glue job together; Glue has counts and gauges."""
        kind = "gauge" if gauge else "count"
        return Metric("Glue", name, (("JobName", job), ("JobRunId", "ALL"), ("Type", kind)), statistic)

    def bucket(self, name: str, bucket: str) -> Metric:
        """Of the requests to a bucket."""
        return Metric("AWS/S3", name, (("BucketName", bucket), ("FilterId", REQUESTS)))

    def queries(self, name: str, workgroup: str, state: str, statistic: str = "Sum") -> Metric:
        """Of the queries of an Athena workgroup that ended in that state."""
        dimensions = (("QueryState", state), ("QueryType", "DML"), ("WorkGroup", workgroup))
        return Metric("AWS/Athena", name, dimensions, statistic)

    def gateway(self, name: str, gateway_id: str) -> Metric:
        """Of a NAT gateway."""
        return Metric("AWS/NATGateway", name, (("NatGatewayId", gateway_id),))

    def key_calls(self) -> Metric:
        """Of the account's calls that use symmetric keys."""
        dimensions = (
            ("Class", "None"),
            ("Resource", "CryptographicOperationsSymmetric"),
            ("Service", "KMS"),
            ("Type", "API"),
        )
        return Metric("AWS/Usage", "CallCount", dimensions, seconds=60)

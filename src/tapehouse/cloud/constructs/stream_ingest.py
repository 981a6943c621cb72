"""Streams, and the function that validates and lands what arrives in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from tapehouse.cloud.capacity.plan import Plan
from tapehouse.cloud.constructs.arns import via
from tapehouse.cloud.constructs.functions import FunctionPlatform, PythonFunction, PythonFunctionProps
from tapehouse.cloud.constructs.queues import NAME_LIMIT, EncryptedQueue
from tapehouse.cloud.datasets import Dataset
from tapehouse.cloud.lifecycle import Lifecycle
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Settings

HANDLER = "tapehouse.handlers.stream_validator.handler"
FUNCTION = "stream-validator"
DEAD_LETTERS = "stream-dlq"
STREAM_LIMIT = 128
TIMEOUT_SECONDS = 300
# A batch is at most 6 MB as it is put, some ten times that unpacked, and typed columns beside the text.
MEMORY_MIB = 2_048


def stream_purpose(dataset: Dataset) -> str:
    """What stands for a dataset's stream in its name."""
    return f"stream-{dataset.purpose}"


def consumer_purpose(dataset: Dataset) -> str:
    """What stands for the validator in the name of a stream's registered consumer."""
    return f"validator-{dataset.purpose}"


@dataclass(frozen=True, slots=True)
class StreamIngestProps:
    """`datasets` are those with a stream. `environment` and `statements` are the validator's, besides what reading the
    streams takes.
    """

    settings: Settings
    naming: Naming
    lifecycle: Lifecycle
    plan: Plan
    datasets: Sequence[Dataset]
    key: kms.IKey
    environment: Mapping[str, str] = field(default_factory=dict)
    statements: Sequence[iam.PolicyStatement] = ()


@dataclass(frozen=True, slots=True)
class IngestedStream:
    """One dataset's stream, its registered consumer, and what hands its records to the validator."""

    dataset: Dataset
    stream: kinesis.CfnStream
    consumer: kinesis.CfnStreamConsumer
    mapping: lambda_.CfnEventSourceMapping


class StreamIngest(Construct):
    """`streams` by dataset, one `validator` for all of them, and `dead_letters` for the positions of batches that were
    given up. `concurrency` is what the validator reserves, `formula` how that was found.
    """

    streams: Mapping[str, IngestedStream]
    validator: PythonFunction
    dead_letters: sqs.Queue
    concurrency: int
    formula: str

    def __init__(
        self, scope: Construct, construct_id: str, *, platform: FunctionPlatform, props: StreamIngestProps
    ) -> None:
        super().__init__(scope, construct_id)
        self._props = props
        parts = [props.plan.dataset(one.name) for one in props.datasets]
        self.concurrency = sum(part.concurrency for part in parts)
        terms = " + ".join(_term(part.concurrency, props.settings.stream.parallelization) for part in parts)
        self.formula = f"{self.concurrency} = shards x parallelization = {terms}"
        self.dead_letters = EncryptedQueue(
            self,
            "DeadLetters",
            name=props.naming.name(DEAD_LETTERS, limit=NAME_LIMIT),
            key=props.key,
            lifecycle=props.lifecycle,
        ).queue
        made = [(one, *self._stream(one)) for one in props.datasets]
        self.validator = self._validator(platform, [stream for _, stream, _ in made], [one for *_, one in made])
        self.streams = {
            dataset.name: IngestedStream(dataset, stream, consumer, self._mapping(dataset, consumer))
            for dataset, stream, consumer in made
        }

    def _stream(self, dataset: Dataset) -> tuple[kinesis.CfnStream, kinesis.CfnStreamConsumer]:
        props, title = self._props, camel(dataset)
        shards = props.plan.dataset(dataset.name).shards
        mode = "ON_DEMAND" if shards is None else "PROVISIONED"
        stream = kinesis.CfnStream(
            self,
            f"Stream{title}",
            name=props.naming.name(stream_purpose(dataset), limit=STREAM_LIMIT),
            retention_period_hours=props.settings.stream.retention_hours,
            shard_count=shards,
            stream_mode_details=kinesis.CfnStream.StreamModeDetailsProperty(stream_mode=mode),
            stream_encryption=kinesis.CfnStream.StreamEncryptionProperty(
                encryption_type="KMS", key_id=props.key.key_arn
            ),
        )
        stream.apply_removal_policy(props.lifecycle.removal)
        # A reader with a throughput of its own: 2 MB/s a shard, whoever else reads the stream.
        consumer = kinesis.CfnStreamConsumer(
            self,
            f"Consumer{title}",
            consumer_name=props.naming.name(consumer_purpose(dataset), limit=STREAM_LIMIT),
            stream_arn=stream.attr_arn,
        )
        return stream, consumer

    def _validator(
        self,
        platform: FunctionPlatform,
        streams: Sequence[kinesis.CfnStream],
        consumers: Sequence[kinesis.CfnStreamConsumer],
    ) -> PythonFunction:
        props = self._props
        return PythonFunction(
            self,
            "Validator",
            platform=platform,
            props=PythonFunctionProps(
                purpose=FUNCTION,
                handler=HANDLER,
                description=f"Judges and lands what streams bring. Concurrency {self.formula}"[:256],
                memory_mib=MEMORY_MIB,
                timeout_seconds=TIMEOUT_SECONDS,
                environment={**props.environment, **stream_environment(props.settings, props.naming, props.datasets)},
                statements=[*props.statements, *self._reading(streams, consumers)],
                reserved=self.concurrency,
            ),
        )

    def _reading(
        self, streams: Sequence[kinesis.CfnStream], consumers: Sequence[kinesis.CfnStreamConsumer]
    ) -> list[iam.PolicyStatement]:
        """What the event source does with the validator's role."""
        return [
            iam.PolicyStatement(
                sid="ReadStreams",
                actions=[
                    "kinesis:DescribeStream",
                    "kinesis:DescribeStreamSummary",
                    "kinesis:GetRecords",
                    "kinesis:GetShardIterator",
                    "kinesis:ListShards",
                ],
                resources=[one.attr_arn for one in streams],
            ),
            iam.PolicyStatement(
                sid="Subscribe",
                actions=["kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard"],
                resources=[one.attr_consumer_arn for one in consumers],
            ),
            iam.PolicyStatement(sid="GiveUp", actions=["sqs:SendMessage"], resources=[self.dead_letters.queue_arn]),
            iam.PolicyStatement(
                sid="StreamKey",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self._props.key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": [via("kinesis"), via("sqs")]}},
            ),
        ]

    def _mapping(self, dataset: Dataset, consumer: kinesis.CfnStreamConsumer) -> lambda_.CfnEventSourceMapping:
        stream = self._props.settings.stream
        destination = lambda_.CfnEventSourceMapping.OnFailureProperty(destination=self.dead_letters.queue_arn)
        return lambda_.CfnEventSourceMapping(
            self,
            f"Mapping{camel(dataset)}",
            function_name=self.validator.function.function_arn,
            event_source_arn=consumer.attr_consumer_arn,
            # What was put before the mapping was there is read as well.
            starting_position="TRIM_HORIZON",
            batch_size=stream.batch_records,
            maximum_batching_window_in_seconds=stream.batch_window_seconds,
            parallelization_factor=stream.parallelization,
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=stream.retries,
            maximum_record_age_in_seconds=stream.max_age_seconds,
            function_response_types=["ReportBatchItemFailures"],
            destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(on_failure=destination),
        )


def camel(dataset: Dataset) -> str:
    """The dataset's name as part of logical ids and output keys."""
    return "".join(word.capitalize() for word in dataset.name.split("_"))


def stream_environment(settings: Settings, naming: Naming, datasets: Sequence[Dataset]) -> dict[str, str]:
    """Variables of handlers of records: JSON of the dataset by stream, and how many batches of a shard are in work."""
    text = {naming.text(stream_purpose(one), limit=STREAM_LIMIT): one.name for one in datasets}
    return {
        "TAPEHOUSE_STREAMS": str(Fn.sub(json.dumps(text, sort_keys=True))),
        "TAPEHOUSE_PARALLELIZATION": str(settings.stream.parallelization),
    }


def _term(concurrency: int, parallelization: int) -> str:
    return f"{concurrency // parallelization} x {parallelization}"

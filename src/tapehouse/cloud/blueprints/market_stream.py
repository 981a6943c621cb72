"""Market data in streams and in files, at any volume that the account's quotas allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import App
from constructs import Construct

from tapehouse.cloud.blueprint import Packages
from tapehouse.cloud.blueprints.limits import require_room
from tapehouse.cloud.blueprints.outputs import put_outputs
from tapehouse.cloud.blueprints.pipeline import PipelineProps, PipelineStack
from tapehouse.cloud.blueprints.watched import components
from tapehouse.cloud.constructs.object_ingest import Redrive, RedriveProps
from tapehouse.cloud.constructs.shard_scaling import ON_ALARM, ON_CLOCK, ShardScaling, ShardScalingProps
from tapehouse.cloud.constructs.stream_ingest import StreamIngest, StreamIngestProps, camel, stream_environment
from tapehouse.cloud.datasets import Dataset
from tapehouse.cloud.endpoint_services import MARKET_STREAM
from tapehouse.cloud.monitoring.alarms import NAME_LIMIT
from tapehouse.cloud.monitoring.stack import MonitoringProps, MonitoringStack
from tapehouse.cloud.naming import Naming
from tapehouse.cloud.settings import Settings
from tapehouse.errors import UsageError

NAME = "market-stream"
SERVICE = "stream"
RULES = (ON_ALARM, ON_CLOCK)
SUMMARY = "streams and files validated by Lambda and run by Glue into Iceberg tables"


@dataclass(frozen=True, slots=True)
class MarketStreamProps:
    """What the stack is made from."""

    settings: Settings
    packages: Packages


class MarketStreamStack(PipelineStack):
    """The path of streams besides that of files. `scaling` is None where streams scale by themselves (on demand)."""

    streamed: tuple[Dataset, ...]
    streams: StreamIngest
    scaling: ShardScaling | None
    redrive: Redrive

    def __init__(self, scope: Construct, construct_id: str, *, props: MarketStreamProps) -> None:
        super().__init__(
            scope,
            construct_id,
            props=PipelineProps(props.settings, props.packages, NAME, SERVICE, SUMMARY, True, MARKET_STREAM, RULES),
        )
        self.streamed = streamed_of(self.datasets)
        self.streams = StreamIngest(
            self,
            "Streams",
            platform=self.platform,
            props=StreamIngestProps(
                settings=self.settings,
                naming=self.naming,
                lifecycle=self.lifecycle,
                plan=self.plan,
                datasets=self.streamed,
                key=self.encryption.data,
                environment=self.environment(),
                statements=self.access.handler("stream_validator"),
            ),
        )
        self.scaling = self._scaling() if self.settings.stream.mode == "provisioned" else None
        self.redrive = self._redrive()
        put_outputs(self, self._outputs())

    def _scaling(self) -> ShardScaling:
        return ShardScaling(
            self,
            "Scaling",
            platform=self.platform,
            props=ShardScalingProps(
                settings=self.settings,
                naming=self.naming,
                lifecycle=self.lifecycle,
                plan=self.plan,
                streams=list(self.streams.streams.values()),
                alarms=[self.naming.text(f"{one.purpose}-throttled", limit=NAME_LIMIT) for one in self.streamed],
                key=self.encryption.data,
                dead_letters=self.objects.undelivered,
            ),
        )

    def _redrive(self) -> Redrive:
        queues = self.objects.queue
        return Redrive(
            self,
            "Redrive",
            platform=self.platform,
            props=RedriveProps(
                {
                    **self.environment(),
                    **self.ending(),
                    "TAPEHOUSE_QUEUE_URL": queues.queue.queue_url,
                    "TAPEHOUSE_DLQ_URL": queues.dead_letters.queue_url,
                    "TAPEHOUSE_UNDELIVERED_URL": self.objects.undelivered.queue_url,
                    "TAPEHOUSE_STREAM_DLQ_URL": self.streams.dead_letters.queue_url,
                    **stream_environment(self.settings, self.naming, self.streamed),
                },
                self.access.handler(
                    "redrive",
                    object_queue=[queues.queue.queue_arn],
                    object_dead_letters=[queues.dead_letters.queue_arn],
                    undelivered=[self.objects.undelivered.queue_arn],
                    stream_dead_letters=[self.streams.dead_letters.queue_arn],
                    streams=[one.stream.attr_arn for one in self.streams.streams.values()],
                ),
            ),
        )

    def _outputs(self) -> Iterator[tuple[str, str, str]]:
        yield "RedriveFunction", self.redrive.function.function.function_name, "Takes dead letters again"
        yield "StreamDlqUrl", self.streams.dead_letters.queue_url, "Positions of records given up"
        yield "StreamValidator", self.streams.validator.function.function_name, "Validates and lands records"
        yield "ReservedConcurrency", self.streams.formula, "What the stream validator reserves"
        if self.scaling is not None:
            yield "ShardScaling", self.scaling.function.function.function_name, "Changes the shards of streams"
        for one in self.streams.streams.values():
            yield f"Stream{camel(one.dataset)}", one.stream.ref, f"Records of {one.dataset.name}"


def streamed_of(datasets: tuple[Dataset, ...]) -> tuple[Dataset, ...]:
    """Those that can be streamed; UsageError when there is none."""
    found = tuple(one for one in datasets if one.streamable)
    if not found:
        raise UsageError(
            f"none of {', '.join(one.name for one in datasets)} can arrive in a stream: their records are no lines of "
            "text that say everything themselves",
            fix="add a contract of such records, or deploy serverless-lake",
        )
    return found


def build(app: App, settings: Settings, packages: Packages) -> None:
    """Add both stacks to the app."""
    naming = Naming.of(settings, SERVICE)
    stack = MarketStreamStack(app, naming.stack(), props=MarketStreamProps(settings, packages))
    parts = components(stack, stack.streamed, concurrency=stack.streams.concurrency, scaled=stack.scaling is not None)
    monitoring = MonitoringStack(app, naming.stack("monitoring"), props=MonitoringProps(NAME, parts))
    # Alarms name a topic that must be there; nothing more: neither holds on to the other.
    monitoring.add_stack_dependency(stack)
    require_room(stack, monitoring)

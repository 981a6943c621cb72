"""From a stack to what is monitored of it, by names: nothing of the stack itself gets into the monitoring stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapehouse.cloud.blueprints.pipeline import PipelineStack
from tapehouse.cloud.constructs import object_ingest, shard_scaling, stream_ingest
from tapehouse.cloud.constructs.glue_job import JOB, JOB_LIMIT
from tapehouse.cloud.constructs.queues import VISIBILITY_FACTOR
from tapehouse.cloud.constructs.stream_ingest import STREAM_LIMIT, consumer_purpose, stream_purpose
from tapehouse.cloud.datasets import Dataset
from tapehouse.cloud.monitoring import job_events
from tapehouse.cloud.monitoring.components import Components, Function, Queue, Watched

DEPLOYMENT_SECONDS = 900
# Requests to these are alarmed; the others hold logs, releases and results.
BUCKETS = ("raw", "curated")


def components(
    stack: PipelineStack, streamed: Sequence[Dataset] = (), *, concurrency: int = 0, scaled: bool = False
) -> Components:
    """`streamed` datasets have a stream, whose validator reserves `concurrency`; `scaled` streams have shards that are
    changed by a function.
    """
    naming = stack.naming
    return Components(
        settings=stack.settings,
        naming=naming,
        datasets=[_watched(stack, one, stream=one in streamed) for one in stack.datasets],
        functions=list(_functions(stack, concurrency, scaled=scaled)),
        queues=list(_queues(streamed=bool(streamed))),
        rules=[
            object_ingest.RULE,
            job_events.FAILED,
            job_events.LATE,
            *([shard_scaling.ON_ALARM, shard_scaling.ON_CLOCK] if scaled else []),
        ],
        buckets=BUCKETS,
        table=naming.text("lineage"),
        topic=naming.text("alerts"),
        job=naming.text(JOB, limit=JOB_LIMIT),
        job_seconds=stack.settings.job.timeout_minutes * 60,
        workgroup=naming.identifier("queries"),
        gateways=len(stack.gateway_alarms) // 2,
    )


def _watched(stack: PipelineStack, dataset: Dataset, *, stream: bool) -> Watched:
    part = stack.plan.dataset(dataset.name)
    names = [stack.naming.text(one(dataset), limit=STREAM_LIMIT) for one in (stream_purpose, consumer_purpose)]
    return Watched(dataset, part.mean_bytes_per_second, part.peak_bytes_per_second, *(names if stream else ()))


def _functions(stack: PipelineStack, concurrency: int, *, scaled: bool) -> Iterator[Function]:
    yield Function(object_ingest.FUNCTION, object_ingest.TIMEOUT_SECONDS, stack.plan.object_concurrency)
    yield Function(object_ingest.REDRIVE, object_ingest.TIMEOUT_SECONDS, 1)
    yield Function("deployment", DEPLOYMENT_SECONDS, None)
    if concurrency:
        yield Function(stream_ingest.FUNCTION, stream_ingest.TIMEOUT_SECONDS, concurrency, streamed=True)
    if scaled:
        yield Function(shard_scaling.FUNCTION, shard_scaling.TIMEOUT_SECONDS, 1)


def _queues(*, streamed: bool) -> Iterator[Queue]:
    # An object may wait for as long as a run takes to make room: as long as the queue tries.
    tried = VISIBILITY_FACTOR * object_ingest.TIMEOUT_SECONDS * object_ingest.RECEIVES
    yield Queue(object_ingest.QUEUE, False, tried // 2)
    yield Queue(f"{object_ingest.QUEUE}-dlq", True)
    yield Queue(object_ingest.UNDELIVERED, True)
    if streamed:
        yield Queue(stream_ingest.DEAD_LETTERS, True)

"""What is watched and shown of the parts that all datasets share: functions, queues, table, job, buckets, keys."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.monitoring.alarms import Bound, Missing, Watch
from tapehouse.cloud.monitoring.components import Components, Function, Queue
from tapehouse.cloud.monitoring.dashboards import Graph, Row, Search
from tapehouse.cloud.monitoring.metrics import DAY_SECONDS, HOUR_SECONDS, Formula, Metric

# Alarms of things that are about to go wrong, as a share of what is possible.
NEARLY = 0.8
DEAD_RETENTION_SECONDS = 14 * DAY_SECONDS
# Of all requests. The validators ask for what may be absent or already there, so some refusals are the rule.
REFUSED_PERCENT = 25
FAILED_QUERIES = 5
FAILED_TASKS = 10
FAILED_REQUESTS = 10
_OPERATIONS = ("GetItem", "PutItem", "UpdateItem")


def service_watches(parts: Components) -> Iterator[Watch]:
    """Alarms of the shared parts."""
    for function in parts.functions:
        yield from _function(parts, function)
    for queue in parts.queues:
        yield from _dead(parts, queue) if queue.dead else _work(parts, queue)
    yield from _job(parts)
    yield from _table(parts)
    yield from _delivery(parts)
    yield from _storage(parts)


def _function(parts: Components, one: Function) -> Iterator[Watch]:
    name, metrics = parts.function(one), parts.metrics
    yield Watch(
        f"{one.purpose}-errors", "Invocations fail; the function's log says why.",
        metrics.function("Errors", name), Bound.ABOVE, 0, Missing.FINE,
    )  # fmt: skip
    yield Watch(
        f"{one.purpose}-throttled", "Invocations find no room: raise the reserved concurrency, or the account's.",
        metrics.function("Throttles", name), Bound.ABOVE, 0, Missing.FINE, 3, 2,
    )  # fmt: skip
    limit = NEARLY * one.timeout_seconds * 1_000
    yield Watch(
        f"{one.purpose}-slow", f"Invocations come near the timeout of {one.timeout_seconds} s.",
        metrics.function("Duration", name, "Maximum"), Bound.ABOVE, limit, Missing.FINE, 3, 2,
    )  # fmt: skip
    if one.reserved is not None and one.reserved > 1:
        yield Watch(
            f"{one.purpose}-busy", f"Nearly all of the {one.reserved} reserved executions are taken.",
            metrics.function("ConcurrentExecutions", name, "Maximum"),
            Bound.ABOVE, NEARLY * one.reserved, Missing.FINE, 6, 6,
        )  # fmt: skip
    if one.streamed:
        yield Watch(
            f"{one.purpose}-iterator-age", "Records wait for more than five minutes before they are validated.",
            metrics.function("IteratorAge", name, "Maximum"), Bound.ABOVE, 300_000, Missing.FINE, 3, 2,
        )  # fmt: skip


def _dead(parts: Components, one: Queue) -> Iterator[Watch]:
    name, metrics = parts.queue(one), parts.metrics
    yield Watch(
        f"{one.purpose}-filled", "Something was given up. Remove the cause, then `tapehouse cloud redrive`.",
        metrics.queue("ApproximateNumberOfMessagesVisible", name), Bound.ABOVE, 0, Missing.FINE,
    )  # fmt: skip
    yield Watch(
        f"{one.purpose}-expiring", "Dead letters will soon have been kept for as long as they can be.",
        metrics.queue("ApproximateAgeOfOldestMessage", name), Bound.ABOVE, NEARLY * DEAD_RETENTION_SECONDS,
        Missing.FINE,
    )  # fmt: skip


def _work(parts: Components, one: Queue) -> Iterator[Watch]:
    name, metrics = parts.queue(one), parts.metrics
    yield Watch(
        f"{one.purpose}-waiting", f"A message has waited for over {one.oldest_seconds} s: its reader fails.",
        metrics.queue("ApproximateAgeOfOldestMessage", name), Bound.ABOVE, one.oldest_seconds, Missing.FINE, 3, 2,
    )  # fmt: skip
    yield Watch(
        f"{one.purpose}-deep", "Many messages wait: more arrives than is worked on.",
        metrics.queue("ApproximateNumberOfMessagesVisible", name), Bound.ABOVE, 10_000, Missing.FINE, 3, 3,
    )  # fmt: skip


def _job(parts: Components) -> Iterator[Watch]:
    metrics, naming = parts.metrics, parts.naming
    yield Watch(
        "job-failed", "A run failed, timed out or never began. The event that was sent along names it and says why.",
        metrics.rule("MatchedEvents", naming.text("job-failed")), Bound.ABOVE, 0, Missing.FINE,
    )  # fmt: skip
    yield Watch(
        "job-late", "A run takes unusually long; it is still working.",
        metrics.rule("MatchedEvents", naming.text("job-late")), Bound.ABOVE, 0, Missing.FINE,
    )  # fmt: skip
    window = -(-parts.job_seconds // HOUR_SECONDS) * HOUR_SECONDS
    elapsed = metrics.job("glue.driver.aggregate.elapsedTime", parts.job).every(window)
    yield Watch(
        "job-duration", f"Runs took over {NEARLY:.0%} of the last {window // 60} minutes: one is near its timeout, or "
        "they follow one another without pause.",
        elapsed, Bound.ABOVE, NEARLY * window * 1_000, Missing.FINE,
    )  # fmt: skip
    yield Watch(
        "job-failed-tasks", "Tasks of Spark fail; they are tried again, and the run goes on while that helps.",
        metrics.job("glue.driver.aggregate.numFailedTasks", parts.job), Bound.AT_LEAST, FAILED_TASKS, Missing.FINE,
    )  # fmt: skip


def _table(parts: Components) -> Iterator[Watch]:
    metrics = parts.metrics
    throttled = Formula(
        "FILL(reads,0)+FILL(writes,0)",
        {
            "reads": metrics.table("ReadThrottleEvents", parts.table),
            "writes": metrics.table("WriteThrottleEvents", parts.table),
        },
        "throttled",
    )
    yield Watch("lineage-throttled", "The lineage table refuses requests.", throttled, Bound.ABOVE, 0, Missing.FINE)
    inputs = {one.lower(): metrics.table("SystemErrors", parts.table, operation=one) for one in _OPERATIONS}
    errors = Formula("+".join(f"FILL({one},0)" for one in inputs), inputs, "errors")
    yield Watch("lineage-errors", "The lineage table fails, by AWS's fault.", errors, Bound.ABOVE, 0, Missing.FINE)


def _delivery(parts: Components) -> Iterator[Watch]:
    metrics, naming = parts.metrics, parts.naming
    yield Watch(
        "alerts-failed", "Alerts do not reach a subscriber. This alarm may not either: look at the topic.",
        metrics.topic("NumberOfNotificationsFailed", parts.topic), Bound.ABOVE, 0, Missing.FINE,
    )  # fmt: skip
    for rule in parts.rules:
        yield Watch(
            f"{rule}-undelivered", "Events do not reach what the rule sends them to.",
            metrics.rule("FailedInvocations", naming.text(rule)), Bound.ABOVE, 0, Missing.FINE,
        )  # fmt: skip


def _storage(parts: Components) -> Iterator[Watch]:
    metrics = parts.metrics
    for purpose in parts.buckets:
        name = parts.naming.bucket_text(purpose)
        yield Watch(
            f"bucket-{purpose}-failing", "S3 fails requests to the bucket; clients try again.",
            metrics.bucket("5xxErrors", name), Bound.ABOVE, FAILED_REQUESTS, Missing.FINE, 3, 2,
        )  # fmt: skip
        share = Formula(
            "IF(FILL(all,0)>100, 100*FILL(refused,0)/all, 0)",
            {"all": metrics.bucket("AllRequests", name), "refused": metrics.bucket("4xxErrors", name)},
            "% refused",
        )
        yield Watch(
            f"bucket-{purpose}-refusing", "Many requests are refused: permissions, the key, or somebody's guesses.",
            share, Bound.ABOVE, REFUSED_PERCENT, Missing.FINE, 3, 3,
        )  # fmt: skip
    yield Watch(
        "keys-near-quota", "Calls that use keys come near what KMS takes; above it, everything is throttled.",
        key_use(parts), Bound.ABOVE, 100 * NEARLY, Missing.FINE, 5, 3,
    )  # fmt: skip
    failed = metrics.queries("TotalExecutionTime", parts.workgroup, "FAILED", "SampleCount").every(HOUR_SECONDS)
    yield Watch(
        "queries-failing", "Queries of the workgroup fail.", failed, Bound.AT_LEAST, FAILED_QUERIES, Missing.FINE
    )


def key_use(parts: Components) -> Formula:
    """Calls of KMS as a percentage of the account's quota."""
    return Formula("100*(calls/SERVICE_QUOTA(calls))", {"calls": parts.metrics.key_calls()}, "% of quota")


def service_rows(parts: Components) -> Iterator[Row]:
    """What is shown of the shared parts."""
    yield Row("Functions", list(_function_graphs(parts)))
    yield Row("Queues", list(_queue_graphs(parts)))
    yield Row("Job", list(_job_graphs(parts)))
    yield Row("Lineage, alerts and events", list(_delivery_graphs(parts)))
    yield Row("Storage, network, keys, queries", list(_storage_graphs(parts)))


def _function_graphs(parts: Components) -> Iterator[Graph]:
    def lines(name: str, statistic: str = "Sum") -> list[Metric | Formula]:
        made = (parts.metrics.function(name, parts.function(one), statistic) for one in parts.functions)
        return [metric.labelled(one.purpose) for metric, one in zip(made, parts.functions, strict=True)]

    yield Graph("Invocations", lines("Invocations"), "per 5 minutes")
    yield Graph("Errors", lines("Errors"), "per 5 minutes", 0)
    yield Graph("Throttles", lines("Throttles"), "per 5 minutes", 0)
    yield Graph("Duration, maximum", lines("Duration", "Maximum"), "ms")
    yield Graph("Concurrent executions", lines("ConcurrentExecutions", "Maximum"), "executions")
    streamed = [one for one in parts.functions if one.streamed]
    if streamed:
        ages = [parts.metrics.function("IteratorAge", parts.function(one), "Maximum") for one in streamed]
        yield Graph("Iterator age of functions", ages, "ms", 300_000)


def _queue_graphs(parts: Components) -> Iterator[Graph]:
    def lines(name: str, *, dead: bool) -> list[Metric | Formula]:
        chosen = [one for one in parts.queues if one.dead is dead]
        return [parts.metrics.queue(name, parts.queue(one)).labelled(one.purpose) for one in chosen]

    yield Graph("Messages waiting", lines("ApproximateNumberOfMessagesVisible", dead=False), "messages")
    yield Graph("Oldest message", lines("ApproximateAgeOfOldestMessage", dead=False), "s")
    yield Graph("Dead letters", lines("ApproximateNumberOfMessagesVisible", dead=True), "messages", 0)
    yield Graph("Oldest dead letter", lines("ApproximateAgeOfOldestMessage", dead=True), "s")


def _job_graphs(parts: Components) -> Iterator[Graph]:
    metrics, job = parts.metrics, parts.job
    executors = "glue.driver.ExecutorAllocationManager.executors"
    yield Graph("Elapsed time of runs", [metrics.job("glue.driver.aggregate.elapsedTime", job)], "ms per 5 minutes")
    tasks = [metrics.job(f"glue.driver.aggregate.num{one}Tasks", job) for one in ("Completed", "Failed", "Killed")]
    yield Graph("Tasks", list(tasks), "per 5 minutes", FAILED_TASKS)
    workers = [
        metrics.job(f"{executors}.{one}", job, gauge=True, statistic="Maximum").labelled(label)
        for one, label in (("numberAllExecutors", "workers"), ("numberMaxNeededExecutors", "needed"))
    ]
    yield Graph("Workers (DPU follow from their type)", list(workers), "executors")
    memory = [metrics.job("glue.ALL.jvm.heap.usage", job, gauge=True, statistic="Maximum")]
    yield Graph("Heap in use, worst worker", list(memory), "share of 1")
    events = [metrics.rule("MatchedEvents", parts.naming.text(one)).labelled(one) for one in ("job-failed", "job-late")]
    yield Graph("Failed and late runs", list(events), "per 5 minutes", 0)


def _delivery_graphs(parts: Components) -> Iterator[Graph]:
    metrics = parts.metrics
    throttles = [metrics.table(name, parts.table) for name in ("ReadThrottleEvents", "WriteThrottleEvents")]
    used = [metrics.table(f"Consumed{one}CapacityUnits", parts.table) for one in ("Read", "Write")]
    yield Graph("Lineage table: throttled", list(throttles), "per 5 minutes", 0)
    yield Graph("Lineage table: capacity used", list(used), "units per 5 minutes")
    sent = [metrics.topic(f"NumberOfNotifications{one}", parts.topic) for one in ("Delivered", "Failed")]
    yield Graph("Alerts", list(sent), "per 5 minutes")
    rules = [
        metrics.rule(name, parts.naming.text(rule)).labelled(f"{rule} {name}")
        for rule in parts.rules
        for name in ("Invocations", "FailedInvocations")
    ]
    yield Graph("Events", list(rules), "per 5 minutes")


def _storage_graphs(parts: Components) -> Iterator[Graph | Search]:
    metrics = parts.metrics
    for name in ("AllRequests", "4xxErrors", "5xxErrors"):
        lines = [metrics.bucket(name, parts.naming.bucket_text(one)).labelled(one) for one in parts.buckets]
        yield Graph(f"Buckets: {name}", list(lines), "per 5 minutes")
    # Gateways get their ids when they are made, which this stack does not know: all of the account are shown.
    for name in ("ErrorPortAllocation", "PacketsDropCount"):
        search = f"SEARCH('{{AWS/NATGateway,NatGatewayId}} MetricName=\"{name}\"', 'Sum', 300)"
        yield Search(f"NAT gateways: {name}", search, "per 5 minutes")
    yield Graph("Use of keys", [key_use(parts)], "% of quota", 100 * NEARLY)
    scanned = metrics.queries("ProcessedBytes", parts.workgroup, "SUCCEEDED")
    yield Graph("Queries: bytes scanned", [scanned], "bytes per 5 minutes")
    failed = metrics.queries("TotalExecutionTime", parts.workgroup, "FAILED", "SampleCount")
    yield Graph("Queries: failed", [failed], "per 5 minutes")

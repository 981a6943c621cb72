"""What is watched and shown of each dataset: what comes in, what is wrong with it, how late it is."""

from __future__ import annotations

from collections.abc import Iterator

from tapehouse.cloud.monitoring.alarms import Bound, Missing, Watch
from tapehouse.cloud.monitoring.components import Components, Watched
from tapehouse.cloud.monitoring.dashboards import Graph, Row
from tapehouse.cloud.monitoring.market_hours import calendar_of, is_open, minute_of_week, session_days
from tapehouse.cloud.monitoring.metrics import DAY_SECONDS, HOUR_SECONDS, Formula, Metric

# A reader is behind when it is this late.
BEHIND_MS = 300_000


def dataset_watches(parts: Components, one: Watched) -> Iterator[Watch]:
    """Alarms of a dataset."""
    if one.stream:
        yield from _stream(parts, one)
        yield from _volume(parts, one, parts.metrics.stream("IncomingBytes", one.stream), daily=False)
    else:
        yield from _volume(parts, one, parts.metrics.own("BytesIn", one.dataset.name), daily=True)
    yield from _quality(parts, one)
    yield from _runs(parts, one)


def _stream(parts: Components, one: Watched) -> Iterator[Watch]:
    metrics, head = parts.metrics, one.dataset.purpose
    yield Watch(
        f"{head}-behind", "The registered consumer is over five minutes behind the newest record.",
        behind(parts, one), Bound.ABOVE, BEHIND_MS, Missing.FINE, 3, 2,
    )  # fmt: skip
    yield Watch(
        f"{head}-iterator-age", "A reader that shares the stream's throughput is over five minutes behind.",
        metrics.stream("GetRecords.IteratorAgeMilliseconds", one.stream, "Maximum"),
        Bound.ABOVE, BEHIND_MS, Missing.FINE, 3, 2,
    )  # fmt: skip
    yield Watch(
        f"{head}-throttled", "Producers are refused: a shard takes no more. The stream is being widened if it may be.",
        metrics.stream("WriteProvisionedThroughputExceeded", one.stream), Bound.ABOVE, 0, Missing.FINE, 3, 2,
    )  # fmt: skip
    yield Watch(
        f"{head}-poison", "Records cannot be decoded; their positions go to the dead-letter queue.",
        metrics.own("PoisonRecords", one.dataset.name), Bound.ABOVE, 0, Missing.FINE,
    )  # fmt: skip


def behind(parts: Components, one: Watched) -> Metric:
    """How far the stream's registered consumer is behind, in milliseconds."""
    return parts.metrics.consumer("SubscribeToShardEvent.MillisBehindLatest", one.stream, one.consumer)


def _volume(parts: Components, one: Watched, metric: Metric, *, daily: bool) -> Iterator[Watch]:
    """Too much, and in market hours too little. Streams are judged by five minutes, files by days (UTC)."""
    metric = metric.every(DAY_SECONDS) if daily else metric
    bounds, head = parts.settings.alarms, one.dataset.purpose
    low = bounds.ingest_low_fraction * one.mean_bytes_per_second * metric.seconds
    high = bounds.ingest_high_factor * (one.mean_bytes_per_second if daily else one.peak_bytes_per_second)
    # One bad day is enough; of five minutes it takes three in a row.
    count = 1 if daily else 3
    yield Watch(
        f"{head}-input-low", f"Under {bounds.ingest_low_fraction:.0%} of the mean volume in market hours.",
        in_market_hours(one, metric, floor=low, daily=daily), Bound.BELOW, round(low), Missing.BAD, count, count,
    )  # fmt: skip
    yield Watch(
        f"{head}-input-high", f"Over {bounds.ingest_high_factor:g} times the volume that the deployment is made for.",
        metric, Bound.ABOVE, round(high * metric.seconds), Missing.FINE, count, count,
    )  # fmt: skip


# A series has times only where it has points, and nothing comes in while the market is closed.
FILLED = "FILL(m,0)"


def in_market_hours(one: Watched, metric: Metric, *, floor: float, daily: bool) -> Formula:
    """The metric while the market is open, nothing being 0; outside, a value that is not below `floor`."""
    calendar = calendar_of(one.dataset.contract)
    watched = session_days(calendar, "w") if daily else is_open(calendar, FILLED, "w")
    return Formula(
        f"IF(open, {FILLED}, {round(floor) + 1})",
        {"m": metric},
        "input on days of trading" if daily else "input in market hours",
        {"w": minute_of_week(FILLED), "open": watched},
    )


def _quality(parts: Components, one: Watched) -> Iterator[Watch]:
    metrics, name, head = parts.metrics, one.dataset.name, one.dataset.purpose
    bounds = parts.settings.alarms
    yield Watch(
        f"{head}-rejected", f"Over {bounds.rejected_percent:g} % of an hour's rows break a rule.",
        rejected(parts, one), Bound.ABOVE, bounds.rejected_percent, Missing.FINE,
    )  # fmt: skip
    none_valid = Formula(
        "IF(came>0 AND FILL(valid,0)<1, 1, 0)",
        {"came": metrics.own("RowsIn", name), "valid": metrics.own("RowsValid", name)},
        "rows, none of them valid",
    )
    yield Watch(
        f"{head}-none-valid", "Rows come in, and not one of them is valid: the layout has changed.",
        none_valid, Bound.ABOVE, 0, Missing.FINE, 2, 2,
    )  # fmt: skip
    yield Watch(
        f"{head}-incomplete", "The share of valid rows is too low.",
        metrics.own("Completeness", name, "Average"), Bound.BELOW, 100 - bounds.rejected_percent, Missing.FINE, 3, 2,
    )  # fmt: skip
    yield Watch(
        f"{head}-stale", "What lands is older than the contract allows.",
        metrics.own("FreshnessSeconds", name, "Maximum"), Bound.ABOVE, freshness(parts, one), Missing.FINE, 2, 2,
    )  # fmt: skip


def freshness(parts: Components, one: Watched) -> float:
    """Seconds from the newest event to landing: the contract's promise, else the settings' bound."""
    promised = one.dataset.contract.service_levels.get("freshness", {})
    return float(promised.get("seconds") or parts.settings.alarms.freshness_seconds)


def rejected(parts: Components, one: Watched) -> Formula:
    """Share of an hour's rows that break a rule, in percent."""
    came, bad = (parts.metrics.own(name, one.dataset.name).every(HOUR_SECONDS) for name in ("RowsIn", "RowsRejected"))
    return Formula("IF(came>0, 100*FILL(bad,0)/came, 0)", {"came": came, "bad": bad}, "% rejected")


def _runs(parts: Components, one: Watched) -> Iterator[Watch]:
    metrics, name, head = parts.metrics, one.dataset.name, one.dataset.purpose
    yield Watch(
        f"{head}-late", "It takes too long from landing to commit.",
        metrics.own("LatencySeconds", name, "Maximum"), Bound.ABOVE, parts.settings.alarms.freshness_seconds,
        Missing.FINE, 2, 2,
    )  # fmt: skip
    yield Watch(
        f"{head}-stopped", "A run published nothing, for a rule's budget is spent or its proof does not close.",
        metrics.own("RunsStopped", name), Bound.ABOVE, 0, Missing.FINE,
    )  # fmt: skip
    yield Watch(
        f"{head}-run-failed", "A run of this dataset failed.",
        metrics.own("RunsFailed", name), Bound.ABOVE, 0, Missing.FINE,
    )  # fmt: skip


def dataset_row(parts: Components, one: Watched) -> Row:
    """The dataset's row of the dashboard."""
    metrics, name = parts.metrics, one.dataset.name
    bounds = parts.settings.alarms

    def own(*names: str, statistic: str = "Sum") -> list[Metric | Formula]:
        return [metrics.own(one, name, statistic).labelled(one) for one in names]

    graphs = list(_stream_graphs(parts, one)) if one.stream else []
    return Row(
        f"Dataset {name}",
        [
            *graphs,
            Graph("Landed", own("BytesIn"), "bytes per 5 minutes"),
            Graph("Rows", own("RowsIn", "RowsValid", "RowsRejected", "RowsDuplicate"), "per 5 minutes"),
            Graph("Rejected", [rejected(parts, one)], "%", bounds.rejected_percent),
            Graph("Completeness", own("Completeness", statistic="Average"), "%", 100 - bounds.rejected_percent),
            Graph("Freshness on landing", own("FreshnessSeconds", statistic="Maximum"), "s", freshness(parts, one)),
            Graph("Landing to commit", own("LatencySeconds", statistic="Maximum"), "s", bounds.freshness_seconds),
            Graph("Rows committed", own("RowsCurated", "RowsQuarantined"), "per 5 minutes"),
            Graph("Runs", own("RunsPublished", "RunsStopped", "RunsFailed"), "per 5 minutes"),
        ],
    )


def _stream_graphs(parts: Components, one: Watched) -> Iterator[Graph]:
    metrics, stream = parts.metrics, one.stream
    yield Graph("Incoming bytes", [metrics.stream("IncomingBytes", stream)], "bytes per 5 minutes")
    yield Graph("Incoming records", [metrics.stream("IncomingRecords", stream)], "per 5 minutes")
    shared = metrics.stream("GetRecords.IteratorAgeMilliseconds", stream, "Maximum").labelled("shared readers")
    yield Graph("Behind the newest record", [behind(parts, one).labelled("validator"), shared], "ms", BEHIND_MS)
    refused = metrics.stream("WriteProvisionedThroughputExceeded", stream).labelled("refused")
    poison = metrics.own("PoisonRecords", one.dataset.name).labelled("poison")
    yield Graph("Refused and poison records", [refused, poison], "per 5 minutes", 0)

"""Whether the runs keep up with the objects that the stream validator lands."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tapehouse.cloud.settings import Settings, StreamSettings
from tapehouse.sizing.model import Line

# An event source's batch is limited to this by Lambda's payload, whatever its number of records.
PAYLOAD_BYTES = 6_000_000
# What the object validator gives to one run: the batch of its queue.
RUN_OBJECTS = 1_000
# From a run's start to its end, with few bytes: a cluster that begins, and one commit.
RUN_MINUTES = 3
# Of an object that several batches of a shard may write at a time.
_LISTED_RECORDS_MAX = 100


def arriving(settings: Settings, streams: Sequence[tuple[float, int]]) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """Lines, and warnings. `streams` are mean bytes a second and concurrency of each dataset, 0 where it arrives in
    files: how many those are is not known.
    """
    runs, stream = settings.job.concurrent_runs, settings.stream
    taken = runs * RUN_OBJECTS / RUN_MINUTES
    why = f"{runs} concurrent runs x {RUN_OBJECTS:,} / {RUN_MINUTES} min a run"
    line = Line("objects taken a minute", taken, "objects", why)
    if not any(lanes for _, lanes in streams):
        return (line,), ()
    made = sum(_a_minute(stream, mean, lanes) for mean, lanes in streams if lanes)
    formula = (
        "shards x parallelization x 60 / lesser of the batch window and the seconds until a batch is full at the mean, "
        "no more than records"
    )
    lines = (Line("objects a minute", made, "objects", formula), line)
    if made <= taken:
        return lines, ()
    needed = math.ceil(made * RUN_MINUTES / RUN_OBJECTS)
    warning = (
        f"streams land {made:,.0f} objects a minute, and {runs} concurrent runs take {taken:,.0f}: raise "
        f"job.concurrent_runs to {needed}, or land fewer objects by raising stream.batch_window_seconds"
    )
    return lines, (warning,)


def _a_minute(stream: StreamSettings, mean: float, lanes: int) -> float:
    """Objects of one dataset: one for each batch, and each batch as large as its window, payload or records allow."""
    bytes_max = min(PAYLOAD_BYTES, stream.batch_records * stream.record_bytes)
    # Shards are asked once a second where there is no window.
    seconds = min(max(stream.batch_window_seconds, 1), bytes_max * lanes / mean)
    batches, records = lanes * 60 / seconds, mean * 60 / stream.record_bytes
    listed = records / _LISTED_RECORDS_MAX if stream.parallelization > 1 else 0
    return min(max(batches, listed), records)

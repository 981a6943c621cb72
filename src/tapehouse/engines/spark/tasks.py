"""Functions on items as Spark tasks, one item each, through `mapInArrow`.

A task takes a row that holds its number and returns rows of bytes: Spark sees what it needs to schedule, to try again
and to shuffle, and nothing else.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import polars as pl
import pyarrow as pa

import tapehouse
from tapehouse.engines.pickling import dumps, loads
from tapehouse.engines.tasks import Parcel, Watch, unwatched
from tapehouse.errors import RunError, TapehouseError

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")

_POLL_SECONDS = 0.5
_RESULT = pa.schema([pa.field("result", pa.binary())])
# `group` is null and `result` is set in an item's last row.
_PARCEL = pa.schema(
    [
        pa.field("item", pa.int64()),
        pa.field("group", pa.int64()),
        pa.field("result", pa.binary()),
        pa.field("head", pa.binary()),
        pa.field("body", pa.binary()),
    ]
)
_PARCEL_DDL = "item long, group long, result binary, head binary, body binary"
# Of what rows in Arrow are made of for Python, which counts rows and not bytes; ours may be of many megabytes.
_ROWS_AT_ONCE = {"spark.sql.execution.arrow.maxRecordsPerBatch": "1"}
# What the caller's own jobs are grouped by.
_JOB_GROUP = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")
# Partitions must stay as they were asked for.
_AS_TOLD = {"spark.sql.adaptive.enabled": "false"}


def versions() -> tuple[str, str, str]:
    """Of what decides the values of hashes and files: they must be the same wherever a task runs."""
    return tapehouse.__version__, pl.__version__, pa.__version__


class SparkTasks:
    """Tasks of one Spark session. Not for several threads at once."""

    name = "spark"

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._context = spark.sparkContext

    @property
    def description(self) -> str:
        """Such as `Spark 4.1.4 on local[2]`."""
        return f"Spark {self._spark.version} on {self._context.master}"

    def map(self, work: Callable[[T, str], R], items: Sequence[T], watch: Watch = unwatched) -> list[R]:
        """See `Tasks.map`."""
        if not items:
            return []
        shared, expected = self._share(work, items), versions()

        def task(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for number, attempt in _numbers(rows, expected):
                result = _done(_call(shared.value, number, attempt))
                yield pa.RecordBatch.from_pylist([{"result": result}], _RESULT)

        try:
            with self._watched(watch), self._set(_AS_TOLD):
                rows = self._tasks(len(items)).mapInArrow(task, "result binary").collect()
        finally:
            shared.destroy()
        return [_opened(row.result) for row in rows]

    def scatter(
        self, work: Callable[[T, str], Iterator[Parcel | R]], items: Sequence[T], watch: Watch = unwatched
    ) -> SparkScattered[R]:
        """See `Tasks.scatter`."""
        shared, expected = self._share(work, items), versions()

        def task(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for number, attempt in _numbers(rows, expected):
                yield from _parcels(number, _call(shared.value, number, attempt))

        from pyspark import StorageLevel

        with self._watched(watch), self._set(_AS_TOLD):
            made = self._tasks(len(items)).mapInArrow(task, _PARCEL_DDL).persist(StorageLevel.DISK_ONLY)
            try:
                ends = made.where("result is not null").select("item", "result").collect()
                groups = [row.group for row in made.where("result is null").select("group").distinct().collect()]
                results = [_opened(row.result) for row in sorted(ends, key=lambda row: row.item)]
            except BaseException:
                made.unpersist()
                raise
        return SparkScattered(self, made, results, groups, shared)

    def consume(
        self, parcels: DataFrame, groups: int, work: Callable[[int, Iterable[Parcel], str], R], watch: Watch
    ) -> list[R]:
        """`work` on each of the groups."""
        shared, expected = self._share(work, ()), versions()

        def task(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            attempt, function = _attempt(expected), loads(shared.value[0])
            for group, mine in groupby(_unpacked(rows), key=attrgetter("group")):
                result = _done(partial(function, group, mine, attempt))
                yield pa.RecordBatch.from_pylist([{"result": result}], _RESULT)

        try:
            with self._watched(watch), self._set({**_AS_TOLD, **_ROWS_AT_ONCE}):
                shuffled = parcels.where("result is null").repartition(groups, "group").sortWithinPartitions("group")
                rows = shuffled.mapInArrow(task, "result binary").collect()
        finally:
            shared.destroy()
        return [_opened(row.result) for row in rows]

    def _share(self, work: Any, items: Sequence[Any]) -> Broadcast[tuple[bytes, list[bytes]]]:
        """The function and the items on every machine, each pickled by itself: a task opens its own alone."""
        return self._context.broadcast((dumps(work), [dumps(item) for item in items]))

    def _tasks(self, count: int) -> DataFrame:
        return self._spark.range(0, count, numPartitions=max(1, count))

    @contextmanager
    def _set(self, settings: dict[str, str]) -> Iterator[None]:
        """These session settings for a while."""
        before = {name: self._spark.conf.get(name, None) for name in settings}
        for name, value in settings.items():
            self._spark.conf.set(name, value)
        try:
            yield
        finally:
            for name, known in before.items():
                if known is None:
                    self._spark.conf.unset(name)
                else:
                    self._spark.conf.set(name, known)

    @contextmanager
    def _watched(self, watch: Watch) -> Iterator[None]:
        """Tells `watch` of finished tasks; turns what Spark raises into our errors and cancels what is left."""
        group, over = uuid.uuid4().hex, threading.Event()
        before = {name: self._context.getLocalProperty(name) for name in _JOB_GROUP}
        self._context.setJobGroup(group, "tapehouse", interruptOnCancel=True)
        watcher = threading.Thread(target=self._tell, args=(group, watch, over), name="watch", daemon=True)
        watcher.start()
        try:
            yield
        except TapehouseError:
            raise
        except BaseException as error:
            self._context.cancelJobGroup(group)
            if not isinstance(error, Exception):
                raise
            fix = "nothing was published; see above, then run again"
            raise RunError(f"Spark gave up: {_cause(error)}", fix=fix) from error
        finally:
            over.set()
            watcher.join()
            for name, value in before.items():  # None removes a property
                self._context.setLocalProperty(name, value)  # type: ignore[arg-type]

    def _tell(self, group: str, watch: Watch, over: threading.Event) -> None:
        tracker = self._context.statusTracker()
        while not over.wait(_POLL_SECONDS):
            stages = [stage for job in tracker.getJobIdsForGroup(group) for stage in _stages(tracker, job)]
            watch(sum(info.numCompletedTasks for info in map(tracker.getStageInfo, stages) if info is not None))


class SparkScattered(Generic[R]):
    """Parcels on the executors' disks."""

    def __init__(
        self,
        tasks: SparkTasks,
        parcels: DataFrame,
        results: list[R],
        groups: list[int],
        shared: Broadcast[tuple[bytes, list[bytes]]],
    ) -> None:
        self._tasks, self._parcels, self._groups, self._shared = tasks, parcels, groups, shared
        self.results = results

    def gather(self, work: Callable[[int, Iterable[Parcel], str], S], watch: Watch = unwatched) -> list[S]:
        """See `engines.tasks.Scattered.gather`."""
        return self._tasks.consume(self._parcels, len(self._groups), work, watch) if self._groups else []

    def close(self) -> None:
        """Free the disks."""
        self._parcels.unpersist()
        self._shared.destroy()


def _stages(tracker: Any, job: int) -> list[int]:
    info = tracker.getJobInfo(job)
    return [] if info is None else list(info.stageIds)


def _attempt(expected: tuple[str, str, str]) -> str:
    """The attempt's number, when the task runs what the driver runs."""
    from pyspark import TaskContext

    found = versions()
    if found != expected:
        raise RunError(f"a worker has tapehouse, polars and pyarrow of {found}, the driver of {expected}")
    context = TaskContext.get()
    return str(context.taskAttemptId()) if context is not None else "0"


def _numbers(rows: Iterable[pa.RecordBatch], expected: tuple[str, str, str]) -> Iterator[tuple[int, str]]:
    attempt = _attempt(expected)
    for batch in rows:
        for number in batch.column(0).to_pylist():
            yield number, attempt


def _call(shared: tuple[bytes, list[bytes]], number: int, attempt: str) -> Callable[[], Any]:
    """What is to be done in the task of an item."""
    function, item = loads(shared[0]), loads(shared[1][number])
    return partial(function, item, attempt)


def _done(work: Callable[[], Any]) -> bytes:
    """The result as bytes. An error of ours is a result: trying again would not change it."""
    try:
        return dumps(work())
    except TapehouseError as error:
        return dumps(error)


def _opened(result: bytes) -> Any:
    value = loads(bytes(result))
    if isinstance(value, TapehouseError):
        raise value
    return value


def _parcels(item: int, work: Callable[[], Iterator[Any]]) -> Iterator[pa.RecordBatch]:
    """The rows of one item: its parcels, then its result. An error after some of the parcels fails the task: it may be
    one that is done again for its parcels, whose result was taken before.
    """
    result, sent = dumps(None), False
    try:
        for one in work():
            if isinstance(one, Parcel):
                row = {"item": item, "group": one.group, "head": dumps(one.head), "body": one.body}
                sent = True
                yield pa.RecordBatch.from_pylist([row], _PARCEL)
            else:
                result = dumps(one)
    except TapehouseError as error:
        if sent:
            raise
        result = dumps(error)
    yield pa.RecordBatch.from_pylist([{"item": item, "result": result}], _PARCEL)


def _unpacked(rows: Iterable[pa.RecordBatch]) -> Iterator[Parcel]:
    for batch in rows:
        for group, head, body in zip(*(batch.column(name) for name in ("group", "head", "body")), strict=True):
            yield Parcel(group.as_py(), loads(head.as_py()), body.as_buffer())


def _cause(error: Exception) -> str:
    """The last line of the innermost trace that Spark quotes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line or "Exception" in line]
    return (told or lines or [type(error).__name__])[-1]

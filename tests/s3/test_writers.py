"""Several writers, dead ones and late ones: never half a run, none lost, none twice (I2, I3)."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from pyiceberg.exceptions import CommitFailedException

from tapehouse import aws
from tapehouse.errors import LakeError
from tapehouse.lake.files import stage_rows
from tapehouse.lake.orphans import orphans
from tapehouse.lake.publish import PublicationPendingError, publish, recover
from tapehouse.lake.s3.glue import Glue
from tapehouse.lake.s3.home import S3Lake
from tapehouse.lake.s3.lease import Lease, LostLeaseError
from tapehouse.lake.s3.objects import Objects

from .support import LEASE_SECONDS, RUNS, TRADES, Cloud, ids, publish_trades, trades

Writer = Callable[..., "subprocess.Popen[str]"]
STEPS = [
    "spilled",
    "written",
    "synced",
    "journal",
    "before trades.curated",
    "after trades.curated",
    "before tapehouse.runs",
    "after tapehouse.runs",
    "finished",
]
# After so long nobody holds a lease that is not renewed.
EXPIRED_SECONDS = LEASE_SECONDS + 2.1


def settled(cloud: Cloud, *, runs: int) -> None:
    """Each of the runs is in the lake exactly once, in every table, and nothing is left lying about."""
    lake = cloud.open()
    assert ids(lake) == list(range(10 * runs))
    assert ids(lake, RUNS, "run_id") == sorted(f"r{number}" for number in range(runs))
    for spec in (TRADES, RUNS):
        table = lake.table(spec.namespace, spec.name)
        assert table is not None
        assert len(table.snapshots()) == runs
    assert cloud.keys("lake/journal/") == cloud.keys("lake/staging/") == []
    found = orphans(lake, older_than=timedelta(0))
    assert [path for path in found.paths if path.suffix == ".parquet"] == []


def kill_at(steps: Sequence[str], cloud_of: Callable[[], Cloud], writer: Writer, *, first: bool) -> None:
    """A lake for each step; all their writers die at the same time, and are followed by others."""
    clouds = {STEPS.index(name): cloud_of() for name in steps}
    for cloud in clouds.values():
        lake = cloud.open()
        if not first:
            publish_trades(lake, "r0", trades(0))
    name, start = ("r0", 0) if first else ("r1", 10)
    killed = {step: writer(cloud.lake, LEASE_SECONDS, f"{name}={start}", step) for step, cloud in clouds.items()}
    for step, process in killed.items():
        printed, errors = process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL, errors
        assert printed.split("\n")[:-1] == STEPS[:step]
    base = [] if first else list(range(10))
    for cloud in clouds.values():  # before anyone recovers, readers see all of the run or none of it in each table
        assert ids(cloud.open(read_only=True)) in (base, list(range(start + 10)))
    time.sleep(EXPIRED_SECONDS)
    for step, cloud in clouds.items():
        lake = cloud.open()
        with lake.lock():
            finished = recover(lake)
        decided = STEPS.index("journal") <= step
        assert finished == ([name] if decided and step < STEPS.index("finished") else [])
        assert ids(lake) == (list(range(start + 10)) if decided else base)
        publish_trades(lake, name, trades(start))
        settled(cloud, runs=1 if first else 2)


def test_killed_around_the_decision_and_run_again(endpoint: str, writer: Writer) -> None:
    steps = ["synced", "journal", "before tapehouse.runs"]
    kill_at(steps, lambda: Cloud.make(endpoint), writer, first=False)


@pytest.mark.slow
def test_killed_at_every_step_and_run_again(endpoint: str, writer: Writer) -> None:
    kill_at(STEPS, lambda: Cloud.make(endpoint), writer, first=False)


@pytest.mark.slow
def test_killed_at_every_step_of_the_first_run(endpoint: str, writer: Writer) -> None:
    kill_at(STEPS, lambda: Cloud.make(endpoint), writer, first=True)


def test_two_processes_publishing_at_once(cloud: Cloud, writer: Writer) -> None:
    cloud.open()
    shares = [",".join(f"r{number}={number}0" for number in range(start, 6, 2)) for start in (0, 1)]
    processes = [writer(cloud.lake, 30, share) for share in shares]
    for process in processes:
        assert process.communicate(timeout=120)[1] == ""
    settled(cloud, runs=6)


def silence(lease: Lease) -> None:
    """As if the process had been stopped: nothing renews the lease any more."""
    lease._over.set()
    assert lease._renewer is not None
    lease._renewer.join()


def test_a_lease_lasts_as_long_as_it_is_renewed(cloud: Cloud) -> None:
    one, other = cloud.open(), cloud.open()
    told = threading.Event()
    order = list[str]()

    def follow() -> None:
        with other.lock(waiting=told.set):
            order.append("other")

    thread = threading.Thread(target=follow)
    with one.lock():
        thread.start()
        assert told.wait(10)
        time.sleep(2 * EXPIRED_SECONDS)
        order.append("one")
    thread.join(timeout=20)
    assert order == ["one", "other"]


def overtake(late: S3Lake, other: S3Lake) -> None:
    """The late writer stops for longer than its leases last, and another publishes meanwhile."""
    silence(late._lock)
    for lease in late._running.values():
        silence(lease)
    time.sleep(EXPIRED_SECONDS)
    publish_trades(other, "r2", trades(20))


def test_a_writer_that_was_taken_for_dead_decides_nothing(cloud: Cloud) -> None:
    late, other = cloud.open(), cloud.open()
    publish_trades(other, "r0", trades(0))
    with pytest.raises(LakeError, match="renewed"):
        publish_trades(late, "r1", trades(10), lambda step: overtake(late, other) if step == "synced" else None)
    assert ids(cloud.open()) == [*range(10), *range(20, 30)]
    publish_trades(cloud.open(), "r1", trades(10))
    assert ids(cloud.open()) == list(range(30))
    assert cloud.keys("lake/journal/") == []


def test_a_decision_is_carried_out_by_whoever_comes_next(cloud: Cloud) -> None:
    """And once: its own writer, woken up too late, finds everything done."""
    late, other = cloud.open(), cloud.open()
    publish_trades(other, "r0", trades(0))
    publish_trades(late, "r1", trades(10), lambda step: overtake(late, other) if step == "journal" else None)
    settled(cloud, runs=3)


def test_a_pointer_is_not_moved_by_one_who_lost_the_lock(cloud: Cloud) -> None:
    """It goes on in the midst of its commits; what is left of them is the next writer's."""
    late, other = cloud.open(), cloud.open()
    publish_trades(other, "r0", trades(0))

    def stopped(step: str) -> None:
        if step == "after trades.curated":
            silence(late._lock)
            time.sleep(EXPIRED_SECONDS)

    with pytest.raises(PublicationPendingError, match="renewed"):
        publish_trades(late, "r1", trades(10), stopped)
    assert ids(cloud.open()) == list(range(20))
    assert ids(cloud.open(), RUNS, "run_id") == ["r0"]
    with other.lock():
        assert recover(other) == ["r1"]
    settled(cloud, runs=2)


@pytest.mark.parametrize("taken", [False, True])
def test_a_decision_is_taken_back_only_under_the_lock(cloud: Cloud, taken: bool) -> None:
    """Its writer can commit nothing any more. Whoever has the lock by then may be carrying the decision out."""
    late, other = cloud.open(), cloud.open(lease_seconds=30)
    publish_trades(other, "r0", trades(0))

    def stopped(step: str) -> None:
        if step == "journal":
            silence(late._lock)
            time.sleep(EXPIRED_SECONDS)
            assert not taken or other._lock.try_take()

    with pytest.raises(PublicationPendingError if taken else LostLeaseError):
        publish_trades(late, "r1", trades(10), stopped)
    if taken:
        other._lock.release()
    lake = cloud.open()
    with lake.lock():
        assert recover(lake) == (["r1"] if taken else [])
    publish_trades(lake, "r1", trades(10))
    settled(cloud, runs=2)


def test_a_run_that_was_taken_for_dead_decides_nothing(cloud: Cloud) -> None:
    """Its data files went with it, though it has the lake's lock again by now."""
    late, other = cloud.open(), cloud.open()
    publish_trades(other, "r0", trades(0))

    def stopped(step: str) -> None:
        if step == "spilled":
            silence(late._running["r1"])
            time.sleep(EXPIRED_SECONDS)
            with other.lock():
                recover(other)

    with pytest.raises(LostLeaseError):
        publish_trades(late, "r1", trades(10), stopped)
    assert ids(cloud.open()) == list(range(10))


def test_a_decision_of_one_who_lost_the_lock_does_not_count(cloud: Cloud) -> None:
    """Its journal may have been stored at the last moment: the lock does not name it."""
    publish_trades(cloud.open(), "r0", trades(0))
    cloud.client("s3").put_object(Bucket=cloud.curated, Key="lake/journal/late.json", Body=b"never decided")
    lake = cloud.open()
    with lake.lock():
        assert recover(lake) == []
    assert cloud.keys("lake/journal/") == []


def test_swaps_of_an_object_are_for_one_at_a_time(cloud: Cloud) -> None:
    objects = Objects(cloud.curated, "some")
    first = objects.swap("thing", b"1", None)
    assert first is not None
    assert objects.swap("thing", b"2", None) is None
    assert objects.swap("thing", b"1", None) == first  # the answer to the first request was lost, and it was sent again
    second = objects.swap("thing", b"3", first)
    assert objects.swap("thing", b"4", first) is None
    assert objects.swap("thing", b"3", first) == second
    assert objects.swap("nothing", b"5", first) is None
    found = objects.get("thing")
    assert found is not None
    assert found.body == b"3"


def test_a_lost_race_in_glue_is_no_overwrite(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program commits to the table at the last moment, without the lake's lock."""
    lake = cloud.open()
    publish_trades(lake, "r0", trades(0))
    update, lost = Glue.update, list[bool]()

    def raced(self: Glue, namespace: str, name: str, given: Any, version: str) -> bool:
        if not lost:
            table = cloud.catalog().load_table((cloud.database, "tapehouse_runs"))
            table.append(table.scan().to_arrow())
        lost.append(not update(self, namespace, name, given, version))
        return not lost[-1]

    monkeypatch.setattr(Glue, "update", raced)
    with lake.lock(), lake.staging("r1"):
        publish(lake, "r1", [stage_rows(lake, RUNS, pl.DataFrame({"run_id": ["r1"]}), "r1")], {})
    assert lost == [True, False]
    assert ids(cloud.open(), RUNS, "run_id") == ["r0", "r0", "r1"]


def test_a_version_that_is_not_current_is_refused(cloud: Cloud) -> None:
    lake = cloud.open()
    publish_trades(lake, "r0", trades(0))
    table = lake.catalog.load_table(("trades", "curated"))
    publish_trades(lake, "r1", trades(10))
    staged = lake.catalog._update_and_stage_table(table, table.name(), (), ())
    with lake.lock(), pytest.raises(CommitFailedException):
        lake.catalog.swap(table, staged)
    assert ids(cloud.open()) == list(range(20))


def test_without_the_lock_no_pointer_moves(cloud: Cloud) -> None:
    lake = cloud.open()
    publish_trades(lake, "r0", trades(0))
    table = lake.catalog.load_table(("trades", "curated"))
    with pytest.raises(LostLeaseError):
        table.transaction().set_properties({"a": "b"}).commit_transaction()
    assert ids(cloud.open()) == list(range(10))


def test_a_service_that_refuses_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is published, and the error names what was asked of whom."""
    lake = cloud.open()
    publish_trades(lake, "r0", trades(0))

    def refused(step: str) -> None:
        if step == "before trades.curated":
            cloud.client("s3").put_object(Bucket=cloud.curated, Key="lake/lock", Body=b'{"owner": "x"')

    with pytest.raises(LakeError, match="lock"):
        publish_trades(lake, "r1", trades(10), refused)
    with pytest.raises(LakeError, match="a lock of the lake is damaged"), S3Lake.attach(cloud.lake).lock():
        pass
    assert aws.code_of(ValueError()) == ""

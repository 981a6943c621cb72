"""Inputs on their way into a lake in S3, of which some cannot be read or were held when they were hashed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError, LakeError
from tapehouse.lake.place import Place
from tapehouse.lake.publish import PublicationPendingError
from tapehouse.runs import execute
from tapehouse.synthetic.truth import Generated

from .support import Cloud
from .test_telling import Watchers, run, watchers

__all__ = ["watchers"]


def test_the_others_are_told_when_one_is_gone(watchers: Watchers, contract: Contract, tape: Generated) -> None:
    locations = watchers.cloud.deliver(tape.files)
    gone = f"s3://{watchers.cloud.landing}/gone.csv"
    with pytest.raises(FeedError, match=r"gone\.csv"):
        run(watchers, contract, tape, [gone, *locations])
    status = {item["source"]["S"]: item["status"]["S"] for item in watchers.items().values()}
    assert status == dict.fromkeys(locations, "failed")
    assert watchers.metrics()["RunsFailed"] == 1
    assert [message["facts"]["error"] for message in watchers.messages()] == ["NothingThereError"]


def test_the_others_are_known_when_tasks_cannot_read_one(cloud: Cloud, tape: Generated) -> None:
    lake, locations = cloud.open(), cloud.deliver(tape.files[:3])
    landing = lake.landing(locations, here=False)
    landing.thorough()
    cloud.client("s3").delete_object(Bucket=cloud.landing, Key=locations[1].split("/", 3)[3])
    asked = list[int]()

    def digests(place: Place, paths: Sequence[Path]) -> list[str]:
        asked.append(len(paths))
        return [place.digest(path) for path in paths]

    landing.hashed_by(digests)
    with pytest.raises((FeedError, LakeError)):
        list(landing)
    landing.abandon()
    assert asked == [3, 2]
    assert [one.origin for one in landing.seen] == [locations[0], locations[2]]
    assert [one.digest for one in landing.seen] == [lake.raw.digest(tape.files[0]), lake.raw.digest(tape.files[2])]


@pytest.mark.parametrize("here", [True, False])
def test_nobody_waits_for_the_others_when_nobody_is_told(cloud: Cloud, tape: Generated, here: bool) -> None:
    landing = cloud.open().landing([f"s3://{cloud.landing}/gone.csv", *cloud.deliver(tape.files[:1])], here=here)
    landing.hashed_by(lambda place, paths: pytest.fail("read for nothing"))
    with pytest.raises(FeedError, match=r"gone\.csv"):
        list(landing)
    landing.abandon()


@pytest.mark.parametrize("remote", [True, False])
def test_what_was_held_and_is_gone_lands_again(cloud: Cloud, tape: Generated, remote: bool) -> None:
    """Another contract's run let go of it between hashing and publication."""
    lake = cloud.open()
    digest = lake.raw.land(tape.files[0]).digest
    landing = lake.landing(cloud.deliver(tape.files[:1]) if remote else tape.files[:1])
    [landed] = list(landing)
    assert landing.held_before(landed)
    lake.raw.remove([digest])
    landing.settle()
    assert lake.raw.verify(digest)


def test_what_is_pending_is_not_told_as_failed(
    watchers: Watchers, contract: Contract, tape: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next writer publishes it."""

    def pending(*given: Any) -> None:
        raise PublicationPendingError("r1", LakeError("S3 is away"))

    monkeypatch.setattr(execute, "publish_run", pending)
    with pytest.raises(PublicationPendingError):
        run(watchers, contract, tape, watchers.cloud.deliver(tape.files[:1]))
    assert watchers.items() == {}
    assert len(watchers.messages()) == 1

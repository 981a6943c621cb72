"""Requests that fail at the moment at which it is decided what counts."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tapehouse import aws
from tapehouse.errors import LakeError
from tapehouse.lake.publish import PublicationPendingError, recover
from tapehouse.lake.s3 import objects as stored
from tapehouse.lake.s3.lease import Holder, Lease
from tapehouse.lake.s3.objects import Objects

from .support import Cloud, ids, publish_trades, trades


def failing_once(patch: pytest.MonkeyPatch, method: str, body: bytes = b"") -> list[str]:
    """The next call of the method with that in its body fails; returns names of the objects that failed."""
    plain, failed = getattr(Objects, method), list[str]()

    def call(self: Objects, name: Any, *more: Any) -> Any:
        if not failed and body in (more[0] if more else b""):
            failed.append(str(name))
            raise LakeError("S3 is away")
        return plain(self, name, *more)

    patch.setattr(Objects, method, call)
    return failed


def test_a_decision_that_could_not_be_written_is_not_stored_later(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = Objects(cloud.curated, "some")
    lease = Lease(objects, "lock", 30)
    assert lease.try_take()
    lease.decide("r0")
    with monkeypatch.context() as patch:
        failing_once(patch, "swap")
        with pytest.raises(LakeError, match="away"):
            lease.decide("r1")
    assert lease.decided == ("r0",)
    with monkeypatch.context() as patch:
        failing_once(patch, "swap")
        with pytest.raises(LakeError, match="away"):
            lease.withdraw("r0")
    lease.release()
    found = objects.get("lock")
    assert found is not None
    assert Holder.read(found.body).decided == ("r0",)


def test_a_run_whose_decision_could_not_be_written_leaves_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = cloud.open()
    publish_trades(lake, "r0", trades(0))
    with monkeypatch.context() as patch:
        assert not failing_once(patch, "swap", b'"decided": ["r1"]')
        with pytest.raises(LakeError, match="away"):
            publish_trades(lake, "r1", trades(10))
    assert cloud.keys("lake/journal/") == []
    assert [key for key in cloud.keys("lake/warehouse/") if "/r1-" in key] == []
    publish_trades(lake, "r1", trades(10))
    assert ids(cloud.open()) == list(range(20))


@pytest.mark.parametrize("written", [False, True])
def test_files_stay_while_the_decision_is_in_doubt(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """Neither the answer to the decision comes nor can its journal be removed."""
    lake = cloud.open()
    publish_trades(lake, "r0", trades(0))
    plain, remove = Objects.swap, Objects.delete

    def swap(self: Objects, name: str, body: bytes, etag: str | None) -> str | None:
        if b'"decided": ["r1"]' not in body:
            return plain(self, name, body, etag)
        if written:
            plain(self, name, body, etag)
        raise LakeError("S3 is away")

    def delete(self: Objects, names: Any) -> None:
        known = list(names)
        if known == ["journal/r1.json"]:
            raise LakeError("S3 is away")
        remove(self, known)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "swap", swap)
        patch.setattr(Objects, "delete", delete)
        with pytest.raises(PublicationPendingError):
            publish_trades(lake, "r1", trades(10))
    assert [key for key in cloud.keys("lake/warehouse/") if "/r1-" in key]
    other = cloud.open()
    with other.lock():
        assert recover(other) == (["r1"] if written else [])
    assert ids(other) == list(range(20 if written else 10))
    assert cloud.keys("lake/journal/") == []


@pytest.mark.parametrize(("times", "won"), [(2, True), (99, False)])
def test_a_conflict_is_tried_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, times: int, won: bool) -> None:
    monkeypatch.setattr(stored, "_CONFLICT_SECONDS", 0.01)
    client, asked = aws.client("s3", ""), list[str]()
    plain = client.put_object

    def put(**request: Any) -> Any:
        asked.append(request["Key"])
        if len(asked) <= times:
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict", "Message": "busy"}}, "PutObject")
        return plain(**request)

    monkeypatch.setattr(client, "put_object", put)
    tag = Objects(cloud.curated, "some").swap("thing", b"1", None)
    assert (tag is not None) == won
    assert len(asked) == (3 if won else 4)


def test_a_decision_whose_answer_was_lost_stands(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer may be carrying it out by then: neither its journal nor its files are taken away."""
    lake = cloud.open()
    publish_trades(lake, "r0", trades(0))
    plain, lost = Objects.swap, list[str]()

    def swap(self: Objects, name: str, body: bytes, etag: str | None) -> str | None:
        answer = plain(self, name, body, etag)
        if not lost and b'"decided": ["r1"]' in body:
            lost.append(name)
            raise LakeError("no answer")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "swap", swap)
        with pytest.raises(PublicationPendingError):
            publish_trades(lake, "r1", trades(10))
    assert lost
    assert cloud.keys("lake/journal/")
    again = cloud.open()
    with again.lock():
        recover(again)
    assert ids(cloud.open()) == list(range(20))

"""Lineage to a file and to a real server: nothing raised, nothing lost."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tapehouse.errors import UsageError
from tapehouse.observe.delivery import Patience
from tapehouse.observe.spool import Drained
from tapehouse.observe.transports import FileTransport, HttpTransport, transport_for

QUICK = Patience(attempts=2, timeout_seconds=2.0, backoff_seconds=0.01, total_seconds=5.0)


def test_file_transport_writes_lines(tmp_path):
    transport = transport_for(str(tmp_path / "a" / "events.ndjson"), spool=tmp_path / "spool")
    assert isinstance(transport, FileTransport)
    assert transport.emit({"n": 1}).delivered
    assert transport.emit({"n": 2}).delivered
    assert [json.loads(line)["n"] for line in transport.path.read_text().splitlines()] == [1, 2]


def test_file_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    outcome = FileTransport(tmp_path / "file" / "events.ndjson").emit({})
    assert not outcome.delivered
    assert "events.ndjson" in outcome.warning


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full (Linux)")
def test_full_disk_is_a_warning():
    outcome = FileTransport(Path("/dev/full")).emit({"n": 1})
    assert not outcome.delivered
    assert "No space left" in outcome.warning


def test_http_transport_posts_to_the_lineage_path_with_the_key(listener, tmp_path):
    transport = transport_for(listener.url, spool=tmp_path / "spool", api_key="k3y", patience=QUICK)
    assert transport.emit({"n": 1}).delivered
    [(path, headers, body)] = listener.requests
    assert (path, headers["Authorization"], body) == ("/api/v1/lineage", "Bearer k3y", {"n": 1})
    assert "k3y" not in transport.emit({}).target
    assert not (tmp_path / "spool").exists()


def test_an_address_with_a_path_is_used_as_it_is(listener, tmp_path):
    transport_for(f"{listener.url}/own/path?tenant=a", spool=tmp_path / "spool", patience=QUICK).emit({})
    assert listener.requests[0][0] == "/own/path?tenant=a"
    assert "Authorization" not in listener.requests[0][1]


def test_what_a_dead_server_missed_is_sent_when_it_is_back(listener, answer, tmp_path):
    transport = transport_for(listener.url, spool=tmp_path / "spool", patience=QUICK)
    assert isinstance(transport, HttpTransport)
    listener.script = [answer(503)] * 4
    outcomes = [transport.emit({"n": n}) for n in (1, 2)]
    assert [(o.delivered, o.spooled) for o in outcomes] == [(False, True)] * 2
    assert "to be sent again" in outcomes[0].warning
    listener.requests.clear()
    listener.script = [answer(200), answer(500), answer(500)]
    assert transport.resend() == Drained(sent=1, kept=1)
    assert transport.resend() == Drained(sent=1)
    assert transport.resend() == Drained()
    assert [document["n"] for document in listener.documents] == [1, 2, 2, 2]


def test_dead_server_and_no_spool_is_still_only_a_warning(listener, answer, tmp_path):
    (tmp_path / "file").write_text("")
    listener.script = [answer(500)] * 2
    outcome = transport_for(listener.url, spool=tmp_path / "file" / "spool", patience=QUICK).emit({})
    assert (outcome.delivered, outcome.spooled) == (False, False)
    assert "cannot keep it" in outcome.warning


def test_file_uris(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spool = tmp_path / "spool"
    assert transport_for("file:///a/b%20c", spool=spool) == FileTransport(Path("/a/b c"))
    assert transport_for("file:rel/x", spool=spool) == FileTransport(Path("rel/x"))


@pytest.mark.parametrize("target", ["", "ftp://h/x", "kafka://h", "file://host/x", "http://", "https:///x"])
def test_other_targets_are_refused_at_start(target, tmp_path):
    with pytest.raises(UsageError, match="lineage"):
        transport_for(target, spool=tmp_path / "spool")


def test_hanging_server_holds_a_run_only_for_the_stated_time(listener, answer, tmp_path):
    listener.script = [answer(delay_seconds=2.0)]
    patience = Patience(attempts=1, timeout_seconds=0.2, total_seconds=0.3)
    started = time.monotonic()
    outcome = transport_for(listener.url, spool=tmp_path / "spool", patience=patience).emit({"n": 1})
    assert time.monotonic() - started < 1.0
    assert outcome.spooled
    assert json.loads((tmp_path / "spool").read_text()) == {"n": 1}

"""Who is told of a run: over real sockets and files, and a run never fails because nobody listens."""

from __future__ import annotations

import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tapehouse import api
from tapehouse.errors import FeedError, UsageError
from tapehouse.runs.notify import Listeners, started_at


class Server:
    """Takes posts on a local port; answers with `status`."""

    def __init__(self):
        self.status, self.posts, self.keys = 200, [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.status == 200:
                    outer.posts.append(json.loads(body))
                    outer.keys.append(self.headers.get("Authorization"))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    one = Server()
    yield one
    one.close()


def _run(contract, tape, lake, number, **listeners):
    return api.run(contract, tape / f"trades_0{number}.csv", lake=lake, references=tape / "ref.csv", **listeners)


def test_lineage_of_a_run_names_what_it_read_and_wrote(contract, tape, tmp_path, server, monkeypatch):
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "secret")
    result = _run(contract, tape, tmp_path / "lake", 0, lineage=[server.url])
    start, end = server.posts
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert server.keys == ["Bearer secret"] * 2
    assert dt.datetime.fromisoformat(start["eventTime"]) == started_at(result.run_id)
    assert end["eventTime"] > start["eventTime"]
    assert [one["name"] for one in end["inputs"]] == [str(tape / "trades_00.csv")]
    assert end["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"] == 2_000
    rows = {one["name"]: one["outputFacets"]["outputStatistics"]["rowCount"] for one in end["outputs"]}
    assert rows["consolidated_trades.curated"] == result.proof.counts["curated"]
    assert rows["consolidated_trades.quarantine"] == result.proof.counts["quarantined"]
    assert end["run"]["facets"]["tapehouse_conservation"]["proofClosed"] is True
    assert result.notes == ()


def test_a_run_with_nothing_new_is_not_told(contract, tape, tmp_path, server):
    _run(contract, tape, tmp_path / "lake", 0)
    result = _run(contract, tape, tmp_path / "lake", 0, lineage=[server.url], alerts=[server.url])
    assert (result.status, server.posts) == ("nothing", [])


def test_what_a_dead_server_missed_is_sent_by_the_next_run_first(contract, tape, tmp_path, server):
    lake = tmp_path / "lake"
    server.status = 400
    first = _run(contract, tape, lake, 0, lineage=[server.url])
    assert first.status == "published"
    assert [note.startswith("not told: http://127.0.0.1") for note in first.notes] == [True]
    spool = next((lake / "spool").glob("lineage-*.ndjson"))
    assert len(spool.read_text().splitlines()) == 2
    server.status = 200
    second = _run(contract, tape, lake, 1, lineage=[server.url])
    assert second.notes == ()
    ids = [post["run"]["facets"]["tapehouse_conservation"]["runId"] for post in server.posts]
    assert ids == [first.run_id] * 2 + [second.run_id] * 2


def test_a_stopped_run_fails_in_lineage_and_alerts(contract, bad_tape, tmp_path, server):
    events, metrics = tmp_path / "events.ndjson", tmp_path / "m.json"
    result = _run(contract, bad_tape, tmp_path / "lake", 0, lineage=[str(events)], alerts=[server.url], metrics=metrics)
    assert result.status == "stopped"
    last = json.loads(events.read_text().splitlines()[-1])
    assert last["eventType"] == "FAIL"
    assert "budget" in last["run"]["facets"]["errorMessage"]["message"]
    (alert,) = server.posts
    assert (alert["severity"], alert["run_id"]) == ("critical", result.run_id)
    assert alert["facts"]["because"] == list(result.stopped_because)
    assert json.loads(metrics.read_text())["succeeded"] is False


def test_an_error_is_told_and_raised_unchanged(contract, tape, tmp_path, server):
    events, metrics = tmp_path / "events.ndjson", tmp_path / "m.prom"
    listeners = {"lineage": [str(events)], "alerts": [server.url], "metrics": metrics}
    with pytest.raises(FeedError) as caught:
        api.run(contract, tape / "ref.csv", lake=tmp_path / "lake", references=tape / "ref.csv", **listeners)
    assert [json.loads(line)["eventType"] for line in events.read_text().splitlines()] == ["START", "FAIL"]
    (alert,) = server.posts
    assert alert["severity"] == "critical"
    assert alert["facts"]["error"] == "FeedError"
    assert alert["facts"]["message"] == caught.value.message
    assert "tapehouse_run_succeeded" in metrics.read_text()


def test_a_broken_warning_on_a_batch_is_an_alert_and_the_run_publishes(contract, tape, tmp_path, server):
    """The tape is of 2024, and the rule wants it to be of yesterday."""
    check = "implementation: {rule: freshness, max: 1d}"
    rule = f"{{name: stale, type: custom, engine: tapehouse, severity: warning, {check}}}"
    mended = tmp_path / "warn.yaml"
    mended.write_text(contract.read_text().replace("\n    quality:\n", f"\n    quality:\n      - {rule}\n"))
    result = _run(mended, tape, tmp_path / "lake", 0, alerts=[server.url])
    assert result.status == "published"
    (alert,) = server.posts
    assert alert["severity"] == "warning"
    assert "stale" in alert["facts"]["warnings"][0]


def test_nobody_listening_costs_notes_not_the_run(contract, tape, tmp_path):
    target = "http://127.0.0.1:9"
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, no folder")
    result = _run(
        contract,
        tape,
        tmp_path / "lake",
        0,
        lineage=[str(blocked / "events.ndjson"), target],
        metrics=blocked / "m.prom",
    )
    assert result.status == "published"
    assert len(result.notes) == 3
    assert all(note.startswith("not told: ") for note in result.notes)
    assert list(result.as_dict()["notes"]) == list(result.notes)


@pytest.mark.parametrize("wrong", [{"lineage": ["ftp://x"]}, {"alerts": ["sns:x"]}, {"alerts": ["mail:me"]}])
def test_a_wrong_target_is_an_error_before_the_run(contract, tape, tmp_path, wrong):
    with pytest.raises(UsageError):
        _run(contract, tape, tmp_path / "lake", 0, **wrong)
    assert api.list_runs(tmp_path / "lake") == []


def test_targets_given_twice_are_told_once(contract, tape, tmp_path, server):
    home = api.open_lake(tmp_path / "lake", create=True)
    listeners = Listeners.of(home, lineage=[server.url, server.url], alerts=["log:", "log:"])
    assert len(listeners.transports) == 1
    assert len(listeners.alerter.sinks) == 1

"""Posting JSON against a real server: what is retried, what is not, and how long it may take."""

from __future__ import annotations

import socket
import time

import pytest

from tapehouse.errors import UsageError
from tapehouse.observe.delivery import JsonPoster, Patience, check_http_url, shown

QUICK = Patience(attempts=3, timeout_seconds=2.0, backoff_seconds=0.01, total_seconds=5.0)


def test_delivers_once_with_headers(listener):
    outcome = JsonPoster(listener.url + "/hook", {"Authorization": "Bearer k"}, QUICK).post({"a": "ü"})
    assert (outcome.delivered, outcome.attempts, outcome.warning) == (True, 1, "")
    [(path, headers, body)] = listener.requests
    assert (path, body) == ("/hook", {"a": "ü"})
    assert headers["Authorization"] == "Bearer k"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_passing_faults_are_retried(listener, answer, status):
    listener.script = [answer(status), answer(status)]
    outcome = JsonPoster(listener.url, patience=QUICK).post({})
    assert (outcome.delivered, outcome.attempts) == (True, 3)
    assert len(listener.requests) == 3


def test_dropped_connection_is_retried(listener, answer):
    listener.script = [answer(drop=True)]
    assert JsonPoster(listener.url, patience=QUICK).post({}).attempts == 2


@pytest.mark.parametrize("status", [400, 401, 404, 422, 501])
def test_lasting_faults_are_not_retried(listener, answer, status):
    listener.script = [answer(status, body="no such\ntenant")] * 3
    outcome = JsonPoster(listener.url, patience=QUICK).post({})
    assert (outcome.delivered, outcome.attempts) == (False, 1)
    assert f"answered {status}: no such tenant (1 attempt)" in outcome.warning


def test_redirect_is_refused_and_named(listener, answer):
    listener.script = [answer(302, {"Location": "https://other.example/x?token=s3cret"})]
    outcome = JsonPoster(listener.url, patience=QUICK).post({})
    assert not outcome.delivered
    assert "redirect to https://other.example/x" in outcome.warning
    assert "s3cret" not in outcome.warning
    assert len(listener.requests) == 1


def test_gives_up_after_the_last_attempt(listener, answer):
    listener.script = [answer(500)] * 9
    outcome = JsonPoster(listener.url, patience=QUICK).post({})
    assert (outcome.delivered, outcome.attempts, len(listener.requests)) == (False, 3, 3)


def test_waits_double_with_jitter_and_obey_retry_after(listener, answer):
    waits: list[float] = []
    patience = Patience(attempts=4, backoff_seconds=0.4, backoff_seconds_max=1.0, total_seconds=60)
    listener.script = [answer(503), answer(429, {"Retry-After": "7"}), answer(503), answer(503)]
    JsonPoster(listener.url, patience=patience, sleep=waits.append).post({})
    assert 0.2 <= waits[0] <= 0.4
    assert waits[1] == 7.0
    assert 0.5 <= waits[2] <= 1.0
    assert len(waits) == 3


def test_a_wait_beyond_the_total_is_not_begun(listener, answer):
    waits: list[float] = []
    listener.script = [answer(503, {"Retry-After": "3600"})] * 2
    outcome = JsonPoster(listener.url, patience=QUICK, sleep=waits.append).post({})
    assert (outcome.attempts, waits) == (1, [])


def test_a_silent_server_costs_no_more_than_the_total(listener, answer):
    listener.script = [answer(delay_seconds=1.0)] * 5
    patience = Patience(attempts=5, timeout_seconds=0.2, backoff_seconds=0.01, total_seconds=0.5)
    started = time.monotonic()
    outcome = JsonPoster(listener.url, patience=patience).post({})
    assert not outcome.delivered
    assert time.monotonic() - started < 0.9


def test_nobody_listening_is_a_warning():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    outcome = JsonPoster(url, patience=QUICK).post({})
    assert not outcome.delivered
    assert "refused" in outcome.warning


def test_warnings_hide_credentials():
    assert shown("https://user:pw@host.example:8443/a/b?key=1#x") == "https://host.example:8443/a/b"


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "host/x", "http://", "", "http://host:port/", "http://[::1/", "file:///x"]
)
def test_other_addresses_are_refused_at_start(url):
    with pytest.raises(UsageError, match="is not a web address"):
        check_http_url(url, "alert")


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"timeout_seconds": 0}, {"backoff_seconds": -1}])
def test_senseless_patience_is_refused(wrong):
    with pytest.raises(UsageError):
        Patience(**wrong)

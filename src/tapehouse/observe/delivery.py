"""Sending JSON over HTTP with bounded patience, and what came of it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tapehouse.errors import UsageError

if TYPE_CHECKING:
    from email.message import Message

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Delivery:
    """Outcome of one attempt to tell somebody something. `warning` is empty exactly when `delivered`.

    `spooled` says that what could not be sent now was kept to be sent again.
    """

    target: str
    delivered: bool
    attempts: int = 1
    warning: str = ""
    spooled: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try: `timeout_seconds` per attempt, waits of `backoff_seconds` doubling with jitter, and never more
    than `total_seconds` for all attempts and waits together, so that a dead listener costs a run a known time.
    """

    attempts: int = 4
    timeout_seconds: float = 5.0
    backoff_seconds: float = 0.5
    backoff_seconds_max: float = 8.0
    total_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.timeout_seconds, self.total_seconds) <= 0 or self.backoff_seconds < 0:
            raise UsageError(
                f"delivery needs attempts >= 1, positive timeouts and a backoff >= 0, got {self}",
                fix="leave the settings out to use the defaults",
            )


def shown(url: str) -> str:
    """`url` without user, password and query, which may hold secrets: fit for logs."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def check_http_url(url: str, what: str) -> str:
    """`url` if it is http or https with a host; UsageError otherwise. `what` names the setting in the message."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is not a number, an unclosed bracket
        valid = False
    if not valid:
        raise UsageError(
            f"{what}: {url!r} is not a web address", fix="write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH"
        )
    return url


@dataclass(frozen=True, slots=True)
class _Refusal:
    """One failed attempt; `wait_seconds` is what the server asked for, 0 if it said nothing."""

    reason: str
    retry: bool
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class JsonPoster:
    """Posts JSON documents to one address. Redirects are refused: a POST that follows one may lose its body."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], None] = time.sleep

    def post(self, document: Mapping[str, Any]) -> Delivery:
        """Send `document`; never raises for anything the network or the server does."""
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str).encode()
        deadline = time.monotonic() + self.patience.total_seconds
        refusal = _Refusal("not tried", retry=True)
        attempt = 0
        while attempt < self.patience.attempts:
            attempt += 1
            left = deadline - time.monotonic()
            answer = self._once(body, min(self.patience.timeout_seconds, max(left, 0.001)))
            if answer is None:
                return Delivery(shown(self.url), delivered=True, attempts=attempt)
            refusal = answer
            wait = self._wait_seconds(attempt, refusal)
            if not refusal.retry or attempt == self.patience.attempts or time.monotonic() + wait >= deadline:
                break
            self.sleep(wait)
        tries = "1 attempt" if attempt == 1 else f"{attempt} attempts"
        warning = f"{shown(self.url)}: {refusal.reason} ({tries})"
        return Delivery(shown(self.url), delivered=False, attempts=attempt, warning=warning)

    def _wait_seconds(self, attempt: int, refusal: _Refusal) -> float:
        bound = min(self.patience.backoff_seconds * 2.0 ** (attempt - 1), self.patience.backoff_seconds_max)
        # Jitter keeps many runs that failed together from coming back together.
        return max(bound * random.uniform(0.5, 1.0), refusal.wait_seconds)  # noqa: S311 - not a secret

    def _once(self, body: bytes, timeout: float) -> _Refusal | None:
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import HTTPRedirectHandler, Request, build_opener

        class _NoRedirect(HTTPRedirectHandler):
            def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
                return None

        headers = {"Content-Type": "application/json", "User-Agent": "tapehouse", **self.headers}
        request = Request(self.url, data=body, headers=headers, method="POST")  # noqa: S310 - scheme checked on entry
        try:
            with build_opener(_NoRedirect).open(request, timeout=timeout):
                return None
        except HTTPError as error:
            with error:
                return _refused(error.code, error.headers, error.read(300))
        except (OSError, HTTPException) as error:  # refused, reset, timed out, TLS, half an answer
            return _Refusal(str(getattr(error, "reason", "") or error) or type(error).__name__, retry=True)


def _refused(status: int, headers: Message, body: bytes) -> _Refusal:
    if 300 <= status < 400:
        there = shown(headers.get("Location") or "")
        return _Refusal(f"answered {status}, a redirect to {there}: use that address", retry=False)
    after = headers.get("Retry-After") or ""
    said = " ".join(body.decode("utf-8", "replace").split())
    reason = f"answered {status}{f': {said}' if said else ''}"
    return _Refusal(reason, retry=status in _RETRIED, wait_seconds=float(after) if after.isdecimal() else 0.0)

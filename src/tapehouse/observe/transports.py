"""Where lineage events go: a file of JSON lines, or an OpenLineage server over HTTP with a spool behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from tapehouse.errors import UsageError
from tapehouse.observe.delivery import Delivery, JsonPoster, Patience, check_http_url
from tapehouse.observe.spool import Drained, Spool, append_line

# The path that OpenLineage servers listen on, added to an address that has none.
LINEAGE_PATH = "/api/v1/lineage"


class Transport(Protocol):
    """Takes events. `emit` never raises: a run does not fail because its lineage could not be told."""

    def emit(self, event: dict[str, Any]) -> Delivery:
        """Tell one event."""
        ...


class Waiting(Protocol):
    """Keeps events that could not be sent."""

    @property
    def path(self) -> Path | str:
        """Where they are kept."""
        ...

    def add(self, document: dict[str, Any]) -> None:
        """Keep one; OSError if it cannot be kept."""
        ...

    def drain(self, send: Callable[[dict[str, Any]], bool]) -> Drained:
        """Offer each to `send`, oldest first, until it returns False."""
        ...


@dataclass(frozen=True, slots=True)
class FileTransport:
    """Appends each event as one line of JSON; several processes may share the file."""

    path: Path

    def emit(self, event: dict[str, Any]) -> Delivery:
        """On disk when delivered."""
        try:
            append_line(self.path, event)
        except OSError as error:
            return Delivery(str(self.path), delivered=False, warning=f"{self.path}: {error.strerror or error}")
        return Delivery(str(self.path), delivered=True)


@dataclass(frozen=True, slots=True)
class HttpTransport:
    """Posts each event; what cannot be posted waits in `spool` for `resend`."""

    poster: JsonPoster
    spool: Waiting

    def emit(self, event: dict[str, Any]) -> Delivery:
        """Try within the poster's patience, else spool."""
        outcome = self.poster.post(event)
        if outcome.delivered:
            return outcome
        try:
            self.spool.add(event)
        except OSError as error:
            warning = f"{outcome.warning}; and {self.spool.path} cannot keep it: {error.strerror or error}"
            return Delivery(outcome.target, delivered=False, attempts=outcome.attempts, warning=warning)
        warning = f"{outcome.warning}; kept in {self.spool.path} to be sent again"
        return Delivery(outcome.target, delivered=False, attempts=outcome.attempts, warning=warning, spooled=True)

    def resend(self) -> Drained:
        """Send what waits in the spool, oldest first, stopping at the first event that fails again.

        Each event is sent at least once; a server knows a repeated one by its run id and type.
        """
        return self.spool.drain(lambda event: self.poster.post(event).delivered)


def transport_for(
    target: str, *, spool: Path | Waiting, api_key: str | None = None, patience: Patience | None = None
) -> FileTransport | HttpTransport:
    """The transport for `target`: a path, `file:PATH`, or an http(s) address.

    `spool` is a file, or what else keeps events. `api_key` is sent as a bearer token, and never shown. UsageError for
    anything else.
    """
    scheme = urlsplit(target).scheme if ":" in target else ""
    if scheme in ("http", "https"):
        parts = urlsplit(check_http_url(target, "lineage"))
        url = urlunsplit(parts._replace(path=LINEAGE_PATH)) if parts.path in ("", "/") else target
        headers = {"Authorization": f"Bearer {api_key}"} if api_key is not None else {}
        return HttpTransport(
            JsonPoster(url, headers, patience or Patience()), Spool(spool) if isinstance(spool, Path) else spool
        )
    if scheme == "file":
        parts = urlsplit(target)
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise UsageError(f"lineage: {target!r} names no local file", fix="write file:PATH or file:///FULL/PATH")
        return FileTransport(Path(unquote(parts.path)))
    if "://" in target or not target:
        raise UsageError(
            f"lineage: {target!r} is not understood", fix="give a path, file:PATH, http://HOST or https://HOST"
        )
    return FileTransport(Path(target))

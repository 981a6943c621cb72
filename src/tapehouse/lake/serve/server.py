"""HTTP: who may ask, how much at once, and the answers as bytes."""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
import socketserver
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake.home import Lake
from tapehouse.lake.serve import routes
from tapehouse.lake.serve.catalogue import Form, ServedCatalogue
from tapehouse.lake.serve.failures import RefusedError, bad, error_form, forbidden, refusal_of

_BODY_BYTES_MAX = 16 << 20
_IDLE_SECONDS_MAX = 60.0
_TOKEN_CHARACTERS_MIN = 16


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: `token` is what a client must show, none if empty; `writable` whether it may write."""

    token: str = ""
    writable: bool = False

    def check(self, host: str, authorization: str, origin: str | None, *, loopback: bool) -> None:
        """Raise RefusedError unless the request is from an engine that may ask.

        A page in a browser on this machine can reach a loopback server: under a name of its own that leads here, which
        its Host header tells, or by posting blindly, which its Origin header tells. No engine sends an Origin.
        """
        if loopback and not _is_loopback(_name_of(host)):
            raise forbidden(f"this catalogue is not called {host or 'that'}")
        if origin is not None:
            raise forbidden("this catalogue is not for web pages")
        kind, _, shown = authorization.partition(" ")
        same = hmac.compare_digest(shown.strip().encode(), self.token.encode())
        if self.token and not (kind.lower() == "bearer" and same):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "NotAuthorizedException", "a valid bearer token is needed")


class CatalogueServer(ThreadingHTTPServer):
    """An Iceberg REST catalogue of one lake, listening from the moment it is made; `serve_forever` answers.

    Port 0 takes a free one. Raises UsageError for an address that others can reach without a token, or a token that is
    too easy to guess; LakeError where the address cannot be had.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, lake: Lake, host: str, port: int, access: Access, *, failed: Callable[[Exception], None] | None = None
    ) -> None:
        self.catalogue, self.access, self.loopback = ServedCatalogue(lake), access, _is_loopback(host)
        self.failed = failed if failed is not None else lambda error: None
        if not self.loopback and not access.token:
            raise UsageError(
                f"{host} can be reached from other machines, and no token is asked for",
                fix="give --token-file, or TAPEHOUSE_TOKEN, or listen on 127.0.0.1",
            )
        if access.token and len(access.token) < _TOKEN_CHARACTERS_MIN:
            raise UsageError(f"the token has fewer than {_TOKEN_CHARACTERS_MIN} characters", fix="choose a longer one")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise LakeError(
                f"cannot listen on {host}:{port}: {error}", fix="choose another --port or --host"
            ) from error
        shown = f"[{host}]" if ":" in host else host
        self.uri = f"http://{shown}:{self.server_address[1]}"

    def server_bind(self) -> None:
        """As the base's, which also looks up the host's full name, and may wait long for it."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no matter."""


class _Handler(BaseHTTPRequestHandler):
    server: CatalogueServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tapehouse", ""
    timeout = _IDLE_SECONDS_MAX
    # One packet an answer: headers sent by themselves wait for the client's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        status, form = HTTPStatus.OK, None
        try:
            content = self._content()
            header = self.headers.get
            origin, authorization = header("Origin"), header("Authorization", "")
            self.server.access.check(header("Host", ""), authorization, origin, loopback=self.server.loopback)
            writable = self.server.access.writable
            status, form = routes.answer(self.server.catalogue, self.command, self.path, content, writable=writable)
        except Exception as error:
            refused = refusal_of(error, self.server.catalogue.lake.root)
            status, form = refused.status, error_form(refused)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, RefusedError):
                self.server.failed(error)
        self._send(status, form)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = do_PATCH = _answer  # noqa: N815

    def _content(self) -> bytes:
        """The request's body, whole: what is left of it would be taken for the next request."""
        length = self.headers.get("Content-Length", "0")
        fits = length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= _BODY_BYTES_MAX
        if not fits or self.headers.get("Transfer-Encoding") is not None:
            self.close_connection = True
            raise bad(f"a request has a Content-Length, of at most {_BODY_BYTES_MAX} bytes")
        return self.rfile.read(int(length))

    def _send(self, status: int, form: Form | None) -> None:
        body = b"" if form is None else json.dumps(form).encode()
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base finds wrong with a request, in the form of all other errors."""
        self.close_connection = True
        told = message or HTTPStatus(code).phrase
        self._send(code, error_form(RefusedError(HTTPStatus(code), "BadRequestException", told)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """No line per request."""


def _name_of(host: str) -> str:
    """The Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

"""Which path means what. The specification's prefix is left out: there is one lake to a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tapehouse.lake.serve.catalogue import Form, ServedCatalogue
from tapehouse.lake.serve.failures import RefusedError, bad, forbidden, unsupported


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the path's variables, the first value of each query parameter, and the bytes that came along."""

    variables: dict[str, str]
    query: dict[str, str]
    content: bytes

    @property
    def body(self) -> Form:
        """The JSON object that came along."""
        try:
            found = json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise bad(f"the request's body is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise bad("the request's body is not a JSON object")
        return found


Answer = tuple[HTTPStatus, Form | None]
Operation = Callable[[ServedCatalogue, Call], Form | None]


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is what follows `/v1/`. Without an operation it is one that the protocol has and a lake has not."""

    method: str
    path: str
    operation: Operation | None
    writes: bool = False


_NAMESPACE = "namespaces/{namespace}"
_TABLE = f"{_NAMESPACE}/tables/{{table}}"


def _no_content(operation: Callable[[ServedCatalogue, Call], Any]) -> Operation:
    """As the operation, of which only matters that it did not fail."""

    def silent(catalogue: ServedCatalogue, call: Call) -> None:
        operation(catalogue, call)

    return silent


def _namespace(catalogue: ServedCatalogue, call: Call) -> Form:
    return catalogue.namespace(call.variables["namespace"])


def _table(catalogue: ServedCatalogue, call: Call) -> Form:
    return catalogue.table(call.variables["namespace"], call.variables["table"])


def _config(catalogue: ServedCatalogue, call: Call) -> Form:
    # Writing is announced by a server that refuses it, too: its refusal says more than a client's own.
    known = [f"{route.method} /v1/{{prefix}}/{route.path}" for route in ROUTES if route.operation is not None]
    return {"defaults": {}, "overrides": {}, "endpoints": [one for one in known if not one.endswith("/config")]}


ROUTES = (
    Route("GET", "config", _config),
    Route("GET", "namespaces", lambda catalogue, call: catalogue.namespaces(call.query.get("parent", ""))),
    Route("POST", "namespaces", lambda catalogue, call: catalogue.create_namespace(call.body), writes=True),
    Route("GET", _NAMESPACE, _namespace),
    Route("HEAD", _NAMESPACE, _no_content(_namespace)),
    Route("GET", f"{_NAMESPACE}/tables", lambda catalogue, call: catalogue.tables(call.variables["namespace"])),
    Route(
        "POST",
        f"{_NAMESPACE}/tables",
        lambda catalogue, call: catalogue.create_table(call.variables["namespace"], call.body),
        writes=True,
    ),
    Route("GET", _TABLE, _table),
    Route("HEAD", _TABLE, _no_content(_table)),
    Route(
        "POST",
        _TABLE,
        lambda catalogue, call: catalogue.commit(call.variables["namespace"], call.variables["table"], call.body),
        writes=True,
    ),
    # What a client measured of its own scan is taken and forgotten.
    Route("POST", f"{_TABLE}/metrics", lambda catalogue, call: None),
    Route("DELETE", _TABLE, None, writes=True),
    Route("DELETE", _NAMESPACE, None, writes=True),
    Route("POST", f"{_NAMESPACE}/properties", None, writes=True),
    Route("POST", f"{_NAMESPACE}/register", None, writes=True),
    Route("POST", "tables/rename", None, writes=True),
    Route("POST", "transactions/commit", None, writes=True),
)


def answer(catalogue: ServedCatalogue, method: str, target: str, content: bytes, *, writable: bool) -> Answer:
    """Do what the request asks; the status, and the body where there is one. Raises what `ServedCatalogue` raises."""
    parts = urlsplit(target)
    route, variables = _find(method, parts.path)
    if route.writes and not writable:
        raise forbidden("this catalogue is read-only; start it with `tapehouse lake serve --writable`")
    if route.operation is None:
        raise unsupported(f"a lake's catalogue does not do this: {method} {parts.path}")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    form = route.operation(catalogue, Call(variables, query, content))
    return (HTTPStatus.NO_CONTENT, None) if form is None else (HTTPStatus.OK, form)


def _find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    segments = path.removeprefix("/v1/").split("/") if path.startswith("/v1/") else []
    others = []
    for route in ROUTES:
        variables = _match(route.path, segments)
        if variables is None:
            continue
        if route.method == method:
            return route, variables
        others.append(route.method)
    if others:
        status, known = HTTPStatus.METHOD_NOT_ALLOWED, ", ".join(sorted(others))
        raise RefusedError(status, "MethodNotAllowedException", f"{path} knows {known}, not {method}")
    raise RefusedError(HTTPStatus.NOT_FOUND, "NoSuchEndpointException", f"the catalogue has no {path}")


def _match(path: str, segments: list[str]) -> dict[str, str] | None:
    pattern = path.split("/")
    if len(pattern) != len(segments):
        return None
    variables = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            variables[wanted[1:-1]] = unquote(given)
        elif wanted != given:
            return None
    return variables

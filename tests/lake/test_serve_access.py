"""Who may ask the REST catalogue, and what it says to requests that make no sense."""

from __future__ import annotations

import http.client
from collections.abc import Callable

import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    ForbiddenError,
    UnauthorizedError,
)

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake.serve.server import Access, CatalogueServer

from .serving import NOTES, TOKEN, ask, serving
from .support import Bench, trades


def test_read_only(bench: Bench) -> None:
    bench.run("r1", trades(0, 10))
    before = sorted(bench.lake.root.rglob("*"))
    with serving(bench.lake, writable=False) as server:
        client = RestCatalog("lake", uri=server.uri)
        table = client.load_table("trades.curated")
        assert table.scan().count() == 10
        refusals: list[Callable[[], object]] = [
            lambda: client.create_namespace("desk"),
            lambda: client.create_table("trades.notes", NOTES),
            lambda: table.transaction().set_properties(a="b").commit_transaction(),
        ]
        for refused in refusals:
            with pytest.raises(ForbiddenError, match="read-only"):
                refused()
        assert ask(server, "POST", "/v1/namespaces/trades/tables/curated/metrics", "{}") == (204, None)
    assert sorted(bench.lake.root.rglob("*")) == before


def test_token(bench: Bench) -> None:
    bench.run("r1", trades(0, 10))
    with serving(bench.lake, token=TOKEN) as server:
        assert RestCatalog("lake", uri=server.uri, token=TOKEN).load_table("trades.curated").scan().count() == 10
        for given in ({}, {"token": "another that is long enough"}, {"token": TOKEN + "x"}):
            with pytest.raises(UnauthorizedError):
                RestCatalog("lake", uri=server.uri, **given)
        status, told = ask(server, "GET", "/v1/config", Authorization=f"Basic {TOKEN}")
        assert (status, told["error"]["type"], told["error"]["code"]) == (401, "NotAuthorizedException", 401)


def test_where_it_may_listen(bench: Bench) -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(UsageError, match="other machines"), serving(bench.lake, host=host):
            pass
    with pytest.raises(UsageError, match="characters"), serving(bench.lake, token="short"):
        pass
    with serving(bench.lake, host="0.0.0.0", token=TOKEN) as server:
        assert ask(server, "GET", "/v1/config", Host="lake.example", Authorization=f"Bearer {TOKEN}")[0] == 200
    with serving(bench.lake) as server, pytest.raises(LakeError, match="cannot listen"):
        CatalogueServer(bench.lake, "127.0.0.1", server.server_port, Access())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8181"}, 200),
        ({"Host": "[::1]:8181"}, 200),
        ({"Host": "attacker.example:8181"}, 403),
        ({"Host": "127.0.0.1.attacker.example"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_web_pages_are_kept_out(server: CatalogueServer, headers: dict[str, str], status: int) -> None:
    assert ask(server, "GET", "/v1/config", **headers)[0] == status


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "/", "", 404, "NoSuchEndpointException"),
        ("GET", "/v1/nothing", "", 404, "NoSuchEndpointException"),
        ("GET", "/v1/namespaces/trades/views", "", 404, "NoSuchEndpointException"),
        ("PUT", "/v1/config", "", 405, "MethodNotAllowedException"),
        ("GET", "/v1/namespaces/quotes", "", 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces?parent=quotes", "", 404, "NoSuchNamespaceException"),
        ("GET", "/v1/namespaces/trades/tables/x", "", 404, "NoSuchTableException"),
        ("DELETE", "/v1/namespaces/trades/tables/curated", "", 501, "UnsupportedOperationException"),
        ("POST", "/v1/tables/rename", "{}", 501, "UnsupportedOperationException"),
        ("POST", "/v1/transactions/commit", "{}", 501, "UnsupportedOperationException"),
        ("POST", "/v1/namespaces", "{not json", 400, "BadRequestException"),
        ("POST", "/v1/namespaces", b"\xff\xfe", 400, "BadRequestException"),
        ("POST", "/v1/namespaces", "[" * 100_000, 400, "BadRequestException"),
        ("POST", "/v1/namespaces", "[]", 400, "BadRequestException"),
        ("POST", "/v1/namespaces", "{}", 400, "BadRequestException"),
        ("POST", "/v1/namespaces", '{"namespace": ["a", "b"]}', 400, "BadRequestException"),
        ("POST", "/v1/namespaces", '{"namespace": ["../a"]}', 400, "BadRequestException"),
        ("POST", "/v1/namespaces", '{"namespace": ["a"], "properties": {"x": 1}}', 400, "BadRequestException"),
        ("POST", "/v1/namespaces/trades/tables", "{}", 400, "BadRequestException"),
        ("POST", "/v1/namespaces/trades/tables/curated", '{"updates": [{"action": "x"}]}', 400, "BadRequestException"),
        ("POST", "/v1/namespaces/trades/tables/x", '{"requirements": [], "updates": []}', 404, "NoSuchTableException"),
    ],
)
def test_errors_have_the_protocols_form(
    server: CatalogueServer, method: str, path: str, body: str, status: int, kind: str
) -> None:
    code, told = ask(server, method, path, body)
    assert (code, told["error"]["code"], told["error"]["type"]) == (status, status, kind)
    assert told["error"]["message"]


def test_requests_that_are_not_http(server: CatalogueServer) -> None:
    assert ask(server, "GET", "/v1/config", Content_Length="x")[0] == 400
    assert ask(server, "GET", "/v1/config", Content_Length="9" * 5000)[0] == 400
    assert ask(server, "POST", "/v1/namespaces", Content_Length=str(1 << 30))[0] == 400
    assert ask(server, "POST", "/v1/namespaces", Transfer_Encoding="chunked")[0] == 400
    assert ask(server, "BREW", "/v1/config")[0] == 501
    assert ask(server, "GET", "/v1/config")[0] == 200


def test_one_connection_serves_many_requests(server: CatalogueServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    seen = []
    for method, path, body in (
        ("POST", "/v1/namespaces", "{"),
        ("HEAD", "/v1/namespaces/x", ""),
        ("GET", "/v1/config", ""),
    ):
        connection.request(method, path, body)
        response = connection.getresponse()
        seen.append((response.status, len(response.read()) > 0))
    assert seen == [(400, True), (404, False), (200, True)]
    connection.close()

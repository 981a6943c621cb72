"""A lake served to other engines, and what they ask of it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from tapehouse.lake.home import Lake
from tapehouse.lake.serve.server import Access, CatalogueServer

NOTES = pa.schema([pa.field("id", pa.int64()), pa.field("note", pa.large_string())])
TOKEN = "a token that is long enough"


@contextmanager
def serving(
    lake: Lake, *, writable: bool = True, token: str = "", host: str = "127.0.0.1"
) -> Iterator[CatalogueServer]:
    home = Lake.open(lake.root, create=False, read_only=not writable)
    with CatalogueServer(home, host, 0, Access(token, writable=writable)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": list(ids), "note": [f"n{one}" if one % 2 else "" for one in ids]}, schema=NOTES)


def ask(server: CatalogueServer, method: str, path: str, body: bytes | str = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content) if content else None

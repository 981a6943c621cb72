"""Configurations of buckets that ministack's S3 does not know: kept and given back as they were put."""

from __future__ import annotations

from typing import Any

# Parameters of the query that name them; each configuration has an id of its own.
KINDS = ("intelligent-tiering", "metrics", "inventory", "analytics")
_STORE: dict[tuple[str, str, str], bytes] = {}


def install() -> None:
    from ministack.services import s3

    dispatch = s3._dispatch

    def dispatch_all(
        method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        kind = next((kind for kind in KINDS if kind in query), None)
        if key or kind is None or bucket not in s3._buckets:
            return dispatch(method, bucket, key, headers, body, query)
        return _answer(method, (bucket, kind, s3._qp(query, "id", "")), body)

    s3._dispatch = dispatch_all


def _answer(method: str, place: tuple[str, str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    xml = {"Content-Type": "application/xml"}
    if method == "PUT":
        _STORE[place] = body
        return 200, xml, b""
    if method == "DELETE":
        _STORE.pop(place, None)
        return 204, {}, b""
    if place in _STORE:
        return 200, xml, _STORE[place]
    code = (
        b"<Error><Code>NoSuchConfiguration</Code><Message>The specified configuration does not exist.</Message></Error>"
    )
    return 404, xml, code

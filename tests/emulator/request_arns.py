"""Resources of requests, as AWS authorizes them.

An action on a table of Glue's catalogue needs the permission on the table, on its database and on the catalogue;
ministack asks for one of them, and takes a database asked for by name for a table. Reading a stream with an iterator
needs the permission on the stream, which only the iterator knows.
"""

from __future__ import annotations

import json
from typing import Any

_DATABASES = ("CreateDatabase", "DeleteDatabase", "GetDatabase", "UpdateDatabase")
_TABLES = "Table"


def install() -> None:
    from ministack.core import iam_actions

    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: Any,
        body: bytes,
        query: Any,
        region: str,
        account: str,
        *more: Any,
    ) -> Any:
        if service == "kinesis":
            stream = _stream_read(body)
            if stream:
                return f"arn:aws:kinesis:{region}:{account}:stream/{stream}"
        if service == "glue":
            action = str(headers.get("x-amz-target", "")).rpartition(".")[2]
            found = _resource(action, body)
            if found:
                return f"arn:aws:glue:{region}:{account}:{found}"
        return extract(service, method, path, headers, body, query, region, account, *more)

    iam_actions.extract_resource_arn = extract_resource_arn


def containers(resource: str) -> list[str]:
    """What a resource of the catalogue lies in, which has to be allowed too."""
    head, _, tail = resource.rpartition(":")
    kind, _, name = tail.partition("/")
    if not head.startswith("arn:aws:glue:") or kind not in ("database", "table"):
        return []
    inside = [f"{head}:catalog"]
    return inside if kind == "database" else [*inside, f"{head}:database/{name.partition('/')[0]}"]


def _resource(action: str, body: bytes) -> str:
    try:
        given = json.loads(body or b"{}")
    except ValueError:
        return ""
    if action in _DATABASES:
        return f"database/{given.get('Name') or given.get('DatabaseInput', {}).get('Name', '')}"
    if _TABLES not in action or "DatabaseName" not in given:
        return ""
    name = given.get("Name") or given.get("TableName") or given.get("TableInput", {}).get("Name") or "*"
    return f"table/{given['DatabaseName']}/{name}"


def _stream_read(body: bytes) -> str:
    from ministack.services import kinesis

    try:
        iterator = json.loads(body or b"{}").get("ShardIterator")
    except ValueError:
        return ""
    state = kinesis._shard_iterators.get(iterator) if iterator else None
    return str(state["stream"]) if state else ""

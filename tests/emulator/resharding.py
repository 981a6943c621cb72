"""Streams that change their number of shards: ministack forgets the old shards with all their records.

As in AWS, the old shards are closed: they take no record any more, and are read until their end. The new ones follow.
Closed shards stay listed (AWS lists them for as long as their records are kept).
"""

from __future__ import annotations

import json
from typing import Any

Shard = dict[str, Any]


def install() -> None:
    from ministack.services import kinesis

    describe = kinesis._describe_stream_summary
    show = kinesis._shard_out

    def update_shard_count(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json, json_response

        name, stream = kinesis._resolve_stream(data)
        if not stream:
            return error_response_json("ResourceNotFoundException", f"Stream {name} not found", 400)
        old = open_shards(stream)
        target = int(data["TargetShardCount"])
        if not len(old) / 2 <= target <= len(old) * 2:
            bounds = "UpdateShardCount cannot scale below half or above double your current shard count"
            return error_response_json("InvalidArgumentException", bounds, 400)
        new = kinesis._build_shards(target, kinesis._max_shard_index(stream) + 1)
        for shard in new.values():
            shard["parent_shard_id"] = kinesis._route_to_shard(int(shard["starting_hash_key"]), stream)
        for shard in old.values():
            shard["closed"] = kinesis._next_sequence_number()
        stream["shards"].update(new)
        counts = {"CurrentShardCount": len(old), "TargetShardCount": target}
        return json_response({"StreamName": stream["StreamName"], "StreamARN": stream["StreamARN"], **counts})

    def route(hash_key: int, stream: dict[str, Any]) -> str:
        return next(
            name
            for name, shard in open_shards(stream).items()
            if int(shard["starting_hash_key"]) <= hash_key <= int(shard["ending_hash_key"])
        )

    def describe_open(data: dict[str, Any]) -> Any:
        status, headers, body = describe(data)
        if status != 200:
            return status, headers, body
        told = json.loads(body)
        _, stream = kinesis._resolve_stream(data)
        told["StreamDescriptionSummary"]["OpenShardCount"] = len(open_shards(stream))
        return status, headers, json.dumps(told).encode()

    def show_end(name: str, shard: Shard) -> Any:
        told = show(name, shard)
        if "closed" in shard:
            told["SequenceNumberRange"]["EndingSequenceNumber"] = shard["closed"]
        return told

    kinesis._update_shard_count = update_shard_count
    kinesis._route_to_shard = route
    kinesis._describe_stream_summary = describe_open
    kinesis._shard_out = show_end


def open_shards(stream: dict[str, Any]) -> dict[str, Shard]:
    return {name: shard for name, shard in stream["shards"].items() if "closed" not in shard}

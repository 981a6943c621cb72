"""Mappings of Kinesis streams to functions, with the parts that ministack leaves out: batch item failures, retries,
bisection, the age of records, the destination of what failed, fan-out consumers, and the permissions of the role.

As in AWS, per shard: a batch that fails is tried again until `MaximumRetryAttempts`; with `BisectBatchOnFunctionError`
an *error* first splits it in two (a split is no attempt); a *reported item failure* is a checkpoint: what lies before
it is done, and the rest is tried again as one batch. A batch whose attempts are used up, or that is too old, goes to
the destination as one range of sequence numbers, and the shard goes on. Not modelled: ParallelizationFactor and
MaximumBatchingWindowInSeconds (a shard's records are processed at once, one batch after the other).
"""

from __future__ import annotations

import base64
import json
import logging
import time
import uuid
from typing import Any

from emulator.mappings import Batch, Mapping, Shard

RETRY_SECONDS = 0.2
_LOG = logging.getLogger("emulator.event_sources")
_SHARDS: dict[tuple[str, str], Shard] = {}


def install() -> None:
    from ministack.services import lambda_svc

    run_sqs = lambda_svc._run_sqs_batch

    def run_sqs_if_allowed(esm: dict[str, Any], function: dict[str, Any], *args: Any) -> None:
        mapping = Mapping(esm, function, {})
        queue = esm["EventSourceArn"]
        if all(mapping.may(f"sqs:{name}", queue) for name in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")):
            run_sqs(esm, function, *args)

    lambda_svc._run_sqs_batch = run_sqs_if_allowed
    lambda_svc._poll_kinesis = poll


def poll() -> bool:
    """One pass over all mappings of streams; whether anything was processed."""
    from ministack.core.responses import _request_account_id, _request_region
    from ministack.services import lambda_svc

    busy = False
    for account, region, esm in lambda_svc._iter_all_esms():
        if not esm.get("Enabled", True) or ":kinesis:" not in esm.get("EventSourceArn", ""):
            continue
        account_token, region_token = _request_account_id.set(account), _request_region.set(region)
        try:
            mapping = _mapping(esm)
            busy = (mapping is not None and _run(mapping)) or busy
        finally:
            _request_account_id.reset(account_token)
            _request_region.reset(region_token)
    if not busy and any(state.pending for state in _SHARDS.values()):
        time.sleep(RETRY_SECONDS / 4)
        return True  # else the poller would wait a second before it asks again
    return busy


def _mapping(esm: dict[str, Any]) -> Mapping | None:
    """The mapping with its stream and function, while all of them exist."""
    from ministack.services import kinesis, lambda_svc

    source = esm["EventSourceArn"]
    stream_arn, _, consumer = source.partition("/consumer/")
    stream = kinesis._streams.get(stream_arn.rsplit("/", 1)[-1])
    if stream is None or (consumer and source not in kinesis._consumers):
        return None
    function, _config = lambda_svc._get_func_record_for_qualifier(esm["FunctionName"], esm.get("Qualifier"))
    return None if function is None else Mapping(esm, function, stream)


def _run(mapping: Mapping) -> bool:
    busy = False
    known = set(_SHARDS)
    for name, shard in list(mapping.stream["shards"].items()):
        key = (mapping.esm["UUID"], name)
        if key not in _SHARDS:
            # A shard that came by splitting or merging is read from its start.
            later = any(owner == mapping.esm["UUID"] for owner, _ in known)
            from_start = later or mapping.esm.get("StartingPosition") == "TRIM_HORIZON"
            first = 0 if from_start else len(shard["records"])
            _SHARDS[key] = Shard(first)
        state = _SHARDS[key]
        if time.monotonic() < state.not_before or not _read_through(mapping, shard.get("parent_shard_id")):
            continue
        if not state.pending:
            taken = shard["records"][state.position : state.position + mapping.limit("BatchSize", 100)]
            if not taken or not _may_read(mapping):
                state.not_before = time.monotonic() + (RETRY_SECONDS if taken else 0)
                continue
            state.position += len(taken)
            state.pending.append(Batch(list(taken)))
        busy = _process(mapping, name, state) or busy
    return busy


def _read_through(mapping: Mapping, parent: str | None) -> bool:
    """Whether nothing is left of the shard that was split or merged: what follows it waits."""
    shard = mapping.stream["shards"].get(parent)
    if parent is None or shard is None:
        return True
    state = _SHARDS[(mapping.esm["UUID"], parent)]
    return not state.pending and state.position >= len(shard["records"])


def _may_read(mapping: Mapping) -> bool:
    stream = mapping.stream["StreamARN"]
    source = mapping.esm["EventSourceArn"]
    needed = [("DescribeStream", stream), ("ListShards", stream)]
    if source == stream:
        needed += [("GetShardIterator", stream), ("GetRecords", stream)]
    else:
        needed += [("SubscribeToShard", source)]
    return all(mapping.may(f"kinesis:{action}", resource) for action, resource in needed)


def _process(mapping: Mapping, shard: str, state: Shard) -> bool:
    """Try the oldest batch once; whether the shard got on."""
    from ministack.services import lambda_svc

    batch = state.pending.popleft()
    age_max = mapping.limit("MaximumRecordAgeInSeconds")
    fresh = [r for r in batch.records if age_max < 0 or time.time() - r["ApproximateArrivalTimestamp"] <= age_max]
    if len(fresh) < len(batch.records):
        old = [record for record in batch.records if record not in fresh]
        _give_up(mapping, shard, Batch(old, batch.retries), "MaxRecordAgeExceeded", {})
        batch = Batch(fresh, batch.retries)
        if not fresh:
            return True
    events = [_event(record, shard, mapping.esm["EventSourceArn"], mapping.role) for record in batch.records]
    events = lambda_svc._apply_filter_criteria(events, mapping.esm)
    if not events:
        return True
    result = lambda_svc._execute_function(mapping.function, {"Records": events})
    if result.get("throttle"):
        # Only its age ends a batch that is throttled: that is no attempt.
        state.pending.appendleft(batch)
    elif result.get("error"):
        _failed(mapping, shard, state, batch, result)
    else:
        first = _first_failure(mapping, batch, result.get("body"))
        if first is None:
            mapping.esm["LastProcessingResult"] = f"OK - {len(batch.records)} records"
            return True
        _retry(mapping, shard, state, Batch(batch.records[first:], batch.retries), result)
    state.not_before = time.monotonic() + RETRY_SECONDS
    return False


def _first_failure(mapping: Mapping, batch: Batch, body: Any) -> int | None:
    """Index of the first record that was reported as failed; an item that is not of the batch fails all of it."""
    if "ReportBatchItemFailures" not in (mapping.esm.get("FunctionResponseTypes") or []) or not isinstance(body, dict):
        return None
    failures = body.get("batchItemFailures") or []
    if not failures:
        return None
    order = {record["SequenceNumber"]: index for index, record in enumerate(batch.records)}
    return min(order.get(failure.get("itemIdentifier"), 0) for failure in failures)


def _failed(mapping: Mapping, shard: str, state: Shard, batch: Batch, result: dict[str, Any]) -> None:
    mapping.esm["LastProcessingResult"] = "PROBLEM: Function call failed"
    _LOG.warning("%s failed: %s\n%s", mapping.name, result.get("body"), result.get("log", ""))
    if mapping.esm.get("BisectBatchOnFunctionError") and len(batch.records) > 1:
        middle = len(batch.records) // 2
        state.pending.appendleft(Batch(batch.records[middle:], batch.retries))
        state.pending.appendleft(Batch(batch.records[:middle], batch.retries))
        return
    _retry(mapping, shard, state, batch, result)


def _retry(mapping: Mapping, shard: str, state: Shard, batch: Batch, result: dict[str, Any]) -> None:
    most = mapping.limit("MaximumRetryAttempts")
    if 0 <= most <= batch.retries:
        _give_up(mapping, shard, batch, "RetryAttemptsExhausted", result)
    else:
        state.pending.appendleft(Batch(batch.records, batch.retries + 1))


def _event(record: dict[str, Any], shard: str, source: str, role: str) -> dict[str, Any]:
    data = record["Data"]
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(data).decode() if isinstance(data, bytes) else data,
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": role,
        "awsRegion": source.split(":")[3],
        "eventSourceARN": source,
    }


def _give_up(mapping: Mapping, shard: str, batch: Batch, condition: str, result: dict[str, Any]) -> None:
    """Tell the destination which records were given up; their data stays in the stream."""
    destination = ((mapping.esm.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
    first, last = batch.records[0], batch.records[-1]
    body = result.get("body") if isinstance(result.get("body"), dict) else {}
    message = {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": (mapping.function.get("config") or mapping.function)["FunctionArn"],
            "condition": condition,
            "approximateInvokeCount": batch.retries + 1,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled" if result.get("error") else None,
        },
        "version": "1.0",
        "timestamp": _iso(time.time()),
        "KinesisBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": first["SequenceNumber"],
            "endSequenceNumber": last["SequenceNumber"],
            "approximateArrivalOfFirstRecord": _iso(first["ApproximateArrivalTimestamp"]),
            "approximateArrivalOfLastRecord": _iso(last["ApproximateArrivalTimestamp"]),
            "batchSize": len(batch.records),
            "streamArn": mapping.stream["StreamARN"],
        },
    }
    _LOG.warning("%s gave up %d records: %s %s", mapping.name, len(batch.records), condition, body)
    if destination:
        _send(mapping, destination, json.dumps(message))


def _send(mapping: Mapping, destination: str, body: str) -> None:
    from emulator.inside import client

    service, name = destination.split(":")[2], destination.rsplit(":", 1)[-1]
    action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}[service]
    if not mapping.may(action, destination):
        return
    if service == "sqs":
        sqs = client("sqs")
        sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=body)
    else:
        client("sns").publish(TopicArn=destination, Message=body)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(float(seconds)))

"""Lambda function behind the custom resources of a deployment: buckets emptied before they are deleted, the release's
files, Iceberg tables. It has boto3 and this package's Python, no layer.

Whatever happens, CloudFormation gets an answer before the function's time is over; a failure carries its reason. The
deletion of what is gone succeeds. Physical ids are made from the properties that tell one resource from another, so an
update that changes them makes a new resource, and CloudFormation deletes the old one afterwards.

Calls: s3:ListBucketVersions and ListBucketMultipartUploads on emptied buckets, s3:DeleteObject, DeleteObjectVersion and
AbortMultipartUpload on their objects; s3:GetObject on the release's archive, s3:ListBucket and ListBucketVersions on
the bucket of scripts, s3:PutObject, DeleteObject, DeleteObjectVersion and AbortMultipartUpload on its releases/; for
tables s3:ListBucket on the curated bucket, s3:PutObject and DeleteObject under the lake's prefix, glue:GetTable,
CreateTable and DeleteTable; kms:Decrypt and kms:GenerateDataKey on the data key by way of these.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tapehouse.handlers import emptying, iceberg_table, release_files
from tapehouse.handlers.responses import Answer, respond
from tapehouse.handlers.surroundings import client, error_code, log

# Before the end of an invocation: when work is stopped, and when it is answered for come what may.
STOP_SECONDS, ANSWER_SECONDS = 30, 10
# A new permission holds everywhere within about a minute.
DENIED_SECONDS, DENIED_PAUSE_SECONDS = 90.0, 5.0
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "KMSAccessDeniedException"})

Work = Callable[[str, Mapping[str, Any], Mapping[str, Any], Callable[[], float]], Mapping[str, str]]


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Entry point. The work is done beside a watch, so that an answer is sent even when it hangs."""

    def seconds_left() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    done: list[Answer] = []
    worker = threading.Thread(
        target=lambda: done.append(answer_to(event, lambda: seconds_left() - STOP_SECONDS)), daemon=True
    )
    worker.start()
    worker.join(max(0.0, seconds_left() - ANSWER_SECONDS))
    late = Answer(physical_id_of(event), reason="it was not done in the time of an invocation; the log says how far")
    respond(event, done[0] if done else late)


def answer_to(event: Mapping[str, Any], seconds_left: Callable[[], float]) -> Answer:
    """Do what an event asks for. Never raises: what goes wrong is the answer's reason."""
    physical_id = physical_id_of(event)
    try:
        kind, properties = event["ResourceType"], event.get("ResourceProperties", {})
        log("request", request=event["RequestType"], kind=kind, resource=event["LogicalResourceId"])
        if event["RequestType"] == "Delete" and not _was_made(event):
            return Answer(physical_id)
        old = event.get("OldResourceProperties", {})
        data = _patiently(lambda: _WORK[kind](event["RequestType"], properties, old, seconds_left), seconds_left)
    except KeyError as error:
        return Answer(physical_id, reason=f"{event.get('ResourceType')}: there is no {error}")
    except Exception as error:
        return Answer(physical_id, reason=f"{error_code(error)}: {error}")
    return Answer(physical_id, data)


def _patiently(work: Callable[[], Mapping[str, str]], seconds_left: Callable[[], float]) -> Mapping[str, str]:
    """Do it again while it is denied: a policy that has just been made takes some seconds to hold everywhere. All work
    here can be done again.
    """
    began = seconds_left()
    while True:
        try:
            return work()
        except Exception as error:
            waited = began - seconds_left()
            if error_code(error) not in _DENIED or waited > DENIED_SECONDS or seconds_left() < 2 * DENIED_PAUSE_SECONDS:
                raise
            log("denied", reason=str(error), waited=round(waited))
            time.sleep(DENIED_PAUSE_SECONDS)


# The properties that tell one resource of a kind from another.
_IDENTITY = {
    "Custom::S3AutoDeleteObjects": ("BucketName", "Bucket"),
    "Custom::ReleaseFiles": ("TargetBucket", "Bucket", "Prefix"),
    "Custom::IcebergTable": ("Database", "Table", "Location"),
}


def physical_id_of(event: Mapping[str, Any]) -> str:
    """The id of the resource that an event is about. A deletion has it given: the one that was answered with."""
    if event["RequestType"] == "Delete" and event.get("PhysicalResourceId"):
        return str(event["PhysicalResourceId"])
    kind, properties = str(event.get("ResourceType", "")), event.get("ResourceProperties", {})
    told = [[name, properties[name]] for name in _IDENTITY.get(kind, ()) if name in properties]
    digest = hashlib.sha256(json.dumps([event.get("StackId"), kind, told]).encode()).hexdigest()
    return f"{kind.rpartition(':')[2].lower()}-{digest[:24]}"


def _was_made(event: Mapping[str, Any]) -> bool:
    """Whether a resource to be deleted is of ours: one that failed before it had an id has one of CloudFormation's."""
    kind = str(event.get("ResourceType", "")).rpartition(":")[2].lower()
    return str(event.get("PhysicalResourceId", "")).startswith(f"{kind}-")


def _empty(
    request: str, properties: Mapping[str, Any], old: Mapping[str, Any], seconds_left: Callable[[], float]
) -> Mapping[str, str]:
    if request == "Delete":
        removed = emptying.empty(client("s3"), _bucket(properties, "BucketName"), seconds_left)
        log("emptied", bucket=_bucket(properties, "BucketName"), versions=removed)
    return {}


def _release(
    request: str, properties: Mapping[str, Any], old: Mapping[str, Any], seconds_left: Callable[[], float]
) -> Mapping[str, str]:
    s3, bucket, prefix = client("s3"), _bucket(properties, "TargetBucket"), str(properties["Prefix"]).strip("/")
    if not prefix:
        raise ValueError("Prefix is empty: a release would be the whole bucket")
    if request == "Delete":
        try:
            emptying.remove_versions(s3, bucket, f"{prefix}/", seconds_left)
        except s3.exceptions.NoSuchBucket:
            log("bucket is gone", bucket=bucket)
        return {}
    source = (properties["SourceBucket"], properties["SourceKey"])
    counts = release_files.extract(s3, source, bucket, prefix, seconds_left)
    return {"Location": f"s3://{bucket}/{prefix}", **{name.title(): str(count) for name, count in counts.items()}}


def _table(
    request: str, properties: Mapping[str, Any], old: Mapping[str, Any], seconds_left: Callable[[], float]
) -> Mapping[str, str]:
    glue, s3 = client("glue"), client("s3")
    if request == "Delete":
        removed = iceberg_table.remove(glue, s3, properties, seconds_left)
        return {"Removed": str(removed).lower()}
    made = iceberg_table.create(glue, s3, properties)
    return {"Made": str(made).lower()}


def _bucket(properties: Mapping[str, Any], name: str) -> str:
    return str(properties.get(name) or properties["Bucket"])


_WORK: Mapping[str, Work] = {
    "Custom::S3AutoDeleteObjects": _empty,
    "Custom::ReleaseFiles": _release,
    "Custom::IcebergTable": _table,
}

"""Custom::S3AutoDeleteObjects: a bucket is emptied, with all versions and unfinished uploads, before it is deleted.

Properties: BucketName (or Bucket).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tapehouse.handlers.surroundings import error_code, log

_ABSENT = frozenset({"NoSuchBucket", "404", "NotFound"})


class IncompleteError(Exception):
    """Not everything could be done in the time of an invocation, or was refused."""


def empty(s3: Any, bucket: str, seconds_left: Callable[[], float]) -> int:
    """Delete every version of every object and every unfinished upload; how many versions. A bucket that is gone is
    empty.

    Raises IncompleteError telling what is left to do, with the first refusal where there was one.
    """
    try:
        removed = remove_versions(s3, bucket, "", seconds_left)
        for upload in _uploads(s3, bucket):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    except s3.exceptions.ClientError as error:
        if error_code(error) not in _ABSENT:
            raise
        log("bucket is gone", bucket=bucket)
        return 0
    return removed


def remove_versions(s3: Any, bucket: str, prefix: str, seconds_left: Callable[[], float]) -> int:
    """Delete every version of the objects under a prefix; how many."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    versions = ([*page.get("Versions", ()), *page.get("DeleteMarkers", ())] for page in pages)
    return _remove(s3, bucket, versions, ("Key", "VersionId"), seconds_left)


def remove_objects(s3: Any, bucket: str, prefix: str, seconds_left: Callable[[], float]) -> int:
    """Delete the objects under a prefix; how many. In a bucket with versions the last ones stay until they expire."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return _remove(s3, bucket, (page.get("Contents", ()) for page in pages), ("Key",), seconds_left)


def _remove(
    s3: Any,
    bucket: str,
    pages: Iterable[Sequence[Mapping[str, Any]]],
    names: Sequence[str],
    seconds_left: Callable[[], float],
) -> int:
    removed = 0
    for found in pages:
        removed += _delete(s3, bucket, [{name: one[name] for name in names} for one in found])
        if seconds_left() <= 0:
            raise IncompleteError(
                f"{removed:,} objects of {bucket} were deleted in the time there is, and there are more: "
                "delete the stack again, it goes on from here"
            )
    return removed


def _delete(s3: Any, bucket: str, objects: Sequence[Mapping[str, str]]) -> int:
    if not objects:
        return 0
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": list(objects), "Quiet": True})
    refused = answer.get("Errors") or []
    if refused:
        first = refused[0]
        raise IncompleteError(
            f"{len(refused)} of {len(objects)} objects of {bucket} could not be deleted; the first is "
            f"{first.get('Key')}: {first.get('Code')} {first.get('Message', '')}"
        )
    return len(objects)


def _uploads(s3: Any, bucket: str) -> Iterator[Mapping[str, str]]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        yield from page.get("Uploads", ())

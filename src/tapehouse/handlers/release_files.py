"""Custom::ReleaseFiles: the members of a zip archive in S3 become objects under a prefix.

Properties: SourceBucket, SourceKey, TargetBucket (or Bucket), Prefix. Neither the archive nor a member is ever in
memory or on disk as a whole: the archive is read by ranges, members are uploaded in parts.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

from tapehouse.handlers.emptying import IncompleteError
from tapehouse.handlers.surroundings import log

# A wheel of 180 MB is read in 23 requests, and uploaded in as many parts.
BLOCK_BYTES = 8 << 20


class RemoteFile(io.RawIOBase):
    """An object as a file that can be read anywhere; holds one block."""

    def __init__(self, s3: Any, bucket: str, key: str) -> None:
        super().__init__()
        self._s3, self._bucket, self._key = s3, bucket, key
        head = s3.head_object(Bucket=bucket, Key=key)
        self._size, self._tag = int(head["ContentLength"]), head["ETag"]
        self._at, self._start, self._block = 0, 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        if not self._start <= self._at < self._start + len(self._block):
            self._fetch(self._at)
        at = self._at - self._start
        piece = self._block[at : at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _fetch(self, start: int) -> None:
        end = min(start + BLOCK_BYTES, self._size) - 1
        answer = self._s3.get_object(
            Bucket=self._bucket, Key=self._key, Range=f"bytes={start}-{end}", IfMatch=self._tag
        )
        self._start, self._block = start, answer["Body"].read()


def extract(
    s3: Any, source: tuple[str, str], bucket: str, prefix: str, seconds_left: Callable[[], float]
) -> dict[str, int]:
    """Upload every member of the archive `source` (bucket, key) that is not there in its size; counts of both.

    Raises IncompleteError when time runs out, and for names that would leave the prefix.
    """
    from boto3.s3.transfer import TransferConfig

    there = _sizes(s3, bucket, prefix)
    # Parts one after the other: several at a time would each be in memory.
    config = TransferConfig(multipart_threshold=BLOCK_BYTES, multipart_chunksize=BLOCK_BYTES, use_threads=False)
    counts = {"written": 0, "kept": 0}
    with zipfile.ZipFile(io.BufferedReader(RemoteFile(s3, *source), 1 << 16)) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            if member.filename.startswith("/") or ".." in member.filename.split("/"):
                raise IncompleteError(f"the archive has a member {member.filename!r}, which leaves the release")
            if seconds_left() <= 0:
                raise IncompleteError(f"time ran out before {member.filename}; {counts['written']} files were written")
            key = f"{prefix}/{member.filename}"
            if there.get(key) == member.file_size:
                counts["kept"] += 1
                continue
            with archive.open(member) as content:
                s3.upload_fileobj(content, bucket, key, Config=config)
            counts["written"] += 1
    log("released", bucket=bucket, prefix=prefix, **counts)
    return counts


def _sizes(s3: Any, bucket: str, prefix: str) -> dict[str, int]:
    """Under a prefix that names the content of the archive, an object of the right size is the right one."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}

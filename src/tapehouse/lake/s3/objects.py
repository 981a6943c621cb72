"""Objects below a prefix of a bucket: the few things that are done with them. Can be sent to another process."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from typing import Any

from tapehouse import aws
from tapehouse.errors import LakeError, UsageError

_ABSENT = ("NoSuchKey", "404", "NotFound")
_CONFLICT = ("ConditionalRequestConflict", "409")  # another request was at work; it may have come to nothing
_LOST = ("PreconditionFailed", "412", *_CONFLICT, *_ABSENT)
_CONFLICTS_MAX = 4
_CONFLICT_SECONDS = 0.2
_DELETED_AT_ONCE = 1000
_WHOLE_BYTES = 64 << 20  # larger files are sent in parts
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its name below the prefix, bytes, seconds since 1970 of its last change, and its entity tag."""

    name: str
    size: int
    modified: float
    etag: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object's content, its entity tag, and how long ago it was written by the clock of S3, in seconds."""

    body: bytes
    etag: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Objects:
    """Names are keys without the prefix and its slash. Trouble is LakeError."""

    bucket: str
    prefix: str = ""
    region: str = ""

    @classmethod
    def at(cls, uri: str, region: str = "") -> Objects:
        """Those below `s3://BUCKET/PREFIX`. Raises UsageError for anything else."""
        scheme, _, rest = uri.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not bucket or "//" in prefix:
            raise UsageError(f"{uri!r} is no location in S3", fix="write s3://BUCKET/PREFIX")
        return cls(bucket, prefix.strip("/"), region)

    @property
    def uri(self) -> str:
        """`s3://BUCKET/PREFIX`, without a slash at its end."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, name: str) -> str:
        """The whole key."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def get(self, name: str) -> Tagged | None:
        """The whole object; None when there is none."""
        answer = self._ask("get_object", name)
        return None if answer is None else Tagged(answer["Body"].read(), answer["ETag"], _age(answer))

    def head(self, name: str) -> Found | None:
        """What S3 knows of the object; None when there is none."""
        answer = self._ask("head_object", name)
        if answer is None:
            return None
        return Found(name, answer["ContentLength"], answer["LastModified"].timestamp(), answer["ETag"])

    def age_seconds(self, name: str) -> float | None:
        """How long ago the object was written by the clock of S3; None when there is none."""
        answer = self._ask("head_object", name)
        return None if answer is None else _age(answer)

    def slice(self, name: str, span: str) -> tuple[bytes, int] | None:
        """Bytes of the object, `span` as in `bytes=SPAN`, and the size of the whole; None when there is none."""
        answer = self._ask("get_object", name, Range=f"bytes={span}")
        if answer is None:
            return None
        return answer["Body"].read(), int(answer["ContentRange"].rpartition("/")[2])

    def stream(self, name: str, etag: str = "") -> Iterator[bytes] | None:
        """The object in parts; None when there is none, or none with that entity tag any more."""
        answer = self._ask("get_object", name, **({"IfMatch": etag} if etag else {}))
        return None if answer is None else self._parts(name, answer["Body"])

    def _parts(self, name: str, body: Any) -> Iterator[bytes]:
        with aws.guarded("reading an object", f"{self.uri}/{name}"):
            yield from body.iter_chunks(_CHUNK_BYTES)

    def download(self, name: str, target: Path, etag: str = "") -> bool:
        """Bring the object to a file, which holds all of it or does not exist; False when there is no such object."""
        parts = self.stream(name, etag)
        if parts is None:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            with partial.open("wb") as out:
                for part in parts:
                    out.write(part)
            partial.replace(target)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        return True

    def put(self, name: str, body: bytes) -> None:
        """Write an object whatever was there."""
        with self._guarded("writing an object", name):
            self._client.put_object(Bucket=self.bucket, Key=self.key(name), Body=body)

    def upload(self, name: str, source: Path) -> None:
        """Write a file of any size as an object."""
        with self._guarded("writing an object", name):
            if source.stat().st_size <= _WHOLE_BYTES:
                with source.open("rb") as stream:
                    self._client.put_object(Bucket=self.bucket, Key=self.key(name), Body=stream)
            else:
                self._client.upload_file(str(source), self.bucket, self.key(name))

    def swap(self, name: str, body: bytes, etag: str | None) -> str | None:
        """Write the object if it still has that entity tag, or for None does not exist; returns the new tag, and None
        when somebody else was first. `body` must be one that nobody else writes.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        for conflicts in range(1, _CONFLICTS_MAX + 1):
            try:
                with self._guarded("writing an object", name):
                    answer = self._client.put_object(Bucket=self.bucket, Key=self.key(name), Body=body, **condition)
                    return str(answer["ETag"])
            except LakeError as error:
                code = aws.code_of(error.__cause__ or error)
                if code not in _LOST:
                    raise
            if code not in _CONFLICT:
                break
            if conflicts < _CONFLICTS_MAX:
                time.sleep(_CONFLICT_SECONDS * conflicts)
        # The answer to a request that was sent again is about the object that the first one wrote.
        there = self.get(name)
        return there.etag if there is not None and there.body == body else None

    def copy_from(self, bucket: str, key: str, etag: str, name: str) -> None:
        """Have S3 copy an object of any size; LakeError when it no longer has that entity tag."""
        with self._guarded(f"copying s3://{bucket}/{key}", name):
            self._client.copy(
                {"Bucket": bucket, "Key": key}, self.bucket, self.key(name), ExtraArgs={"CopySourceIfMatch": etag}
            )

    def listed(self, beginning: str = "") -> Iterator[Found]:
        """Objects whose name begins so."""
        skip = len(self.key(""))
        with self._guarded("listing objects", beginning):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.key(beginning)
            )
            for page in pages:
                for one in page.get("Contents", ()):
                    yield Found(one["Key"][skip:], one["Size"], one["LastModified"].timestamp(), one["ETag"])

    def folders(self, beginning: str) -> list[str]:
        """What stands between `beginning` and the next slash of names, sorted."""
        start = self.key(beginning)
        with self._guarded("listing objects", beginning):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=start, Delimiter="/"
            )
            found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())]
        return sorted(name[len(start) :].rstrip("/") for name in found)

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""
        waiting = iter(names)
        while batch := list(islice(waiting, _DELETED_AT_ONCE)):
            keys = [{"Key": self.key(name)} for name in batch]
            with self._guarded("removing objects", batch[0]):
                answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
            if errors := answer.get("Errors"):
                first = errors[0]
                raise LakeError(
                    f"s3://{self.bucket}/{first.get('Key')} was not removed: {first.get('Message')}",
                    fix="let the role remove objects of the lake",
                )

    def _ask(self, call: str, name: str, **more: Any) -> Any:
        try:
            with self._guarded("reading an object", name):
                return getattr(self._client, call)(Bucket=self.bucket, Key=self.key(name), **more)
        except LakeError as error:
            if aws.code_of(error.__cause__ or error) in (*_ABSENT, "PreconditionFailed", "412"):
                return None
            raise

    def _guarded(self, doing: str, name: str) -> Any:
        return aws.guarded(doing, f"s3://{self.bucket}/{self.key(name)}")

    @property
    def _client(self) -> Any:
        return aws.client("s3", self.region)


def _age(answer: dict[str, Any]) -> float:
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(told) if told else datetime.now(UTC)
    return float((now - answer["LastModified"]).total_seconds())


def remove_tree(folder: Path) -> None:
    """Remove a folder of the working copy, as far as it goes."""
    shutil.rmtree(folder, ignore_errors=True)

"""Landed objects: what their events say, their content's digest, and what judging their beginning finds."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote_plus

from tapehouse.errors import FeedError, TapehouseError
from tapehouse.handlers.judging import Dataset, Findings
from tapehouse.handlers.landing import PREFIX, first_of
from tapehouse.handlers.surroundings import error_code

HEAD_BYTES = 8 << 20
"""How much of an object is judged at the door: the run judges all of it. Bytes as they lie, compressed or not."""
WHOLE_BYTES_MAX = 32 << 20
"""Archives and binary formats can only be judged as a whole, and larger ones are not."""
_CHUNK_BYTES = 1 << 20
# A delete marker answers 405 to whoever asks for it by its version.
ABSENT = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound", "405", "MethodNotAllowed"})
"""What the service says of an object or version that is not there."""
_LINES = ("csv", "ndjson")
# Patterns and lists in the job's arguments.
_UNSAFE = frozenset(",*?[]{}\\")
_CUT = "malformed_truncated"


class RefusedError(TapehouseError):
    """An object that no attempt can take: it goes to the dead-letter queue, and somebody must look."""


class GoneError(Exception):
    """The object, or that version of it, is there no more: nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object that was created; `version` is empty in a bucket without versions."""

    bucket: str
    key: str
    version: str = ""

    @property
    def place(self) -> str:
        """As s3:// address."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def dataset(self) -> str:
        """Name of the dataset by the key. Raises RefusedError where the key says none, or the job could not be told."""
        parts = self.key.removeprefix(PREFIX).split("/")
        if not self.key.startswith(PREFIX) or len(parts) < 2 or not parts[0] or not parts[-1]:
            raise RefusedError(f"{self.place}: no dataset", fix=f"put objects under {PREFIX}<dataset>/")
        bad = sorted(_UNSAFE.intersection(self.key))
        if bad:
            raise RefusedError(
                f"{self.place}: the key has {' '.join(bad)}, which mean something else to the job",
                fix="put the object under a key without them",
            )
        return parts[0]


@dataclass(frozen=True, slots=True)
class Examined:
    """An object's content: digest, size, and what judging found; `findings` is None where it was judged before or
    cannot be judged here, and `part` says that they are of its beginning.
    """

    sha256: str
    size: int
    findings: Findings | None = None
    part: bool = False


def arrivals_of(body: str) -> list[Arrival]:
    """The objects of a message: one event of EventBridge, or a notification of S3 itself, whose keys are URL-encoded.

    Raises RefusedError for anything else.
    """
    try:
        event = json.loads(body)
        if "detail" in event:
            detail = event["detail"]
            if event.get("detail-type") != "Object Created":
                return []
            found = detail["object"]
            return _files([Arrival(detail["bucket"]["name"], found["key"], found.get("version-id") or "")])
        if event.get("Event") == "s3:TestEvent":
            return []
        return _files([_notified(record["s3"]) for record in event["Records"]])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError("the message is no event of a created object", fix="see who sends to the queue") from error


def _files(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Without the empty objects by which consoles show folders."""
    return [arrival for arrival in arrivals if not arrival.key.endswith("/")]


def _notified(event: Mapping[str, Any]) -> Arrival:
    found = event["object"]
    return Arrival(event["bucket"]["name"], unquote_plus(found["key"]), found.get("versionId") or "")


class Examiner:
    """Reads objects. `seconds_left` says how long this invocation may still take."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def examine(self, arrival: Arrival, dataset: Dataset | None, seconds_left: Callable[[], float]) -> Examined:
        """Digest and findings of an object; without `dataset` it is not judged. Raises GoneError, RefusedError, and
        FeedError where nothing of it can be read.
        """
        head = self._answer("head_object", arrival)
        metadata, size = head.get("Metadata") or {}, int(head["ContentLength"])
        if _judged_before(arrival, metadata):
            return Examined(metadata["sha256"], size)
        kept_max = None if dataset is None else _kept_max(dataset, arrival, size)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePosixPath(arrival.key).name)
            with path.open("wb") as kept:
                sha256 = self._read(arrival, kept, kept_max or 0, seconds_left)
            if dataset is None or kept_max is None:
                return Examined(sha256, size)
            part = kept_max < size
            if part:
                _cut(path)
            findings = dataset.judge(path, arrival.place)
        return Examined(sha256, size, _without_cut(findings) if part else findings, part)

    def _read(self, arrival: Arrival, kept: IO[bytes], kept_max: int, seconds_left: Callable[[], float]) -> str:
        digest, room, seen = hashlib.sha256(), kept_max, 0
        body = self._answer("get_object", arrival)["Body"]
        for chunk in body.iter_chunks(_CHUNK_BYTES):
            digest.update(chunk)
            seen += len(chunk)
            kept.write(chunk[:room])
            room = max(0, room - len(chunk))
            if seconds_left() <= 0:
                raise RefusedError(
                    f"{arrival.place}: {seen:,} bytes could be read in the time of an invocation, not all",
                    fix="deliver smaller files",
                )
        return digest.hexdigest()

    def _answer(self, call: str, arrival: Arrival) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        version = {"VersionId": arrival.version} if arrival.version and arrival.version != "null" else {}
        try:
            found: dict[str, Any] = getattr(self._s3, call)(Bucket=arrival.bucket, Key=arrival.key, **version)
        except ClientError as error:
            if error_code(error) in ABSENT:
                raise GoneError(arrival.place) from error
            raise
        return found


def _judged_before(arrival: Arrival, metadata: Mapping[str, str]) -> bool:
    """Whether the stream validator has landed the object: it says so, under a key as the validator makes it."""
    try:
        return (
            metadata.get("judged") == "stream"
            and bool(metadata.get("sha256"))
            and first_of(arrival.key) == int(metadata.get("first-sequence", ""))
        )
    except ValueError:
        return False


def _kept_max(dataset: Dataset, arrival: Arrival, size: int) -> int | None:
    """Bytes of the object that are judged; None: it is not."""
    if dataset.contract.feed.format in _LINES and not arrival.key.lower().endswith(".zip"):
        return min(size, HEAD_BYTES)
    return size if size <= WHOLE_BYTES_MAX else None


def _cut(path: Path) -> None:
    """Let plain text end with a line; compressed bytes end where they do."""
    with path.open("r+b") as file:
        start = file.read(4)
        if start[:2] == b"\x1f\x8b" or start == b"\x28\xb5\x2f\xfd":
            return
        file.seek(0)
        end = file.read().rfind(b"\n") + 1
        if end:
            file.truncate(end)


def _without_cut(findings: Findings) -> Findings:
    """Less the record that was cut off by us, which a reader of compressed bytes reports."""
    if not findings.rules.get(_CUT):
        return findings
    rules = {code: count - (code == _CUT) for code, count in findings.rules.items()}
    return Findings(
        findings.rows - 1,
        findings.rejected - 1,
        {code: count for code, count in rules.items() if count},
        findings.newest_ns,
    )


def unreadable(error: Exception) -> bool:
    """Whether an error is the object's own fault, which no other attempt mends."""
    return isinstance(error, FeedError | RefusedError)

"""Records of a shard become objects, each record once, however often and in whatever parts its batch is delivered.

A batch is cut into *runs*: records that follow one another in it, of one hour of arrival, none of them poison. A run is
landed as one object, in one conditional put, under a key made from its first record. So the hour's prefix of a shard is
the record of what has landed: before a run is put, the objects there that may hold some of it are asked how far they
reach, and only the rest is put. That is so whichever part of a batch comes again: all of it after a crash between the
put and the answer, a half of it after a bisection, or a gap that a redrive fills.

Keys hold the nines' complement of the sequence number, so that a listing begins with the latest. In a shard read by one
batch at a time, the first object that begins before the run is the last to be asked, unless it lists its records: it
is from a time when several were in work, and others may interleave with it. Where several batches of a shard
are in work at a time, their records interleave; then each object lists its records (eight bytes of each one's digest),
holds at most 100, and all objects written since the run's records arrived are asked.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tapehouse.handlers.records import Position, Record
from tapehouse.handlers.surroundings import error_code

PREFIX = "landing/"
# Of the number of digits that a sequence number has; Kinesis writes 56 and may write 129.
_LENGTH_DIGITS = 3
RECORDS_LISTED_MAX = 100
_MARK_BYTES = 8
# How far the clocks of two services may be apart.
_SKEW = dt.timedelta(minutes=5)
_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_KNOWN_MAX = 20_000
# Put and refused because another has just put it, or is putting it.
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True)
class Extent:
    """What a landed object holds of its shard: records from `first` to `last`; where `marks` are given, only those."""

    first: int
    last: int
    marks: frozenset[bytes] | None

    def holds(self, at: Position) -> bool:
        """Whether the record is in the object."""
        return self.first <= at.order <= self.last and (self.marks is None or mark_of(at) in self.marks)


@dataclass(frozen=True, slots=True)
class Put:
    """An object to be landed: some records under a key, with what is to be told of them."""

    key: str
    records: Sequence[Record]
    body: bytes
    metadata: dict[str, str]


class Conflict(Exception):  # noqa: N818 - no error: another attempt was quicker
    """The key is taken."""


def mark_of(at: Position) -> bytes:
    """What stands for a record in an object's list."""
    return hashlib.sha256(at.sequence.encode()).digest()[:_MARK_BYTES]


def folder_of(dataset: str, record: Record) -> str:
    """Prefix of the keys of a shard's records that arrived in the same hour."""
    hour = record.arrived.astimezone(dt.UTC)
    return f"{PREFIX}{dataset}/date={hour:%Y-%m-%d}/hour={hour:%H}/{record.at.stream}-{record.at.shard}-"


def rank_of(at: Position) -> str:
    """Sorts later records first, and can be read back."""
    digits = str(at.order)
    return f"{len(digits):0{_LENGTH_DIGITS}}{digits}".translate(_COMPLEMENT)


def first_of(key: str) -> int:
    """Order of the first record in the object under a key. Raises ValueError for a key of other making."""
    rank = key.rpartition("-")[2].partition(".")[0]
    return int(rank.translate(_COMPLEMENT)[_LENGTH_DIGITS:])


class Landing:
    """The landed objects of one dataset. `lanes` is how many batches of a shard may be in work at a time; 0: unknown,
    which is as safe as many and no quicker.
    """

    def __init__(self, s3: Any, bucket: str, dataset: str, suffix: str, lanes: int) -> None:
        self._s3, self._bucket, self._dataset, self._suffix = s3, bucket, dataset, suffix
        self._single = lanes == 1
        self._known: dict[str, Extent] = {}

    def runs(self, records: Sequence[Record | None]) -> Iterator[list[Record]]:
        """Records of one shard in order, cut into runs; None stands for one that is left out."""
        for _, group in groupby(records, lambda one: None if one is None else folder_of(self._dataset, one)):
            run = [record for record in group if record is not None]
            size = len(run) if self._single else RECORDS_LISTED_MAX
            yield from (run[start : start + size] for start in range(0, len(run), max(size, 1)))

    def missing(self, run: Sequence[Record]) -> list[list[Record]]:
        """The parts of a run that have not landed."""
        extents = list(self._extents(run))
        parts = groupby(run, lambda record: any(extent.holds(record.at) for extent in extents))
        return [list(part) for landed, part in parts if not landed]

    def prepare(self, part: Sequence[Record], header: bytes) -> Put:
        """The object for a part of a run."""
        first, last = part[0].at, part[-1].at
        body = header + b"".join(record.lines for record in part)
        metadata = {
            "judged": "stream",
            "sha256": hashlib.sha256(body).hexdigest(),
            "records": str(len(part)),
            "first-sequence": first.sequence,
            "last-sequence": last.sequence,
        }
        if not self._single:
            metadata["marks"] = base64.b64encode(b"".join(mark_of(record.at) for record in part)).decode()
        key = f"{folder_of(self._dataset, part[0])}{rank_of(first)}.{self._suffix}"
        return Put(key, part, body, metadata)

    def put(self, made: Put) -> None:
        """Land an object. Raises Conflict where its key is taken."""
        from botocore.exceptions import ClientError

        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=made.key,
                Body=made.body,
                IfNoneMatch="*",
                Metadata=made.metadata,
                ContentType="text/csv" if self._suffix == "csv" else "application/x-ndjson",
            )
        except ClientError as error:
            if error_code(error) in _TAKEN:
                raise Conflict(made.key) from error
            raise
        self._remember(made.key, _extent(made.metadata))

    def _extents(self, run: Sequence[Record]) -> Iterator[Extent]:
        """Of the objects that may hold records of the run."""
        folder, first = folder_of(self._dataset, run[0]), run[0].at.order
        written_since = run[0].arrived - _SKEW
        listing = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=folder,
            StartAfter=folder + rank_of(run[-1].at),
            PaginationConfig={"PageSize": 10 if self._single else 1000},
        )
        for page in listing:
            for item in page.get("Contents", ()):
                begins = first_of(item["Key"])
                if not self._single and item["LastModified"] < written_since:
                    continue
                extent = self._asked(item["Key"])
                if extent is None:
                    continue
                yield extent
                if self._single and begins <= first and extent.marks is None:
                    return

    def _asked(self, key: str) -> Extent | None:
        """An object never changes, so each is asked once; None for one that is gone."""
        from botocore.exceptions import ClientError

        if key not in self._known:
            try:
                answer = self._s3.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                raise
            self._remember(key, _extent(answer["Metadata"]))
        return self._known[key]

    def _remember(self, key: str, extent: Extent) -> None:
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[key] = extent


def _extent(metadata: dict[str, str]) -> Extent:
    marks = metadata.get("marks")
    listed = None if marks is None else base64.b64decode(marks)
    return Extent(
        int(metadata["first-sequence"]),
        int(metadata["last-sequence"]),
        None
        if listed is None
        else frozenset(listed[at : at + _MARK_BYTES] for at in range(0, len(listed), _MARK_BYTES)),
    )

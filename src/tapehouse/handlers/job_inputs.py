"""Inputs that a job is given: those of a list, and which of them are there."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlparse

from tapehouse.errors import FeedError, UsageError
from tapehouse.handlers.locations import S3_SCHEMES
from tapehouse.lake.s3.listing import absent, is_pattern
from tapehouse.lake.s3.objects import Objects

LIST = "@"
_AT_ONCE = 16
_TOLD_MAX = 20


def expanded(locations: Sequence[str]) -> list[str]:
    """`@LOCATION` is a text file, in S3 or of this machine, with a location on each of its lines."""
    return [one for each in locations for one in (_lines(each[1:]) if each.startswith(LIST) else [each])]


def _lines(location: str) -> list[str]:
    try:
        text = _content(location).decode()
    except UnicodeDecodeError:
        raise FeedError("is no text in UTF-8", path=location, fix="write a location on each line") from None
    # Names may have whatever else splits lines.
    return [line for line in (line.rstrip("\r") for line in text.split("\n")) if line.strip()]


def _content(location: str) -> bytes:
    parts = urlparse(location)
    if parts.scheme in S3_SCHEMES:
        bucket, _, key = location.partition("://")[2].partition("/")
        found = Objects(bucket).get(key)
        if found is None:
            raise FeedError("there is no file", path=location, fix="check the location and the job's permissions")
        return found.body
    if parts.scheme not in ("", "file"):
        raise UsageError(f"the list {location} is neither in S3 nor a file of the driver", fix="put it in S3")
    try:
        return Path(unquote(parts.path) if parts.scheme else location).read_bytes()
    except OSError as error:
        raise FeedError(str(error.strerror), path=location, fix="check the location") from error


def apart(locations: Sequence[str]) -> tuple[list[str], list[str]]:
    """Locations to be read, and those in S3 that are no pattern and where there is nothing (any more)."""
    asked = [one for one in locations if urlparse(one).scheme in S3_SCHEMES and not is_pattern(one)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        gone = {one for one, there_is_none in zip(asked, pool.map(absent, asked), strict=True) if there_is_none}
    return [one for one in locations if one not in gone], [one for one in dict.fromkeys(locations) if one in gone]


def note_of(gone: Sequence[str]) -> str:
    """What is told of inputs that were left out."""
    more = f" and {len(gone) - _TOLD_MAX} more" if len(gone) > _TOLD_MAX else ""
    return f"left out, as there is nothing: {', '.join(gone[:_TOLD_MAX])}{more}"

"""Objects that a location in S3 names: one, those of a folder, or those that match a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tapehouse.errors import FeedError
from tapehouse.lake.s3.objects import Found, Objects

_PATTERN = re.compile(r"[*?\[{]")
_FIX = "check the location and the job's permissions"


class NothingThereError(FeedError):
    """A location in S3 that names nothing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object, which version of it was listed, and when that was written, in seconds since 1970."""

    bucket: str
    key: str
    etag: str
    size: int
    modified: float

    @property
    def uri(self) -> str:
        """`s3://BUCKET/KEY`."""
        return f"s3://{self.bucket}/{self.key}"


def listed(location: str, region: str = "") -> list[Listed]:
    """Objects at a location, by key. A folder stands for the objects in it, hidden ones and further folders left out;
    patterns know `*`, `?`, `[..]` and `{a,b}`, none of which crosses a slash. Raises FeedError where there is nothing.
    """
    scheme, _, rest = location.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in ("s3", "s3a", "s3n") or not bucket:
        raise FeedError("is no location in S3", path=location, fix="write s3://BUCKET/KEY")
    objects = Objects(bucket, "", region)
    found = [Listed(bucket, one.name, one.etag, one.size, one.modified) for one in _found(objects, key)]
    if not found:
        raise NothingThereError("there is no file", path=location, fix=_FIX)
    return found


def is_pattern(location: str) -> bool:
    """Whether it may stand for any number of objects, none among them."""
    return _PATTERN.search(location) is not None


def absent(location: str, region: str = "") -> bool:
    """Whether there is nothing at a location in S3: no object, and none in a folder of that name."""
    try:
        listed(location, region)
    except NothingThereError:
        return True
    return False


def _found(objects: Objects, key: str) -> Iterator[Found]:
    pattern = _PATTERN.search(key)
    if pattern is not None:
        matches = [_expression(one) for one in _alternatives(key)]
        for one in objects.listed(key[: pattern.start()]):
            if any(match.fullmatch(one.name) for match in matches):
                yield one
        return
    one_object = objects.head(key) if key and not key.endswith("/") else None
    if one_object is not None:
        yield one_object
        return
    folder = f"{key.rstrip('/')}/" if key else ""
    for one in objects.listed(folder):
        name = one.name[len(folder) :]
        if name and "/" not in name and not name.startswith((".", "_")):
            yield one


def _expression(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression."""
    out, at = "", 0
    while at < len(pattern):
        end = pattern.find("]", at + 2) if pattern[at] == "[" else -1
        if end > 0:
            inside = pattern[at + 1 : end].replace("\\", r"\\")
            out += f"[^{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]"
            at = end
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at]))
        at += 1
    return re.compile(out)


def _alternatives(pattern: str) -> list[str]:
    """The patterns that `{a,b}` stands for."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [one for part in found[1].split(",") for one in _alternatives(f"{before}{part}{after}")]

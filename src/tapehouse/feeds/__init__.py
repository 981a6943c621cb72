"""Bytes to slices of contract-shaped columns, one module or package per format; `base` is the door to the kernel.

Readers know formats, compression and damage; they know no rule, no lake and no engine. Import contracts only.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from tapehouse.errors import FeedError
from tapehouse.feeds.base import FeedReader

ENTRY_POINTS = "tapehouse.feeds"
# Imported when asked for: each pulls in its own libraries.
_BUILT_IN = {
    "csv": "tapehouse.feeds.delimited.reader",
    "dbn": "tapehouse.feeds.dbn",
    "ndjson": "tapehouse.feeds.ndjson",
    "parquet": "tapehouse.feeds.parquet",
}


def formats() -> tuple[str, ...]:
    """Names that `reader` knows, built in and plugged in, sorted."""
    return tuple(sorted({*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))}))


def reader(format: str) -> FeedReader:  # noqa: A002 - the contract's own word for it
    """The reader of a format; raises FeedError naming the valid ones if there is none.

    A plug-in cannot replace a built-in format: contracts must mean the same wherever they run.
    """
    if format in _BUILT_IN:
        read: FeedReader = import_module(_BUILT_IN[format]).read
        return read
    for point in entry_points(group=ENTRY_POINTS, name=format):
        plugged: FeedReader = point.load()
        return plugged
    fix = f"set feed.format to one of {', '.join(formats())}, or install the plug-in that provides it"
    raise FeedError(f"unknown feed format {format!r}", fix=fix)

"""The folder that a lake on disk is: made whole or not at all, told from any other, locked for one process."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Callable
from pathlib import Path

from tapehouse.errors import LakeError
from tapehouse.lake import disk

_MARKER = "lake.json"
_FORMAT = 1
_FOLDERS = ("warehouse", "raw", "journal", "staging", "stopped")


def is_remote(root: Path | str) -> bool:
    """Whether this names a location in S3."""
    return re.match(r"s3:/", str(root)) is not None


def remote_address(root: Path | str) -> str:
    """The location as it should be written: paths lose a slash of it."""
    return re.sub(r"^s3:/+", "s3://", str(root)).rstrip("/")


def is_lake(folder: Path) -> bool:
    """Whether the folder is a lake."""
    return (folder / _MARKER).is_file()


def make(folder: Path, *, create: bool) -> None:
    """Make an empty lake; LakeError unless `create`, or where there is something else."""
    if not create:
        raise LakeError(f"no lake in {folder}", fix="check the path; `tapehouse run --lake` makes a lake")
    if folder.exists() and not (folder.is_dir() and _half_made(folder)):
        if (folder / _MARKER).is_file():
            return  # another process was making it just now
        raise LakeError(f"{folder} is not a lake and not empty", fix="point to a lake, or to an absent or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        (folder / name).mkdir(exist_ok=True)
    # The marker comes last: a folder that has it is complete.
    disk.write_atomic(folder / _MARKER, json.dumps({"format": _FORMAT}).encode())


def _half_made(folder: Path) -> bool:
    """Nothing visible in it, or only our own empty folders: a process died while making the lake."""
    entries = [path for path in folder.iterdir() if path.name[0] != "."]
    return all(path.name in _FOLDERS and path.is_dir() and not any(path.iterdir()) for path in entries)


def check_format(folder: Path) -> None:
    """LakeError for a lake of another format."""
    try:
        found = json.loads((folder / _MARKER).read_bytes())["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{folder / _MARKER} is damaged", fix=f'write {{"format": {_FORMAT}}} into it') from error
    if found != _FORMAT:
        raise LakeError(f"{folder} has lake format {found}; this version knows {_FORMAT}", fix="upgrade Tapehouse")


def flock(descriptor: int, waiting: Callable[[], None] | None) -> None:
    """Lock a file for this process alone; `waiting` is called once if that takes time."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting is not None:
            waiting()
        fcntl.flock(descriptor, fcntl.LOCK_EX)

"""Durable writes, and operating-system errors turned into ones that name the way out."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from tapehouse.errors import LakeError, TapehouseError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)
# Libraries that wrap a system error in their own exception keep the number or the text of it.
_FULL_TEXT = ("no space left", "os error 28", "disk is full", "errno 28", "disk quota")
_DENIED_TEXT = ("read-only file system", "os error 30", "readonly database", "permission denied", "os error 13")
_CATALOGUE_MODULES = ("sqlalchemy.", "sqlite3", "pyiceberg.exceptions")
# Writing a Parquet footer loses the number of the system error; the space left tells what it was.
_LOST_TEXT = ("transport error",)
_SYNCING = 4
_NO_SPACE_BYTES = 1 << 20
_SIZE_TEXT = ("file too large", "os error 27", "errno 27")


class DiskFullError(LakeError):
    """No space, quota or file-size limit left. Nothing half-written is visible; a rerun with more space works."""


class NotWritableError(LakeError):
    """The folder refuses writes."""


def explain(error: BaseException, doing: str, path: Path) -> LakeError | None:
    """`error` as a LakeError with a way out, or None when it is about neither the disk nor the catalogue."""
    number = error.errno if isinstance(error, OSError) else None
    text = str(error).lower()
    lost = any(mark in text for mark in _LOST_TEXT)
    if number in _FULL or any(mark in text for mark in _FULL_TEXT) or (lost and 0 <= _space(path) < _NO_SPACE_BYTES):
        return DiskFullError(
            f"disk full while {doing} ({path}; {_free(path)})", fix="free space on that disk and run again"
        )
    if number == errno.EFBIG or any(mark in text for mark in _SIZE_TEXT):
        return DiskFullError(f"file-size limit reached while {doing} ({path})", fix="raise `ulimit -f` and run again")
    if number in _DENIED or any(mark in text for mark in _DENIED_TEXT):
        return NotWritableError(
            f"no permission while {doing} ({path})",
            fix="make the folder writable for this user (a read-only mount must be remounted), or use another --lake",
        )
    if type(error).__module__.startswith(_CATALOGUE_MODULES):
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        return LakeError(
            f"the catalogue failed while {doing} ({path}): {reason}",
            fix="run again; stop any other program that writes this lake; if it is damaged, restore catalog.db",
        )
    if isinstance(error, OSError) or lost:
        why = getattr(error, "strerror", None) or error
        return LakeError(f"{why} while {doing} ({path})", fix="check the disk and run again")
    return None


@contextmanager
def guarded(doing: str, path: Path) -> Iterator[None]:
    """Raise disk trouble inside the block as LakeError; other exceptions pass unchanged."""
    try:
        yield
    except TapehouseError:
        raise
    except Exception as error:
        known = explain(error, doing, path)
        if known is None:
            raise
        raise known from error


def sync_file(path: Path) -> None:
    """Force the file's bytes to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# A directory is a file whose content is its names: the same call makes a rename or a new name durable.
sync_folder = sync_file


def sync_files(paths: Iterable[Path], *, root: Path) -> None:
    """Force files, and every folder between them and `root`, to disk; several at a time, for the disk does as well."""
    files = list(paths)
    with ThreadPoolExecutor(max_workers=min(_SYNCING, len(files) or 1)) as pool:
        list(pool.map(sync_file, files))
        list(pool.map(sync_folder, sorted(_folders(files, root))))


def _folders(files: Iterable[Path], root: Path) -> set[Path]:
    """The folders between files and `root`, that one too."""
    found: set[Path] = set()
    for path in files:
        folder = path.parent
        while folder not in found and folder.is_relative_to(root):
            found.add(folder)
            folder = folder.parent
    return found


def write_atomic(path: Path, content: bytes) -> None:
    """Write `path` so that it holds all of `content` or does not exist, whenever power fails."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def tree_bytes(folder: Path) -> tuple[int, int]:
    """(files, bytes) below `folder`; (0, 0) when it is absent."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def _free(path: Path) -> str:
    space = _space(path)
    return "free space unknown" if space < 0 else f"{space:,} bytes free"


def _space(path: Path) -> int:
    """Bytes free where `path` is or would be; -1 where that cannot be told."""
    place = next((parent for parent in (path, *path.parents) if parent.exists()), Path("/"))
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return -1

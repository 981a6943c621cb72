"""The spill folder of a running run, locked for as long as its process lives: that is how a dead run is told."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from tapehouse.errors import LakeError


def own(folder: Path) -> int:
    """Make `folder` and lock it; the descriptor holds the lock.

    Someone who takes the folder for a dead run's between its making and its locking removes it while holding that
    lock, so a lock on a folder that is no longer the one of that name is taken again.
    """
    for _ in range(100):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same(descriptor, folder):
                    return descriptor
            except BlockingIOError:
                # Perhaps only someone looking whether the run is alive, which takes no time.
                time.sleep(0.01)
            os.close(descriptor)
    raise LakeError(f"run {folder.name} is already at work", fix="wait for it, or use another run id")


def _same(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False


def is_owned(folder: Path) -> bool:
    """Whether the run that made `folder` is alive."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def empty(folder: Path) -> None:
    """Remove everything in `folder`, but not the folder, which carries the lock."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def remove(folder: Path) -> bool:
    """Remove a dead run's folder; False when its run turns out to be alive."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True

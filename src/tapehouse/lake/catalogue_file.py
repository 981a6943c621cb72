"""Opening the catalogue's SQLite file, also after a process died in the midst of a commit to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tapehouse.errors import LakeError

_TIMEOUT_SECONDS = 30.0


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection, the file made when absent unless `read_only`. Waits half a minute for another's lock.

    A commit that a dead process left half done is rolled back by whoever opens the file for writing next; one who opens
    it for reading can see neither the old state nor the new. A reader therefore opens it for writing first.
    """
    if read_only and path.with_name(f"{path.name}-journal").exists():
        _roll_back(path)
    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_TIMEOUT_SECONDS)


def _roll_back(path: Path) -> None:
    """Does nothing to a commit that is under way in a living process: its lock tells."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_TIMEOUT_SECONDS)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        raise LakeError(
            f"the catalogue {path} holds a half-done commit of a process that died, and cannot be written: {error}",
            fix="open the lake once where its folder is writable, for example with `tapehouse lake recover`",
        ) from error

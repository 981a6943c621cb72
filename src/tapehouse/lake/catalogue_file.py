"""The catalogue's SQLite file, in pyiceberg's own layout: opened, also after a process died in the midst of a commit to
it, made, and told of new tables. Needs no pyiceberg.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from tapehouse.errors import LakeError
from tapehouse.lake import disk

NAME = "tapehouse"
_TIMEOUT_SECONDS = 30.0
_LAYOUT = (
    """
    CREATE TABLE IF NOT EXISTS iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL,
        table_namespace VARCHAR(255) NOT NULL,
        table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000),
        previous_metadata_location VARCHAR(1000),
        iceberg_type VARCHAR(5),
        PRIMARY KEY (catalog_name, table_namespace, table_name)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL,
        namespace VARCHAR(255) NOT NULL,
        property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000) NOT NULL,
        PRIMARY KEY (catalog_name, namespace, property_key)
    )
    """,
)


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection, the file made when absent unless `read_only`. Waits half a minute for another's lock.

    A commit that a dead process left half done is rolled back by whoever opens the file for writing next; one who opens
    it for reading can see neither the old state nor the new. A reader therefore opens it for writing first.
    """
    if read_only and path.with_name(f"{path.name}-journal").exists():
        _roll_back(path)
    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_TIMEOUT_SECONDS)


@contextmanager
def transaction(path: Path, *, read_only: bool) -> Iterator[sqlite3.Connection]:
    """One transaction. A connection of its own each time: one made while the disk was read-only would stay so, and none
    survives a fork. A swap of a table's pointer must survive power loss, and readers must not make it fail.
    """
    with closing(connect(path, read_only=read_only)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        with connection:
            yield connection


def prepare(connection: sqlite3.Connection) -> None:
    """Make the catalogue's tables where they are absent."""
    for statement in _LAYOUT:
        connection.execute(statement)


def table_names(path: Path) -> list[str]:
    """`namespace.table` of every table, sorted; none where there is no file."""
    if not path.exists():
        return []
    with disk.guarded("reading the catalogue", path), closing(connect(path, read_only=True)) as db:
        try:
            rows = db.execute("SELECT table_namespace || '.' || table_name FROM iceberg_tables ORDER BY 1").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # a process died between making the file and its tables
                return []
            raise
    return [name for (name,) in rows]


def insert_table(path: Path, namespace: str, name: str, metadata: Path) -> bool:
    """Enter a new table, and its namespace if that is new; False when there is a table of that name."""
    with transaction(path, read_only=False) as connection:
        connection.execute("BEGIN IMMEDIATE")
        prepare(connection)
        space = "INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?, ?, 'exists', 'true')"
        connection.execute(space, (NAME, namespace))
        insert = "INSERT OR IGNORE INTO iceberg_tables VALUES (?, ?, ?, ?, NULL, 'TABLE')"
        return connection.execute(insert, (NAME, namespace, name, str(metadata))).rowcount == 1


def insert_namespace(path: Path, namespace: str, properties: Mapping[str, str]) -> bool:
    """Enter a new namespace; False when there is one of that name."""
    with transaction(path, read_only=False) as connection:
        connection.execute("BEGIN IMMEDIATE")
        prepare(connection)
        query = "SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?"
        if connection.execute(query, (NAME, namespace)).fetchone() is not None:
            return False
        rows = [(NAME, namespace, key, value) for key, value in {**properties, "exists": "true"}.items()]
        connection.executemany("INSERT INTO iceberg_namespace_properties VALUES (?, ?, ?, ?)", rows)
        return True


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

"""Opening the SQLite catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import NullPool, create_engine, event

from tapehouse.errors import LakeError
from tapehouse.lake import disk

NAME = "tapehouse"
_FILE_IO = "tapehouse.lake.iceberg.fileio.DurableFileIO"


def open_catalog(root: Path, *, read_only: bool) -> SqlCatalog:
    """The catalogue of the lake in `root`, made when absent unless `read_only`."""
    path = root / "catalog.db"
    if read_only and not path.exists():
        raise LakeError(f"the lake {root} has no catalogue yet", fix="run something into it first")
    uri = f"sqlite:///file:{quote(quote(str(path)))}?mode={'ro' if read_only else 'rwc'}&uri=true"
    with disk.guarded("opening the catalogue", path):
        catalog = SqlCatalog(
            NAME,
            **{
                "uri": uri,
                "warehouse": str(root / "warehouse"),
                "py-io-impl": _FILE_IO,
                "init_catalog_tables": str(not read_only).lower(),
            },
        )
    catalog.engine.dispose()
    # No pool: a connection made while the disk was read-only stays so, and none survives a fork. Making one is cheap.
    catalog.engine = create_engine(uri, poolclass=NullPool)
    event.listen(catalog.engine, "connect", _prepare)
    return catalog


def _prepare(connection: Any, _record: object) -> None:
    """A swap of a table's pointer must survive power loss, and readers in other processes must not make it fail."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()

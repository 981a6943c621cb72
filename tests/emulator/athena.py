"""Athena over Iceberg tables of the Glue catalogue: ministack reads every file below a table's location, dead ones too.

The table's current metadata is read with pyiceberg, its live rows (deletes applied, columns of the current schema) go
to one Parquet file, and DuckDB reads that. Objects come straight from the emulator's S3, not over its own socket.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from pyiceberg.io import FileIO, InputFile, OutputFile

# Location of an Iceberg table in the query that is being rewritten -> file with its live rows.
_LIVE: ContextVar[dict[str, str]] = ContextVar("live", default={})  # noqa: B039 (replaced, never changed)


class EmulatedObject(InputFile):
    def __len__(self) -> int:
        return len(self._content())

    def exists(self) -> bool:
        return self._find() is not None

    def open(self, seekable: bool = True) -> Any:
        return io.BytesIO(self._content())

    def _find(self) -> bytes | None:
        from ministack.services import s3

        place = urlparse(self.location)
        found: bytes | None = s3._get_object_data(place.netloc, place.path.lstrip("/"))
        return found

    def _content(self) -> bytes:
        found = self._find()
        if found is None:
            raise FileNotFoundError(self.location)
        return found


class EmulatedObjects(FileIO):
    """Reads only."""

    def new_input(self, location: str) -> InputFile:
        return EmulatedObject(location)

    def new_output(self, location: str) -> OutputFile:
        raise NotImplementedError("Athena reads")

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise NotImplementedError("Athena reads")


def install() -> None:
    from ministack.services import athena, glue

    rewrite = athena._rewrite_data_paths
    files = athena._materialize_table_files
    relation = athena._table_relation

    async def rewrite_with_iceberg(query: str, database: str, catalog: str | None = None) -> Any:
        live: dict[str, str] = {}
        folder = tempfile.mkdtemp(prefix="iceberg-")
        for reference in athena._table_references(query):
            table = glue._tables.get(f"{reference.database or database or 'default'}/{reference.table}") or {}
            metadata = (table.get("Parameters") or {}).get("metadata_location")
            if metadata:
                live[table["StorageDescriptor"]["Location"]] = await asyncio.to_thread(_live_rows, metadata, folder)
        token = _LIVE.set(live)
        try:
            rewritten, buckets, folders = await rewrite(query, database, catalog)
        finally:
            _LIVE.reset(token)
        return rewritten, buckets, [*folders, folder]

    def files_or_live(location: str, folders: list[str]) -> list[str]:
        live = _LIVE.get().get(location)
        found: list[str] = [live] if live is not None else files(location, folders)
        return found

    def relation_or_live(table: dict[str, Any], paths: list[str]) -> str:
        if paths == [_LIVE.get().get(table["StorageDescriptor"]["Location"])]:
            return f"read_parquet('{paths[0]}', hive_partitioning = false)"
        plain: str = relation(table, paths)
        return plain

    athena._rewrite_data_paths = rewrite_with_iceberg
    athena._materialize_table_files = files_or_live
    athena._table_relation = relation_or_live


def _live_rows(metadata_location: str, folder: str) -> str:
    import pyarrow.parquet as pq
    from pyiceberg.table import StaticTable

    table = StaticTable.from_metadata(metadata_location, {"py-io-impl": f"{__name__}.{EmulatedObjects.__name__}"})
    path = Path(folder, f"{table.metadata.table_uuid}.parquet")
    pq.write_table(table.scan().to_arrow(), path)
    return str(path)

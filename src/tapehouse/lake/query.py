"""SQL over the whole lake: DuckDB in this process, a view for each table, nothing that can write."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake.home import Lake
from tapehouse.lake.table import File, LakeTable

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def query(lake: Lake, sql: str, as_of: datetime | str | None = None, *, memory_limit: str = "") -> pa.Table:
    """Run one SQL statement over views `namespace.table`; the result as Arrow.

    `as_of` is a moment (aware) or a run id: every table then is as it was at that moment, or right after that run.
    `memory_limit` is DuckDB's (such as "2GB"; empty: its default). UsageError for wrong SQL, with valid names where a
    table is not known. The statement can read the lake's files and nothing else.
    """
    import duckdb

    tables = lake.tables()
    moment = _moment(tables, as_of) if isinstance(as_of, str) else as_of
    connection = duckdb.connect(":memory:", config={"memory_limit": memory_limit} if memory_limit else {})
    try:
        connection.execute("SET TimeZone='UTC'")
        for table in tables:
            schema, files = _state(table, as_of, moment)
            paths = [file.path for file in files]
            # Whatever is read is named; files of a lake in S3 are not brought for tables that nobody reads.
            here = lake.place.fetch(paths) if table.name.lower() in sql.lower() else lake.place.here(paths)
            _view(connection, table, schema, here)
        connection.execute(f"SET allowed_directories=[{_text(str(lake.warehouse) + '/')}]")
        connection.execute("SET enable_external_access=false")
        connection.execute("SET lock_configuration=true")
        _only_reads(connection, sql)
        result: pa.Table = connection.sql(sql).to_arrow_table()
        return result
    except duckdb.CatalogException as error:
        raise UsageError(str(error), fix=f"tables: {', '.join(t.identifier for t in tables) or 'none yet'}") from error
    except duckdb.PermissionException as error:
        raise UsageError(str(error), fix="a query can read the lake's tables and no other file") from error
    except duckdb.IOException as error:
        raise LakeError(str(error), fix="if files were removed by an expiry meanwhile, run the query again") from error
    except duckdb.Error as error:
        raise UsageError(str(error), fix="correct the SQL (it is DuckDB's)") from error
    finally:
        connection.close()


def _only_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """DuckDB must be able to read the lake's folder, and then COPY could write into it: only SELECT goes through."""
    import duckdb

    found = connection.extract_statements(sql)
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(statement.type.name for statement in found) or "nothing"
        raise UsageError(f"this is {kinds}", fix="a query is one SELECT, DESCRIBE, SHOW or SUMMARIZE")


def _view(connection: duckdb.DuckDBPyConnection, table: LakeTable, schema: pa.Schema, files: list[Path] | None) -> None:
    """A view over the files; for None one that cannot be read. The empty table it starts from gives every column its
    place and type, also those that no file has yet.
    """
    empty = ", ".join(f"NULL::{_sql_type(field.type)} AS {_name(field.name)}" for field in schema)
    body = f"SELECT {empty} WHERE false"
    if files is None:
        body = body.replace("false", "error('this table was not fetched: write its name into the query') IS NULL")
    elif files:
        paths = ", ".join(_text(str(path)) for path in files)
        source = f"read_parquet([{paths}], union_by_name=true, hive_partitioning=false)"
        body += f" UNION ALL BY NAME SELECT * FROM {source}"  # noqa: S608  (names and paths are quoted)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_name(table.namespace)}")
    connection.execute(f"CREATE VIEW {_name(table.namespace)}.{_name(table.name)} AS {body}")


def _state(table: LakeTable, as_of: datetime | str | None, moment: datetime | None) -> tuple[pa.Schema, list[File]]:
    """The table's columns and files as they are to be shown; no files before its first snapshot."""
    if as_of is None:
        return table.schema, table.files()
    own = table.snapshot_of_run(as_of) if isinstance(as_of, str) else None
    found = own if own is not None else table.snapshot_id(moment)
    return (table.schema, []) if found is None else (table.schema_at(found), table.files(found))


def _moment(tables: list[LakeTable], run_id: str) -> datetime:
    """When the run's first table was committed: tables that it did not touch are shown as they were then."""
    moments = [info.committed for table in tables for info in table.snapshots() if info.run_id == run_id]
    if not moments:
        raise UsageError(f"no table has a snapshot of run {run_id}", fix="`tapehouse runs list` shows the runs")
    return min(moments)


def _sql_type(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    if pa.types.is_large_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f"{_name(field.name)} {_sql_type(field.type)}" for field in kind) + ")"
    names: dict[Any, str] = {
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.date32(): "DATE",
        pa.large_string(): "VARCHAR",
        pa.large_binary(): "BLOB",
    }
    if kind not in names:
        raise LakeError(f"columns of type {kind} cannot be queried", fix="read the table with the engine that wrote it")
    return names[kind]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

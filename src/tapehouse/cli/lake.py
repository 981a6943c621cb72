"""`lake tables|snapshots|usage`: what a lake holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapehouse.cli.options import LAKE, Json, LakeFolder, Limit

if TYPE_CHECKING:
    from tapehouse.lake.home import Lake
    from tapehouse.lake.table import LakeTable

app = typer.Typer(help="What a lake holds, and its upkeep.", no_args_is_help=True)

Tables = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TABLE", help="Tables such as consolidated_trades.curated; all if left out.", show_default=False
    ),
]


def tables_of(lake: Lake, names: list[str] | None) -> list[LakeTable]:
    """The tables named, or all. UsageError for one that is not there."""
    from tapehouse.errors import UsageError

    known = lake.names()
    for name in names or ():
        if name not in known:
            raise UsageError(f"the lake has no table {name!r}", fix=f"it has {', '.join(known) or 'none yet'}")
    found = (lake.table(*name.split(".", 1)) for name in (names or known))
    return [table for table in found if table is not None]


def show_rows(as_json: bool, key: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """All facts as JSON under `key`, or a table of `columns`."""
    from tapehouse.cli.output import emit, table

    if as_json:
        emit({key: rows})
    else:
        table(columns, [[row[name] for name in columns] for row in rows])


@app.command()
def tables(lake: LakeFolder = LAKE, as_json: Json = False) -> None:
    """List tables with their rows and files.

    \b
    Examples:
      tapehouse lake tables --lake lake
    """
    from tapehouse.arguments import open_lake

    home = open_lake(lake, read_only=True)
    rows = []
    for one in tables_of(home, None):
        files = one.files()
        rows.append(
            {
                "table": one.identifier,
                "rows": sum(file.rows for file in files),
                "files": len(files),
                "bytes": sum(file.bytes for file in files),
                "snapshot": one.snapshot_id(),
                "columns": list(one.schema.names),
            }
        )
    show_rows(as_json, "tables", rows, ("table", "rows", "files", "bytes"))


@app.command()
def snapshots(names: Tables = None, lake: LakeFolder = LAKE, limit: Limit = 20, as_json: Json = False) -> None:
    """List the states of tables that can be travelled to, the newest last.

    \b
    Examples:
      tapehouse lake snapshots consolidated_trades.curated --lake lake
    """
    from tapehouse.arguments import open_lake

    home = open_lake(lake, read_only=True)
    rows = [
        {
            "table": one.identifier,
            "snapshot": str(info.snapshot_id),
            "committed": info.committed,
            "operation": info.operation,
            "run_id": info.run_id,
            "rows": info.rows_total,
            "added": info.rows_added,
            "removed": info.rows_removed,
        }
        for one in tables_of(home, names)
        for info in one.snapshots()[-limit:]
    ]
    show_rows(
        as_json,
        "snapshots",
        rows,
        ("table", "snapshot", "committed", "operation", "run_id", "rows", "added", "removed"),
    )


@app.command()
def usage(lake: LakeFolder = LAKE, as_json: Json = False) -> None:
    """Show what the lake takes up on disk, and for what.

    \b
    Examples:
      tapehouse lake usage --lake lake
    """
    from dataclasses import asdict

    from tapehouse.arguments import open_lake
    from tapehouse.cli.output import emit, facts, size, table
    from tapehouse.lake.orphans import usage as usage_

    found = usage_(open_lake(lake, read_only=True))
    if as_json:
        emit(asdict(found))
        return
    rows = [
        (
            one.identifier,
            one.rows,
            one.live_files,
            size(one.live_bytes),
            size(one.history_bytes),
            size(one.metadata_bytes),
        )
        for one in found.tables
    ]
    table(("table", "rows", "files", "present", "history", "metadata"), rows)
    facts(
        {
            "raw": f"{found.raw_files:,} files, {size(found.raw_bytes)}",
            "at work": size(found.staging_bytes),
            "stopped runs": size(found.stopped_bytes),
            "total": size(found.total_bytes),
        }
    )

"""`lake`: what a lake holds, and its upkeep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapehouse.cli.options import LAKE, ContractFile, Json, LakeFolder, Limit

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


def _tables(lake: Lake, names: list[str] | None) -> list[LakeTable]:
    """The tables named, or all. UsageError for one that is not there."""
    from tapehouse.errors import UsageError

    known = lake.names()
    for name in names or ():
        if name not in known:
            raise UsageError(f"the lake has no table {name!r}", fix=f"it has {', '.join(known) or 'none yet'}")
    found = (lake.table(*name.split(".", 1)) for name in (names or known))
    return [table for table in found if table is not None]


def _output(as_json: bool, key: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
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
    for one in _tables(home, None):
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
    _output(as_json, "tables", rows, ("table", "rows", "files", "bytes"))


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
        for one in _tables(home, names)
        for info in one.snapshots()[-limit:]
    ]
    _output(
        as_json,
        "snapshots",
        rows,
        ("table", "snapshot", "committed", "operation", "run_id", "rows", "added", "removed"),
    )


@app.command()
def compact(
    names: Tables = None,
    lake: LakeFolder = LAKE,
    target_mb: Annotated[int, typer.Option("--target-mb", min=1, help="Size of merged files, in MB.")] = 128,
    as_json: Json = False,
) -> None:
    """Merge small files of each partition. No row changes, and earlier states stay readable.

    \b
    Examples:
      tapehouse lake compact --lake lake
      tapehouse lake compact consolidated_trades.curated --target-mb 256
    """
    from tapehouse.arguments import open_lake
    from tapehouse.cli.interrupts import hear_interrupts
    from tapehouse.lake.compact import compact as compact_

    home = open_lake(lake)
    hear_interrupts()
    done = [compact_(home, one, target_mb << 20) for one in _tables(home, names)]
    rows = [
        {
            "table": one.identifier,
            "partitions": len(one.partitions),
            "files_before": sum(part.files_before for part in one.partitions),
            "files_after": sum(part.files_after for part in one.partitions),
            "bytes_before": sum(part.bytes_before for part in one.partitions),
            "bytes_after": sum(part.bytes_after for part in one.partitions),
            "snapshot": one.snapshot_id,
        }
        for one in done
    ]
    columns = ("table", "partitions", "files_before", "files_after", "bytes_before", "bytes_after")
    _output(as_json, "compacted", rows, columns)


@app.command()
def expire(
    names: Tables = None,
    lake: LakeFolder = LAKE,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="AGE", help="Forget states older than this, such as 30d.", show_default=False
        ),
    ] = "",
    keep_last: Annotated[
        int, typer.Option("--keep-last", min=0, help="Keep at least so many states.", show_default="the present one")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Forget old states of tables, and remove the files that only they needed. Present rows stay.

    \b
    Examples:
      tapehouse lake expire --older-than 30d --keep-last 5 --lake lake
    """
    import datetime as dt

    from tapehouse.arguments import open_lake
    from tapehouse.cli.parse import duration
    from tapehouse.lake.expire import expire as expire_

    limit = dt.datetime.now(dt.UTC) - duration(older_than, "--older-than") if older_than else None
    home = open_lake(lake)
    done = [expire_(home, one, limit, keep_last or None) for one in _tables(home, names)]
    rows = [
        {
            "table": one.identifier,
            "snapshots": len(one.snapshot_ids),
            "files_removed": one.files_removed,
            "bytes_removed": one.bytes_removed,
        }
        for one in done
    ]
    _output(as_json, "expired", rows, ("table", "snapshots", "files_removed", "bytes_removed"))


@app.command()
def retain(contract: ContractFile, lake: LakeFolder = LAKE, as_json: Json = False) -> None:
    """Remove rows that are older than the contract keeps them.

    Whole partitions go, and what went is recorded, so that every batch's account still closes. Partitions with open
    quarantine stay. `lake expire` then frees the space.

    \b
    Examples:
      tapehouse lake retain trades.yaml --lake lake
    """
    from tapehouse import api
    from tapehouse.cli.output import cell, emit, facts

    done = api.retain(contract, lake=lake)
    if as_json:
        emit(done.as_dict())
        return
    facts(
        {
            "rows removed": done.rows,
            "partitions removed": cell(done.expired) or "none",
            "kept for open quarantine": cell(done.protected) or "none",
            "raw batches removed": done.raw_batches,
            "lineage rows removed": done.lineage_rows,
        }
    )


@app.command()
def orphans(
    lake: LakeFolder = LAKE,
    older_than: Annotated[str, typer.Option("--older-than", metavar="AGE", help="Spare younger files.")] = "1h",
    remove: Annotated[bool, typer.Option("--remove", help="Remove them.")] = False,
    as_json: Json = False,
) -> None:
    """Find files in the lake that nothing names, as a killed run may leave them.

    \b
    Examples:
      tapehouse lake orphans --lake lake
      tapehouse lake orphans --older-than 1d --remove
    """
    from tapehouse.arguments import open_lake
    from tapehouse.cli.output import emit, size
    from tapehouse.cli.parse import duration
    from tapehouse.lake.orphans import orphans as orphans_

    age = duration(older_than, "--older-than")
    found = orphans_(open_lake(lake, read_only=not remove), older_than=age, remove=remove)
    if as_json:
        emit({"files": list(found.paths), "bytes": found.bytes, "removed": found.removed})
        return
    for path in found.paths:
        print(path)
    print(f"{len(found.paths):,} files, {size(found.bytes)}{', removed' if found.removed else ''}")


@app.command()
def recover(lake: LakeFolder = LAKE, as_json: Json = False) -> None:
    """Finish runs that were decided when their process died, and clear up after those that were not.

    Every command that writes does this first; this one does nothing else.

    \b
    Examples:
      tapehouse lake recover --lake lake
    """
    from tapehouse.arguments import open_lake
    from tapehouse.cli.output import emit
    from tapehouse.lake.publish import recover as recover_

    home = open_lake(lake)
    with home.lock():
        finished = recover_(home)
    if as_json:
        emit({"finished": finished})
    else:
        print("\n".join(f"finished run {one}" for one in finished) or "nothing to finish")


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

"""`lake compact|expire|retain|orphans|recover`: keeping a lake small and sound."""

from __future__ import annotations

from typing import Annotated

import typer

from tapehouse.cli.lake import Tables, app, show_rows, tables_of
from tapehouse.cli.options import LAKE, ContractFile, Json, LakeFolder


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
    done = [compact_(home, one, target_mb << 20) for one in tables_of(home, names)]
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
    show_rows(as_json, "compacted", rows, columns)


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
    done = [expire_(home, one, limit, keep_last or None) for one in tables_of(home, names)]
    rows = [
        {
            "table": one.identifier,
            "snapshots": len(one.snapshot_ids),
            "files_removed": one.files_removed,
            "bytes_removed": one.bytes_removed,
        }
        for one in done
    ]
    show_rows(as_json, "expired", rows, ("table", "snapshots", "files_removed", "bytes_removed"))


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

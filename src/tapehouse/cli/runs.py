"""`runs list|show`: the lake's memory of its runs."""

from __future__ import annotations

from typing import Annotated

import typer

from tapehouse.cli.options import LAKE, Json, LakeFolder, Limit

app = typer.Typer(help="What ran, when, and what became of it.", no_args_is_help=True)


@app.command("list")
def list_(
    lake: LakeFolder = LAKE,
    contract: Annotated[
        str, typer.Option("--contract", "-c", metavar="NAME", help="Only this contract.", show_default="all")
    ] = "",
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List runs, the newest first.

    \b
    Examples:
      tapehouse runs list --lake lake
      tapehouse runs list --contract consolidated-trades --limit 5 --json
    """
    from tapehouse import api
    from tapehouse.cli.output import emit, table

    found = api.list_runs(lake, contract=contract or None, limit=limit)
    if as_json:
        emit({"runs": found})
        return
    names = ("run_id", "kind", "status", "contract", "rows_in", "curated", "quarantined", "duplicates", "seconds")
    table(names, [[one[name] for name in names] for one in found])


@app.command()
def show(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="Run id, or a unique beginning of one.", show_default=False)
    ],
    lake: LakeFolder = LAKE,
    as_json: Json = False,
) -> None:
    """Show all that is recorded of one run: proof, batches, metrics, lineage.

    \b
    Examples:
      tapehouse runs show 20240304T150102 --lake lake
    """
    from tapehouse import api
    from tapehouse.cli.output import emit, facts, table

    found = api.show_run(lake, run_id)
    if as_json:
        emit(found)
        return
    batches, metrics = found.pop("batch_list"), found.pop("metrics")
    rules, proof, _lineage, _snapshots = (found.pop(name) for name in ("rules", "proof", "lineage", "snapshots"))
    facts(found)
    print(f"  proof {'closed' if proof['closed'] else 'OPEN: ' + '; '.join(proof['gaps'])}")
    if rules:
        table(("rule", "rows"), sorted(rules.items(), key=lambda rule: -rule[1]))
    names = ("digest", "origin", "bytes", "rows_in", "curated", "quarantined", "duplicates")
    rows = [[one[name] if name != "digest" else one[name][:12] for name in names] for one in batches]
    table(("batch", *names[1:]), rows)
    table(("metric", "column", "value"), [[one["metric"], one["column"], one["value"]] for one in metrics])

"""`quarantine`: rows that broke a rule, and what to do about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tapehouse.cli.options import (
    LAKE,
    Alerts,
    ContractFile,
    ContractName,
    Json,
    LakeFolder,
    Limit,
    Lineage,
    MetricsFile,
    Quiet,
    References,
)
from tapehouse.cli.run import finish

app = typer.Typer(help="Look at refused rows, export them, judge them again.", no_args_is_help=True)

Rule = Annotated[
    str, typer.Option("--rule", metavar="CODE", help="Only rows that broke this rule.", show_default="all")
]
Batch = Annotated[
    str, typer.Option("--batch", metavar="DIGEST", help="Only batches whose digest starts so.", show_default="all")
]


@app.command("list")
def list_(
    lake: LakeFolder = LAKE,
    contract: ContractName = "",
    rule: Rule = "",
    batch: Batch = "",
    every: Annotated[bool, typer.Option("--all", help="Also rows that were replayed or discarded.")] = False,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List open quarantine: counts by rule, and the first rows with their reasons.

    \b
    Examples:
      tapehouse quarantine list --lake lake
      tapehouse quarantine list --rule price_band --limit 5 --json
    """
    from tapehouse import api
    from tapehouse.cli.output import emit, table

    found = api.quarantine(lake, contract, rule=rule or None, batch=batch or None, every=every, limit=limit)
    if as_json:
        emit(found.as_dict())
        return
    state = "rows" if every else "open rows"
    print(f"{found.total:,} {state}")
    table(("rule", "rows"), list(found.groups.items()))
    rows = [
        (f"{row['_batch'][:12]}:{row['_row']}", Path(row["origin"]).name, _reasons(row["reasons"]))
        for row in found.rows.iter_rows(named=True)
    ]
    table(("id", "file", "reasons (observed; bound)"), rows)
    if found.total > len(rows):
        print(f"{found.total - len(rows):,} more; raise --limit, or `tapehouse quarantine export`")


def _reasons(reasons: list[dict[str, str]]) -> str:
    return "\n".join(f"{one['code']} ({one['observed']}; {one['bound']})" for one in reasons)


@app.command()
def show(
    record: Annotated[str, typer.Argument(metavar="ID", help="BATCH:ROW, as `list` shows it.", show_default=False)],
    lake: LakeFolder = LAKE,
    contract: ContractName = "",
    as_json: Json = False,
) -> None:
    """Show one quarantined row: original bytes, where it came from, and every reason.

    \b
    Examples:
      tapehouse quarantine show 3fa9c1d20b77:1042 --lake lake
    """
    from tapehouse.arguments import open_lake
    from tapehouse.cli import parse
    from tapehouse.cli.output import emit, facts, table
    from tapehouse.runs.accounts import contract_name
    from tapehouse.runs.quarantined import show_quarantined

    batch, row = parse.record(record)
    home = open_lake(lake, read_only=True)
    found = show_quarantined(home, contract_name(home, contract), batch, row)
    if as_json:
        emit(found)
        return
    reasons = found.pop("reasons")
    facts({name: str(value) if value is not None else None for name, value in found.items()})
    columns = ("code", "severity", "columns", "observed", "bound")
    table(columns, [[one.get(name) for name in columns] for one in reasons])


@app.command()
def export(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Ends in .parquet, .csv, .ndjson or .raw (the bytes alone).", show_default=False
        ),
    ],
    lake: LakeFolder = LAKE,
    contract: ContractName = "",
    rule: Rule = "",
    batch: Batch = "",
    as_json: Json = False,
) -> None:
    """Write open quarantine to a file, with original bytes and reasons.

    \b
    Examples:
      tapehouse quarantine export refused.csv --lake lake
      tapehouse quarantine export band.parquet --rule price_band --lake lake
    """
    from tapehouse.arguments import open_lake
    from tapehouse.cli.output import emit
    from tapehouse.errors import UsageError
    from tapehouse.runs.accounts import contract_name
    from tapehouse.runs.quarantined import export_quarantine

    home = open_lake(lake, read_only=True)
    try:
        count = export_quarantine(home, contract_name(home, contract), path, rule=rule or None, batch=batch or None)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}", fix="name a file in an existing folder"
        ) from error
    if as_json:
        emit({"path": path, "rows": count})
    else:
        print(f"{count:,} rows written to {path}")


@app.command()
def replay(
    contract: ContractFile,
    lake: LakeFolder = LAKE,
    reference: References = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="CODE", help="Only rows that broke this rule. Repeatable.", show_default="all"),
    ] = None,
    batch: Annotated[
        list[str] | None,
        typer.Option(
            "--batch", metavar="DIGEST", help="Only batches whose digest starts so. Repeatable.", show_default="all"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge and count; publish nothing.")] = False,
    lineage: Lineage = None,
    alert: Alerts = None,
    metrics: MetricsFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge quarantined rows again, by the contract and reference tables as they are now.

    Rows that pass land with their event time and a new knowledge time; the others stay. A second replay changes
    nothing.

    \b
    Examples:
      tapehouse quarantine replay trades.yaml --lake lake
      tapehouse quarantine replay trades.yaml --rule symbol_unknown --reference ref.csv --dry-run
    """
    from tapehouse import api
    from tapehouse.cli.parse import references
    from tapehouse.cli.progress import progress

    with progress(quiet=quiet or as_json) as shown:
        result = api.replay(
            contract,
            lake=lake,
            references=references(reference),
            rules=rule or (),
            batches=batch or (),
            dry_run=dry_run,
            lineage=lineage or (),
            alerts=alert or (),
            metrics=metrics,
            progress=shown,
        )
    finish(result, as_json=as_json, quiet=quiet)


@app.command()
def discard(
    records: Annotated[
        list[str], typer.Argument(metavar="ID", help="BATCH:ROW, as `list` shows it.", show_default=False)
    ],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Kept with the row.", show_default=False)],
    lake: LakeFolder = LAKE,
    contract: ContractName = "",
    as_json: Json = False,
) -> None:
    """Close rows that no replay shall take. They stay in the lake, with the reason given.

    A backfill judges their whole batch anew, and them with it.

    \b
    Examples:
      tapehouse quarantine discard 3fa9c1d20b77:1042 --why "test print, ticket OPS-17" --lake lake
    """
    from tapehouse.arguments import open_lake
    from tapehouse.cli import parse
    from tapehouse.cli.output import emit
    from tapehouse.runs.accounts import contract_name
    from tapehouse.runs.quarantined import discard as discard_

    home = open_lake(lake)
    name = contract_name(home, contract)
    rows: dict[str, list[int]] = {}
    for batch, row in map(parse.record, records):
        rows.setdefault(batch, []).append(row)
    count = sum(discard_(home, name, batch, numbers, why) for batch, numbers in rows.items())
    if as_json:
        emit({"asked": len(records), "discarded": count})
    else:
        print(f"{count:,} of {len(records):,} rows discarded")

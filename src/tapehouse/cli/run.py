"""`run` and `backfill`: rows into the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tapehouse.cli import exits
from tapehouse.cli.options import (
    LAKE,
    Alerts,
    ContractFile,
    EngineName,
    Inputs,
    Json,
    LakeFolder,
    Lineage,
    Master,
    MetricsFile,
    Quiet,
    References,
)

if TYPE_CHECKING:
    from tapehouse.runs.result import RunResult


def run(
    contract: ContractFile,
    inputs: Inputs,
    lake: LakeFolder = LAKE,
    reference: References = None,
    lineage: Lineage = None,
    alert: Alerts = None,
    metrics: MetricsFile = None,
    engine: EngineName = "embedded",
    master: Master = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge files by a contract and publish the rows.

    Everything is published, with proof that every row is accounted for, or nothing. Batches that the lake holds
    already are skipped. Exits with 8 if a budget or a batch rule broke.

    \b
    Examples:
      tapehouse run trades.yaml landing/*.csv --lake lake --reference ref.csv
      tapehouse run trades.yaml landing --lineage http://marquez:5000 --alert log: --metrics run.prom
      tapehouse run trades.yaml landing --engine spark --master 'local[2]'
    """
    from tapehouse import api
    from tapehouse.cli.parse import references
    from tapehouse.cli.progress import progress

    with progress(quiet=quiet or as_json) as shown:
        result = api.run(
            contract,
            inputs,
            lake=lake,
            references=references(reference),
            lineage=lineage or (),
            alerts=alert or (),
            metrics=metrics,
            progress=shown,
            engine=engine,
            master=master,
        )
    finish(result, as_json=as_json, quiet=quiet)


def backfill(
    contract: ContractFile,
    lake: LakeFolder = LAKE,
    reference: References = None,
    batch: Annotated[
        list[str] | None,
        typer.Option(
            "--batch", metavar="DIGEST", help="Only batches whose digest starts so. Repeatable.", show_default=False
        ),
    ] = None,
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="Only batches with events at or after this.", show_default=False),
    ] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="Only batches with events before this.", show_default=False)
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge and count; publish nothing.")] = False,
    lineage: Lineage = None,
    alert: Alerts = None,
    metrics: MetricsFile = None,
    engine: EngineName = "embedded",
    master: Master = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge landed batches again and replace their rows.

    Reads the raw bytes that the lake kept, for a contract that changed. Rows of other batches stay as they are, and
    earlier states can be queried as before.

    \b
    Examples:
      tapehouse backfill trades.yaml --lake lake
      tapehouse backfill trades.yaml --since 2024-03-04 --until 2024-03-05 --dry-run
    """
    from tapehouse import api
    from tapehouse.cli.parse import moment, references
    from tapehouse.cli.progress import progress

    with progress(quiet=quiet or as_json) as shown:
        result = api.backfill(
            contract,
            lake=lake,
            references=references(reference),
            batches=batch or (),
            since=moment(since, "--since") if since else None,
            until=moment(until, "--until") if until else None,
            dry_run=dry_run,
            lineage=lineage or (),
            alerts=alert or (),
            metrics=metrics,
            progress=shown,
            engine=engine,
            master=master,
        )
    finish(result, as_json=as_json, quiet=quiet)


def finish(result: RunResult, *, as_json: bool, quiet: bool) -> None:
    """Show a run and end with its exit code."""
    from tapehouse.cli.summary import show_run_result

    show_run_result(result, as_json=as_json, quiet=quiet)
    if result.status.value == "stopped":
        raise typer.Exit(exits.STOPPED)

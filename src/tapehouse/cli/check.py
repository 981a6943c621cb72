"""`check`: a contract's rules on rows that have landed already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapehouse.cli import exits
from tapehouse.cli.options import LAKE, Json, LakeFolder, Master, References

if TYPE_CHECKING:
    from tapehouse.runs.in_place import CheckReport, RuleCheck


def check(
    contract: Annotated[
        Path,
        typer.Option("--contract-file", "-f", metavar="CONTRACT", help="Contract file (YAML).", show_default=False),
    ],
    table: Annotated[
        str,
        typer.Argument(
            metavar="[TABLE]",
            help="A table of the lake such as trades.curated, or Parquet files: a path, folder or quoted pattern.",
            show_default="the contract's curated table",
        ),
    ] = "",
    lake: LakeFolder = LAKE,
    reference: References = None,
    engine: Annotated[
        str, typer.Option("--engine", metavar="ENGINE", help="Who answers: duckdb (this process) or spark.")
    ] = "duckdb",
    master: Master = None,
    as_of: Annotated[
        str,
        typer.Option(
            "--as-of",
            metavar="TIME|RUN",
            help="The table as it was then (UTC unless it says otherwise), or right after that run.",
            show_default="now",
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Broken rows to show at most per rule.")] = 5,
    as_json: Json = False,
) -> None:
    """Check a table in place against a contract.

    The rules are compiled to SQL and answered where the rows are; nothing is written. A rule that SQL cannot judge
    exactly as a run does is named with the reason. Exits with 1 if a row breaks a rule of severity error.

    \b
    Examples:
      tapehouse check --contract-file trades.yaml --lake lake
      tapehouse check trades.curated --contract-file trades-2.0.0.yaml --reference ref.csv --as-of 2024-03-05
      tapehouse check 'export/*.parquet' --contract-file trades.yaml --engine spark --master 'local[2]' --json
    """
    from tapehouse import api
    from tapehouse.cli.output import emit
    from tapehouse.cli.parse import moment, references

    then = None if not as_of else as_of if "Z-" in as_of else moment(as_of, "--as-of")
    report = api.check(
        contract,
        table or None,
        lake=lake,
        references=references(reference),
        engine=engine,
        master=master,
        as_of=then,
        limit=limit,
    )
    if as_json:
        emit(report.as_dict())
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(exits.FINDINGS)


def _show(report: CheckReport) -> None:
    from tapehouse.cli.output import table

    checked = [rule for rule in report.rules if rule.rows or not rule.not_checked]
    table(
        ("rule", "severity", "rows", "broken"),
        [(one.code, one.severity.value, one.rows, one.broken) for one in checked],
    )
    for rule in checked:
        if rule.first:
            _show_rows(rule)
    for rule in report.not_checked:
        print(f"not checked: {rule.code}: {rule.not_checked}")
    broken = sum(1 for rule in report.rules if rule.broken)
    print(
        f"{report.table}: {report.rows:,} rows, {len(report.rules)} rules, {broken} broken, "
        f"{len(report.not_checked)} not checked ({report.engine})"
    )


def _show_rows(rule: RuleCheck) -> None:
    print(f"{rule.code}:")
    for row in rule.first:
        where = " ".join(f"{name}={value}" for name, value in row.identity.items())
        bound = f", allowed {row.bound}" if row.bound is not None else ""
        print(f"  {where} observed {row.observed if row.observed is not None else '-'}{bound}")

"""`generate` and `score`: invented tapes with known faults, and how well they were found."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tapehouse.cli import exits
from tapehouse.cli.options import LAKE, ContractFile, Json, LakeFolder, Quiet


class Tape(StrEnum):
    """What can be generated."""

    TRADES = "trades"
    QUOTES = "quotes"


def generate(
    kind: Annotated[Tape, typer.Argument(metavar="trades|quotes", help="What to invent.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder to write to.", show_default=False)],
    rows: Annotated[
        int, typer.Option("--rows", min=1, help="Rows in all files together, faulty ones included.")
    ] = 100_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same bytes.")] = 1,
    faults: Annotated[
        str, typer.Option("--faults", metavar="LIST", help="all, none, or shares such as late=0.01,bad_price=0.001.")
    ] = "all",
    files: Annotated[int, typer.Option("--files", min=1, help="Files to spread the rows over.")] = 5,
    date: Annotated[str, typer.Option("--date", metavar="DATE", help="Trading day, a weekday.")] = "2024-03-04",
    symbols: Annotated[int, typer.Option("--symbols", min=1, help="Number of symbols.")] = 500,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Invent a tape with known faults, and its truth.

    \b
    Examples:
      tapehouse generate trades --rows 100000 --seed 7 --out data
      tapehouse generate quotes --rows 50000 --faults crossed=0.01,late=0.001 --out quotes
    """
    from tapehouse import api
    from tapehouse.cli.interrupts import hear_interrupts
    from tapehouse.cli.output import emit, facts, size, table

    hear_interrupts()
    made = api.generate(kind.value, out, rows=rows, seed=seed, files=files, faults=faults, date=date, symbols=symbols)
    if as_json:
        emit(
            {
                "files": made.files,
                "reference": made.reference,
                "truth": made.truth,
                "rows": made.rows,
                "bytes": made.size_bytes,
                "faults": dict(made.faults),
            }
        )
        return
    where = {"files": f"{len(made.files)} in {out}", "reference": made.reference, "truth": made.truth}
    facts({"rows": made.rows, "bytes": size(made.size_bytes), **where})
    if made.faults and not quiet:
        table(("injected fault", "rows"), sorted(made.faults.items()))


def score(
    contract: ContractFile,
    truth: Annotated[
        Path, typer.Argument(metavar="TRUTH", help="truth.parquet or truth.csv of `generate`.", show_default=False)
    ],
    lake: LakeFolder = LAKE,
    wrong: Annotated[int, typer.Option("--wrong", min=0, help="Wrong rows to show at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Compare what was found in a generated tape with its truth.

    Gives precision and recall of every rule. Exits with 1 unless every fault was found and nothing else.

    \b
    Examples:
      tapehouse score examples/contracts/consolidated-trades.yaml data/truth.parquet --lake lake
    """
    from tapehouse import api
    from tapehouse.cli.interrupts import hear_interrupts
    from tapehouse.cli.output import emit, table

    hear_interrupts()
    card = api.score(contract, truth, lake=lake, wrong_rows_max=wrong)
    if as_json:
        emit(card.to_dict())
    else:
        rows = [
            (
                one.code,
                one.expected,
                one.hits,
                one.missed,
                one.false_alarms,
                f"{one.precision:.4f}",
                f"{one.recall:.4f}",
            )
            for one in (*card.codes, card.total)
        ]
        table(("code", "expected", "hits", "missed", "false alarms", "precision", "recall"), rows)
        if card.wrong:
            table(
                ("error", "file", "row", "code", "fault"),
                [(one.error, one.file, one.row, one.code, one.kind) for one in card.wrong],
                title=f"{card.wrong_rows:,} wrong rows, the first {len(card.wrong)}",
            )
    if not card.perfect:
        raise typer.Exit(exits.FINDINGS)

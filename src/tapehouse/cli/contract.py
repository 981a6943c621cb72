"""`contract`: write, check and compare contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tapehouse.cli import exits
from tapehouse.cli.options import ContractFile, Json

app = typer.Typer(help="Write, check and compare contracts.", no_args_is_help=True)


@app.command()
def lint(
    files: Annotated[list[Path], typer.Argument(metavar="CONTRACT", help="Contract files (YAML).", show_default=False)],
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if there are findings.")] = False,
    as_json: Json = False,
) -> None:
    """Check contracts: every error with its line, and then risks and omissions.

    Errors exit with 3. Findings are advice, and exit with 0 unless --strict.

    \b
    Examples:
      tapehouse contract lint trades.yaml
      tapehouse contract lint contracts/*.yaml --strict --json
    """
    from dataclasses import asdict

    from tapehouse import api
    from tapehouse.cli.output import emit
    from tapehouse.errors import ContractError

    problems, found = [], []
    for path in files:
        try:
            found += [{"file": str(path), **asdict(one)} for one in api.lint(path)]
        except ContractError as error:
            problems += error.problems
    if as_json and not problems:
        emit({"ok": not (strict and found), "findings": found})
    elif not problems:
        for one in found:
            where = f"{one['path']}: " if one["path"] else ""
            print(f"{one['file']}:{one['line']}: {one['code']}: {where}{one['message']}\n  fix: {one['fix']}")
        count = "no findings" if not found else "1 finding" if len(found) == 1 else f"{len(found)} findings"
        print(f"{len(files)} contract{'s' if len(files) > 1 else ''} valid, {count}")
    if problems:
        raise ContractError(problems)
    if strict and found:
        raise typer.Exit(exits.FINDINGS)


@app.command()
def show(contract: ContractFile, as_json: Json = False) -> None:
    """Show what a contract says: columns, rules, key, calendars, as the program understood them.

    \b
    Examples:
      tapehouse contract show trades.yaml
    """
    from tapehouse.arguments import load_contract
    from tapehouse.cli.output import emit
    from tapehouse.contracts.show import describe, render

    terms = load_contract(contract)
    if as_json:
        emit(describe(terms))
    else:
        print(render(terms))


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Contract file as it was.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Contract file as it is to be.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Compare two versions: which changes break senders or readers, and why.

    Exits with 1 if there is a breaking change, whatever the version says.

    \b
    Examples:
      tapehouse contract diff trades-1.0.0.yaml trades.yaml
    """
    from tapehouse import api
    from tapehouse.cli.output import emit

    changes = api.diff(old, new)
    breaking = any(change.breaking for change in changes)
    if as_json:
        names = ("path", "breaking", "reason")
        rows = [{name: getattr(one, name) for name in names} | _values(one.old, one.new) for one in changes]
        emit({"breaking": breaking, "changes": rows})
    else:
        for change in changes:
            print(change)
        print("no changes" if not changes else "breaking" if breaking else "compatible")
    if breaking:
        raise typer.Exit(exits.FINDINGS)


def _values(old: object, new: object) -> dict[str, object]:
    """Old and new in JSON: numbers, texts and lists as they are, parts of a contract in their written form."""

    def value(one: object) -> object:
        if one is None or isinstance(one, str | int | float | bool):
            return one
        return [value(item) for item in one] if isinstance(one, tuple | list) else str(one)

    return {"old": value(old), "new": value(new)}


@app.command()
def new(
    path: Annotated[Path, typer.Option("--from", metavar="FILE", help="Data file to guess from.", show_default=False)],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the contract.", show_default="from the file")
    ] = "",
    as_json: Json = False,
) -> None:
    """Guess a contract from a data file, and print it as YAML. Read it before you use it.

    \b
    Examples:
      tapehouse contract new --from trades.csv > trades.yaml
    """
    from tapehouse import api
    from tapehouse.cli.output import emit

    text = api.infer(path, name=name)
    if as_json:
        emit({"contract": text})
    else:
        print(text, end="" if text.endswith("\n") else "\n")


@app.command()
def schema(as_json: Json = False) -> None:
    """Print the JSON Schema of the tapehouse.* custom properties.

    \b
    Examples:
      tapehouse contract schema > tapehouse-contract.schema.json
    """
    from importlib.resources import files

    print(files("tapehouse.contracts").joinpath("schemas/tapehouse-contract.schema.json").read_text("utf-8"), end="")

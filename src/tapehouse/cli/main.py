"""The program `tapehouse`: its commands by name, in the order in which one meets them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tapehouse import __version__
from tapehouse.cli import cloud, contract, lake, quarantine, runs
from tapehouse.cli import cloud_deploy as _deploy  # noqa: F401 - adds its commands to the group `cloud`
from tapehouse.cli import lake_serve as _serve  # noqa: F401 - likewise, to `lake`
from tapehouse.cli import lake_upkeep as _upkeep  # noqa: F401 - likewise
from tapehouse.cli.certify import certificate, certify
from tapehouse.cli.check import check
from tapehouse.cli.query import query
from tapehouse.cli.run import backfill, run
from tapehouse.cli.shell import DEBUG, Program, Shell
from tapehouse.cli.size import size
from tapehouse.cli.synthetic import generate, score
from tapehouse.cli.verify import verify
from tapehouse.cli.watch import watch

# NumPy's linear algebra is not used; its threads would only spin while they wait. Read when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Polars' allocator gives memory back after half a second; the next slice then pays for every page of it again.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000,muzzy_decay_ms:10000")

# Help is plain text: Rich would make `--help` three times as slow.
app = Program(
    cls=Shell, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
)


def _version(asked: bool) -> None:
    if asked:
        print(f"tapehouse {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    """One written contract in, an audited lake out: every row is accounted for.

    \b
    Examples:
      tapehouse contract new --from trades.csv > trades.yaml
      tapehouse run trades.yaml trades.csv --lake lake
      tapehouse verify --lake lake
    """


app.add_typer(contract.app, name="contract")
app.command()(run)
app.add_typer(runs.app, name="runs")
app.command()(verify)
app.add_typer(quarantine.app, name="quarantine")
app.command()(backfill)
app.command()(watch)
app.command()(query)
app.command()(check)
app.command()(certify)
app.command()(certificate)
app.add_typer(lake.app, name="lake")
app.command()(size)
app.add_typer(cloud.app, name="cloud")
app.command()(generate)
app.command()(score)

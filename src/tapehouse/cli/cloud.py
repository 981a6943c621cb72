"""`cloud`: what a deployment to AWS will be, before there is one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapehouse.cli import exits
from tapehouse.cli.cloud_options import (
    OUT,
    BlueprintName,
    EnvironmentName,
    OutFolder,
    Region,
    SettingsFile,
    Suffix,
    settings_of,
)
from tapehouse.cli.options import Json, Quiet

if TYPE_CHECKING:
    from tapehouse.cloud.capacity.plan import Plan
    from tapehouse.cloud.settings import Settings

app = typer.Typer(help="Deploy to AWS: templates, capacity, cost, proof, deployment.", no_args_is_help=True)

Volume = Annotated[
    str | None,
    typer.Option(
        "--volume", metavar="AMOUNT/TIME", help="Input of each dataset, such as 50TB/day.", show_default=False
    ),
]
Peak = Annotated[float | None, typer.Option("--peak", help="The busiest second over the mean one.", show_default=False)]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write settings to begin with, and a contract: cloud.yaml and trades.yaml.

    \b
    Examples:
      tapehouse cloud init
      tapehouse cloud init deployment
    """
    from tapehouse.cli.output import emit
    from tapehouse.cloud.starter import write_starter

    written = write_starter(folder)
    if as_json:
        emit({"files": [str(path) for path in written]})
        return
    for path in written:
        print(path)


@app.command()
def synth(
    blueprint: BlueprintName,
    env: EnvironmentName = None,
    settings: SettingsFile = None,
    suffix: Suffix = None,
    region: Region = None,
    out: OutFolder = OUT,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the CloudFormation templates of a blueprint, and the assets that they refer to.

    The same settings give the same bytes. Needs no account and no Node.js.

    \b
    Examples:
      tapehouse cloud synth --blueprint market-stream --env test
      tapehouse cloud synth -b serverless-lake -e prod --settings cloud.yaml --out build/lake
    """
    from tapehouse.cli.output import emit, note, table
    from tapehouse.cloud.synth import stacks_of, synthesize

    chosen = settings_of(settings, quiet=quiet or as_json, environment=env, suffix=suffix, region=region)
    if not (quiet or as_json):
        note("packaging and synthesizing ..")
    synthesize(chosen, blueprint, out)
    stacks = stacks_of(out)
    if as_json:
        emit({"blueprint": blueprint, "environment": chosen.label, "out": str(out), "stacks": stacks})
        return
    rows = [(one.name, one.resources, one.bytes, out / one.template) for one in stacks]
    table(("stack", "resources", "bytes", "template"), rows)


@app.command()
def size(
    blueprint: BlueprintName,
    env: EnvironmentName = None,
    settings: SettingsFile = None,
    volume: Volume = None,
    peak: Peak = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Justify shards, concurrency and workers for the settings' volumes, or for another; the templates use these.

    A default quota of the account that would be exceeded is an error that names it.

    \b
    Examples:
      tapehouse cloud size --blueprint market-stream --env prod
      tapehouse cloud size -b market-stream -e prod --volume 50TB/day --peak 3 --json
    """
    from tapehouse.cli.output import emit, note, table

    chosen = _sized(settings_of(settings, quiet=quiet or as_json, environment=env), volume, peak)
    found = _plan(chosen, blueprint)
    if as_json:
        emit({"blueprint": blueprint, "environment": chosen.label, **found.as_dict()})
        return
    for one in found.datasets:
        lines = [(line.name, line.value, line.unit, line.formula) for line in one.lines]
        table(("", "value", "unit", "how"), lines, title=one.dataset)
    lines = [(line.name, line.value, line.unit, line.formula) for line in found.lines]
    table(("", "value", "unit", "how"), lines, title="deployment")
    for warning in found.warnings:
        note(f"heed: {warning}")


@app.command()
def cost(
    blueprint: BlueprintName,
    env: EnvironmentName = None,
    settings: SettingsFile = None,
    volume: Volume = None,
    peak: Peak = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Estimate the monthly bill, item by item, at list prices of us-east-1.

    \b
    Examples:
      tapehouse cloud cost --blueprint serverless-lake --env test
      tapehouse cloud cost -b market-stream -e prod --volume 1TB/day
    """
    from tapehouse.cli.output import emit, table
    from tapehouse.cloud.capacity.cost import estimate

    chosen = _sized(settings_of(settings, quiet=quiet or as_json, environment=env), volume, peak)
    found = estimate(chosen, _plan(chosen, blueprint))
    if as_json:
        emit({"blueprint": blueprint, "environment": chosen.label, **found.as_dict()})
        return
    rows = [(one.service, one.name, f"{one.dollars:,.2f}", one.formula) for one in found.items]
    table(("service", "", "$ a month", "how"), [*rows, ("", "all", f"{found.dollars:,.2f}", "")])


@app.command()
def releases(
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", help="The day to judge on; today.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the releases of AWS services that are known here, and what expires within 90 and 180 days.

    \b
    Examples:
      tapehouse cloud releases
      tapehouse cloud releases --on 2028-01-01 --json
    """
    from tapehouse.cli.output import emit, table
    from tapehouse.cloud.releases.catalogue import catalogue

    day = _day(on)
    known = catalogue()
    ends = {(one.release.product, one.release.version): one for one in known.expiries(day)}
    rows = []
    for release in known:
        end = ends.get((release.product, release.version))
        state = "no end announced" if end is None else end.within
        rows.append({**release.as_dict(), "days_left": None if end is None else end.days, "expires": state})
    if as_json:
        emit({"on": day.isoformat(), "releases": rows})
    else:
        columns = ("product", "version", "supported_until", "days_left", "expires")
        table(columns, [tuple(row[name] for name in columns) for row in rows])


@app.command()
def conformance(
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="DIR", help="Where test runs leave their results.", show_default=False),
    ] = None,
    blueprint: Annotated[
        str | None, typer.Option("--blueprint", "-b", metavar="NAME", help="Only of this one.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the requirements of each blueprint with the tests that proved them in the last test run.

    Exits with 1 when a row is not proved.

    \b
    Examples:
      tapehouse cloud conformance
      tapehouse cloud conformance --blueprint market-stream --json
    """
    from tapehouse.cli.output import emit, table
    from tapehouse.cloud.conformance import report

    found = report.load(evidence, blueprint=blueprint)
    if as_json:
        emit(found.as_dict())
    else:
        rows = [
            (one.id, one.blueprint, one.proof, "yes" if one.passing else "NO", len(one.tests), one.requirement)
            for one in found.rows
        ]
        table(("row", "blueprint", "proof", "passing", "tests", "requirement"), rows, title=found.summary)
    if not found.passing:
        raise typer.Exit(exits.FINDINGS)


def _sized(settings: Settings, volume: str | None, peak: float | None) -> Settings:
    """The settings with that volume for every dataset, and that peak factor."""
    changed = settings.stream
    if volume is not None:
        changed = changed.model_copy(update={"volume": volume, "volumes": {}})
    if peak is not None:
        changed = type(changed).model_validate({**changed.model_dump(), "peak_factor": peak})
    return settings.model_copy(update={"stream": changed})


def _plan(settings: Settings, blueprint: str) -> Plan:
    from tapehouse.cloud.capacity.plan import plan
    from tapehouse.cloud.datasets import datasets_of, names_of, streamed_names
    from tapehouse.cloud.synth import blueprint_of

    kind, datasets = blueprint_of(blueprint), datasets_of(settings)
    return plan(settings, names_of(datasets), streamed=streamed_names(datasets, streamed=kind.streamed))


def _day(text: str | None) -> dt.date:
    from tapehouse.errors import UsageError

    if text is None:
        return dt.date.today()
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--on {text!r} is no date", fix="write it as 2027-12-31") from error

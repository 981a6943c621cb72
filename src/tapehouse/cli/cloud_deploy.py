"""`cloud deploy|diff|outputs|destroy`: deployments, in AWS or at an endpoint that speaks like it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapehouse.cli import exits
from tapehouse.cli.cloud import app
from tapehouse.cli.cloud_options import BlueprintName, EnvironmentName, Region, SettingsFile, Suffix, settings_of
from tapehouse.cli.options import Json, Quiet

if TYPE_CHECKING:
    from tapehouse.cloud.deploy import Difference, Event
    from tapehouse.cloud.deploy.target import Progress
    from tapehouse.cloud.settings import Settings

Assembly = Annotated[
    Path | None,
    typer.Option(
        "--assembly", "-a", metavar="DIR", help="What `synth` wrote; else synthesized now.", show_default=False
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        metavar="URL",
        envvar="AWS_ENDPOINT_URL",
        help="Instead of AWS: an address that speaks like it.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
def deploy(
    blueprint: BlueprintName,
    env: EnvironmentName = None,
    settings: SettingsFile = None,
    suffix: Suffix = None,
    region: Region = None,
    assembly: Assembly = None,
    endpoint: Endpoint = None,
    yes: Yes = False,
    accept_data_loss: Annotated[
        bool, typer.Option("--accept-data-loss", help="Also changes that lose data, in prod without asking.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Deploy a blueprint: upload its assets, then create or update its stacks by change sets.

    Shows first what would change and what that risks, and asks. Needs credentials of AWS, and nothing prepared in the
    account. Deploying again without a change does nothing; a failed attempt is cleaned up by the next.

    \b
    Examples:
      tapehouse cloud deploy --blueprint serverless-lake --env test
      tapehouse cloud deploy -b market-stream -e prod --yes --json
      tapehouse cloud deploy -b serverless-lake -e test --endpoint-url http://127.0.0.1:4566 --yes
    """
    from tapehouse.cli.output import emit, facts
    from tapehouse.cloud import deploy as deploying

    chosen = settings_of(settings, quiet=quiet or as_json, environment=env, suffix=suffix, region=region)
    _check_account(chosen, endpoint)
    with _assembly(assembly, chosen, blueprint) as folder:
        if not yes:
            _show_diff(deploying.diff(folder, endpoint=endpoint, region=chosen.region))
            typer.confirm(f"Deploy {blueprint} as {chosen.label} to {endpoint or chosen.region}?", abort=True, err=True)
        elif chosen.production and not accept_data_loss:
            _refuse_data_loss(deploying.diff(folder, endpoint=endpoint, region=chosen.region))
        done = deploying.deploy(
            folder, endpoint=endpoint, region=chosen.region, progress=_teller(quiet=quiet or as_json)
        )
    if as_json:
        emit(done.as_dict())
        return
    for stack in done.stacks:
        facts(stack.outputs, title=f"{stack.name}: {stack.action} in {stack.seconds:g} s")


@app.command()
def diff(
    blueprint: BlueprintName,
    env: EnvironmentName = None,
    settings: SettingsFile = None,
    suffix: Suffix = None,
    region: Region = None,
    assembly: Assembly = None,
    endpoint: Endpoint = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="DIR", help="Another assembly, instead of what is deployed.", show_default=False
        ),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="RISK",
            help="Exit with 1 if there is such a change: data_loss, replacement, privilege, cost.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a deployment would change, and what each change risks: data loss, replacement, wider privileges, cost.

    \b
    Examples:
      tapehouse cloud diff --blueprint market-stream --env prod
      tapehouse cloud diff -b serverless-lake -e test --against cloud.out --json
      tapehouse cloud diff -b market-stream -e prod --fail-on data_loss
    """
    from tapehouse.cli.output import emit
    from tapehouse.cloud import deploy as deploying

    chosen = settings_of(settings, quiet=quiet or as_json, environment=env, suffix=suffix, region=region)
    with _assembly(assembly, chosen, blueprint) as folder:
        if against is not None:
            found = deploying.compare(against, folder)
        else:
            found = deploying.diff(folder, endpoint=endpoint, region=chosen.region)
    if as_json:
        emit(found.as_dict())
    else:
        _show_diff(found)
    if fail_on is not None and found.has(fail_on):
        raise typer.Exit(exits.FINDINGS)


@app.command()
def outputs(
    blueprint: BlueprintName,
    env: EnvironmentName = None,
    settings: SettingsFile = None,
    suffix: Suffix = None,
    region: Region = None,
    assembly: Assembly = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the outputs of a deployment: buckets, keys, streams, queues, tables, functions, jobs, dashboards.

    \b
    Examples:
      tapehouse cloud outputs --blueprint serverless-lake --env test
      tapehouse cloud outputs -b market-stream -e prod --json
    """
    from tapehouse.cli.output import emit, facts
    from tapehouse.cloud import deploy as deploying

    chosen = settings_of(settings, quiet=quiet or as_json, environment=env, suffix=suffix, region=region)
    with _assembly(assembly, chosen, blueprint) as folder:
        found = deploying.outputs(folder, endpoint=endpoint, region=chosen.region)
    if as_json:
        emit(found)
        return
    for stack, values in found.items():
        facts(values, title=stack)


@app.command()
def destroy(
    blueprint: BlueprintName,
    env: EnvironmentName = None,
    settings: SettingsFile = None,
    suffix: Suffix = None,
    region: Region = None,
    assembly: Assembly = None,
    endpoint: Endpoint = None,
    force: Annotated[bool, typer.Option("--force", help="Also a protected or production deployment.")] = False,
    yes: Yes = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take a deployment down. Outside prod nothing is left; in prod what holds data stays, and is listed.

    \b
    Examples:
      tapehouse cloud destroy --blueprint serverless-lake --env test
      tapehouse cloud destroy -b market-stream -e test --suffix x7k2 --yes --json
    """
    from tapehouse.cli.output import emit, note, table
    from tapehouse.cloud import deploy as deploying

    chosen = settings_of(settings, quiet=quiet or as_json, environment=env, suffix=suffix, region=region)
    _check_account(chosen, endpoint)
    if not yes:
        typer.confirm(f"Destroy {blueprint} {chosen.label} in {endpoint or chosen.region}?", abort=True, err=True)
    with _assembly(assembly, chosen, blueprint) as folder:
        done = deploying.destroy(
            folder, endpoint=endpoint, region=chosen.region, force=force, progress=_teller(quiet=quiet or as_json)
        )
    if as_json:
        emit(done.as_dict())
        return
    note(f"removed {', '.join((*done.stacks, *done.buckets)) or 'nothing: there was nothing'} in {done.seconds:g} s")
    if done.retained:
        rows = [(one.resource, one.type, one.id, one.why) for one in done.retained]
        table(("kept", "type", "id", "why"), rows)


def _check_account(settings: Settings, endpoint: str | None) -> None:
    """UsageError where the settings name an account and the credentials are of another."""
    if not settings.account:
        return
    from tapehouse.cloud.deploy import Target
    from tapehouse.errors import UsageError

    found = Target.of(endpoint=endpoint, region=settings.region).account
    if found != settings.account:
        raise UsageError(
            f"the settings are for account {settings.account}, and the credentials are of {found}",
            fix="use credentials of that account, or change `account`",
        )


@contextmanager
def _assembly(given: Path | None, settings: Settings, blueprint: str) -> Iterator[Path]:
    """The folder given, or a temporary one with what the settings make."""
    if given is not None:
        yield given
        return
    from tapehouse.cloud.synth import synthesize

    with tempfile.TemporaryDirectory(prefix="tapehouse-cloud-") as scratch:
        yield synthesize(settings, blueprint, Path(scratch, "assembly"))


def _teller(*, quiet: bool) -> Progress:
    """Prints what happens, one line each, on standard error."""

    def tell(event: Event) -> None:
        if quiet:
            return
        count = f"{event.done:>4}/{event.total}" if event.total else " " * 6
        detail = f"  {event.detail}" if event.detail else ""
        print(f"{count}  {event.status:<22} {event.type:<32} {event.subject}{detail}", file=sys.stderr, flush=True)

    return tell


def _refuse_data_loss(found: Difference) -> None:
    """UsageError where something would lose data and nobody has looked at it."""
    from tapehouse.errors import UsageError

    if found.has("data_loss"):
        losing = [f"{one.resource} ({one.type}): {one.detail}" for one in found.changes if one.risk == "data_loss"]
        raise UsageError(
            "these changes lose data:\n  " + "\n  ".join(losing),
            fix="leave out --yes and look at them, or add --accept-data-loss",
        )


def _show_diff(found: Difference) -> None:
    from tapehouse.cli.output import note, table

    rows = [(one.stack, one.resource, one.type, one.action, one.risk, one.detail) for one in found.changes]
    if rows:
        table(("stack", "resource", "type", "change", "risk", "what"), rows)
    else:
        note("no changes")

"""Arguments that the commands of `cloud` share, and the settings that they make up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tapehouse.cloud.settings import Settings

BlueprintName = Annotated[
    str,
    typer.Option("--blueprint", "-b", metavar="NAME", help="market-stream or serverless-lake.", show_default=False),
]
EnvironmentName = Annotated[
    str | None,
    typer.Option(
        "--env", "-e", metavar="ENV", help="dev, test or prod, in place of the settings' own.", show_default=False
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings", "-s", metavar="FILE", help="Settings (YAML); cloud.yaml where it exists.", show_default=False
    ),
]
Suffix = Annotated[
    str | None,
    typer.Option("--suffix", metavar="TEXT", help="Tells deployments of one environment apart.", show_default=False),
]
Region = Annotated[str | None, typer.Option("--region", metavar="REGION", help="Where to deploy.", show_default=False)]
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the assembly: templates and assets.")
]
OUT = Path("cloud.out")


def settings_of(path: Path | None, *, quiet: bool = False, **given: Any) -> Settings:
    """The settings, with what is given (not None) in place of the file's values."""
    from tapehouse.arguments import require

    require("aws_cdk", extra="cloud")
    from tapehouse.cli.output import note
    from tapehouse.cloud.starter import load_settings

    settings, said = load_settings(path, **given)
    if said and not quiet:
        note(said)
    return settings

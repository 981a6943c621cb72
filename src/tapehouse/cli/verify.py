"""`verify`: does what the lake says of itself hold?"""

from __future__ import annotations

from typing import Annotated

import typer

from tapehouse.cli import exits
from tapehouse.cli.options import LAKE, Json, LakeFolder, Quiet


def verify(
    lake: LakeFolder = LAKE,
    contract: Annotated[
        str, typer.Option("--contract", "-c", metavar="NAME", help="Only this contract.", show_default="all")
    ] = "",
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read the raw bytes again and derive every table again; slow.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Derive every proof again from the lake.

    Reads the tables and the landed bytes, and names what does not hold. Exits with 1 if something does not hold.

    \b
    Examples:
      tapehouse verify --lake lake
      tapehouse verify --lake lake --contract consolidated-trades --deep
    """
    from tapehouse import api
    from tapehouse.cli.output import emit
    from tapehouse.cli.progress import progress

    with progress(quiet=quiet or as_json) as shown:
        report = api.verify(lake, contract=contract or None, deep=deep, progress=shown)
    if as_json:
        emit(report.as_dict())
    else:
        print(report)
    if not report.ok:
        raise typer.Exit(exits.FINDINGS)

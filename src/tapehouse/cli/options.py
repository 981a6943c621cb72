"""Arguments that several commands share, each with one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ContractFile = Annotated[Path, typer.Argument(metavar="CONTRACT", help="Contract file (YAML).", show_default=False)]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT", help="Files, folders or quoted patterns such as 'landing/*.csv'.", show_default=False
    ),
]
LakeFolder = Annotated[
    Path, typer.Option("--lake", "-l", metavar="DIR", envvar="TAPEHOUSE_LAKE", help="Folder of the lake.")
]
References = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        "-r",
        metavar="[NAME=]FILE",
        help="A reference table of the contract; NAME may be left out if the contract has only one. Repeatable.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no advice.")]
Lineage = Annotated[
    list[str] | None,
    typer.Option(
        "--lineage",
        metavar="TARGET",
        help="Send OpenLineage events to file:PATH or http(s)://HOST (key: OPENLINEAGE_API_KEY). Repeatable.",
        show_default=False,
    ),
]
Alerts = Annotated[
    list[str] | None,
    typer.Option(
        "--alert",
        metavar="TARGET",
        help="Tell log:, http(s)://HOST/PATH or sns:TOPIC-ARN when a run stops, fails or warns. Repeatable.",
        show_default=False,
    ),
]
MetricsFile = Annotated[
    Path | None,
    typer.Option(
        "--metrics", metavar="FILE", help="Write the run's numbers to FILE (.prom, .txt or .json).", show_default=False
    ),
]
EngineName = Annotated[
    str,
    typer.Option("--engine", metavar="ENGINE", help="Who does the work: embedded (this process) or spark."),
]
Master = Annotated[
    str | None,
    typer.Option(
        "--master",
        metavar="URL",
        help="Spark's master, such as local[4] or spark://HOST:7077; by default local, on all processors.",
        show_default=False,
    ),
]
ContractName = Annotated[
    str,
    typer.Option(
        "--contract",
        "-c",
        metavar="NAME",
        help="Name of the contract; may be left out if the lake has only one.",
        show_default=False,
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows to show at most.")]

LAKE = Path("lake")

"""`size`: what a volume of data takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tapehouse.cli.options import Json, Quiet


def size(
    volume: Annotated[
        str, typer.Option("--volume", metavar="AMOUNT/TIME", help="Input, such as 50TB/day.", show_default=False)
    ],
    peak: Annotated[float, typer.Option("--peak", help="The busiest hour over the average one.")] = 1.0,
    utilisation: Annotated[float, typer.Option("--utilisation", help="How busy cores may be in that hour.")] = 0.7,
    cores: Annotated[int, typer.Option("--executor-cores", min=1, help="Cores of an executor.")] = 4,
    batch_mb: Annotated[int, typer.Option("--batch-mb", min=1, help="Size of a delivered file in MB.")] = 256,
    task_gb: Annotated[float, typer.Option("--task-gb", help="Memory of a task in GB.")] = 8.0,
    measured: Annotated[
        Path | None,
        typer.Option("--measured", metavar="FILE", help="A kept measurement; else made now.", show_default=False),
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Keep the measurement.", show_default=False)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute cores, memory, tasks and files for a volume.

    Measures the throughput of this machine with the real job on invented trades (some seconds), and shows the
    arithmetic and every assumption.

    \b
    Examples:
      tapehouse size --volume 50TB/day --peak 4
      tapehouse size --volume 200GB/day --save here.json
      tapehouse size --volume 2TB/day --measured here.json --json
    """
    from dataclasses import asdict

    from tapehouse.cli.output import emit, note, table
    from tapehouse.sizing.measure import Measured, measure
    from tapehouse.sizing.model import Assumptions, parse_volume
    from tapehouse.sizing.model import size as size_

    wanted = parse_volume(volume)
    if measured is None and not (quiet or as_json):
        note("measuring this machine ..")
    speed = Measured.load(measured) if measured is not None else measure()
    if save is not None:
        speed.save(save)
    given = Assumptions(
        peak=peak,
        utilisation=utilisation,
        cores_per_executor=cores,
        batch_bytes=batch_mb * 10**6,
        task_memory_bytes=int(task_gb * 10**9),
    )
    found = size_(wanted, speed, given)
    if as_json:
        emit(
            {
                "volume_bytes_per_day": found.volume_bytes_per_day,
                "measured": asdict(speed),
                "assumptions": asdict(given),
                "results": found.lines,
                "warnings": found.warnings,
            }
        )
        return
    table(("", "value", "unit", "how"), [(one.name, one.value, one.unit, one.formula) for one in found.lines])
    for warning in found.warnings:
        note(f"heed: {warning}")

"""`watch`: a folder that is taken in as files land."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapehouse.cli.options import LAKE, Alerts, Json, LakeFolder, Lineage, MetricsFile, References

if TYPE_CHECKING:
    from tapehouse.errors import TapehouseError
    from tapehouse.runs.result import RunResult


def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that files land in.", show_default=False)],
    contract: Annotated[
        Path, typer.Option("--contract", "-c", metavar="CONTRACT", help="Contract file (YAML).", show_default=False)
    ],
    lake: LakeFolder = LAKE,
    reference: References = None,
    interval: Annotated[
        float, typer.Option("--interval", min=0.05, max=86_400, help="Seconds between two looks.")
    ] = 2.0,
    lineage: Lineage = None,
    alert: Alerts = None,
    metrics: MetricsFile = None,
    as_json: Json = False,
) -> None:
    """Run files as they land, until interrupted. Started again, it goes on where it was.

    A file is taken once it did not change between two looks; one that cannot be taken is reported once. Ctrl-C or
    SIGTERM lets the run at work finish; a second one breaks it off. With --json each line is one JSON object.

    \b
    Examples:
      tapehouse watch landing --contract trades.yaml --lake lake
      tapehouse watch landing -c trades.yaml -r ref.csv --interval 10 --json
    """
    from tapehouse import api
    from tapehouse.cli.interrupts import hear_interrupts
    from tapehouse.cli.output import note
    from tapehouse.cli.parse import references

    hear_interrupts()  # before our own handlers: it imports what would replace them
    stop = threading.Event()

    def leave(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        note("stopping after the run at work; once more to break it off")

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    if not as_json:
        note(f"watching {folder}; Ctrl-C ends it")
    try:
        api.watch(
            contract,
            folder,
            lake=lake,
            references=references(reference),
            interval_seconds=interval,
            stop=stop,
            lineage=lineage or (),
            alerts=alert or (),
            metrics=metrics,
            on_result=lambda result: _told(result, as_json=as_json),
            on_error=lambda path, error: _failed(path, error, as_json=as_json),
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.as_dict(), ensure_ascii=False), flush=True)
        return
    counts = ", ".join(f"{name} {count:,}" for name, count in result.proof.counts.items())
    names = ", ".join(Path(batch.origin).name for batch in result.batches[:3])
    more = f" and {len(result.batches) - 3} more" if len(result.batches) > 3 else ""
    if result.batches:
        print(f"{result.status.value}: {names}{more}: rows in {result.rows_in:,} = {counts}", flush=True)


def _failed(path: Path, error: TapehouseError, *, as_json: bool) -> None:
    if as_json:
        facts = {"type": type(error).__name__, "message": error.message, "fix": error.fix, "path": str(path)}
        print(json.dumps({"error": facts}, ensure_ascii=False), flush=True)
    else:
        print(f"not taken: {path}: {error}", flush=True)

"""`lake serve`: the lake for other engines."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapehouse.cli.lake import app
from tapehouse.cli.options import LAKE, Json, LakeFolder

if TYPE_CHECKING:
    from tapehouse.lake.serve.server import CatalogueServer

_TOKEN = "TAPEHOUSE_TOKEN"  # noqa: S105


@app.command()
def serve(
    lake: LakeFolder = LAKE,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one.")] = 8181,
    writable: Annotated[bool, typer.Option("--writable/--read-only", help="Whether engines may write.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help=f"Ask for the bearer token in FILE; by default for the one in {_TOKEN}, if there is one.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the lake as an Iceberg REST catalogue, until interrupted.

    Prints what to tell Spark and pyiceberg. Engines read and write the files by themselves: the lake's folder must be
    theirs, too, under the same path. Other addresses than those of this machine need a token.

    \b
    Examples:
      tapehouse lake serve --lake lake
      tapehouse lake serve --lake lake --port 0 --json
      tapehouse lake serve --lake lake --host 0.0.0.0 --token-file token.txt --writable
    """
    from tapehouse.arguments import open_lake
    from tapehouse.cli.interrupts import hear_interrupts
    from tapehouse.cli.output import note
    from tapehouse.lake.serve.server import Access, CatalogueServer

    hear_interrupts()  # before our own handlers: it imports what would replace them
    token = _token(token_file)
    home = open_lake(lake, read_only=not writable)
    access = Access(token, writable=writable)
    server = CatalogueServer(home, host, port, access, failed=lambda error: note(f"failed: {error}"))
    with server, _answering(server) as stopped:
        _tell(server, as_json=as_json)
        stopped.wait()


def _token(path: Path | None) -> str:
    from tapehouse.errors import UsageError

    if path is None:
        return os.environ.get(_TOKEN, "").strip()
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the token file cannot be read: {error}", fix="give a file with one line of text") from error
    if not token:
        raise UsageError(f"the token file {path} is empty", fix="write a long random text into it")
    return token


def _tell(server: CatalogueServer, *, as_json: bool) -> None:
    from tapehouse.cli.output import emit, note
    from tapehouse.lake.serve import settings

    token, writable = settings.TOKEN if server.access.token else "", server.access.writable
    if as_json:
        told = {
            "uri": server.uri,
            "writable": writable,
            "token": bool(token),
            "spark": settings.spark(server.uri, token=token),
            "pyiceberg": settings.pyiceberg(server.uri, token=token),
        }
        emit(told)
    else:
        print(settings.as_text(server.uri, token=token))
        note(f"serving {server.uri}, {'for reading and writing' if writable else 'read-only'}; Ctrl-C ends it")
    sys.stdout.flush()


@contextmanager
def _answering(server: CatalogueServer) -> Iterator[threading.Event]:
    """Answers in the background; the event comes with Ctrl-C or SIGTERM. A commit cut off then has happened or not."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        yield stopped
    finally:
        server.shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)

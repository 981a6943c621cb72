"""How far a run is, on standard error of a terminal: stage, rows, rows per second, bytes, time left.

Silent where nobody watches: no terminal, `--quiet`, `--json`. Rich is imported only when something is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Progress(Protocol):
    """What a run reports to. Every method may be called from any thread."""

    def stage(self, name: str) -> None:
        """The run is now doing `name` ("reading", "sorting", "committing")."""
        ...

    def expect(self, size: int) -> None:
        """`size` more bytes of input are to be read."""
        ...

    def advance(self, *, rows: int = 0, size: int = 0) -> None:
        """`rows` more records and `size` more bytes of input are done."""
        ...


class SilentProgress:
    """Shows nothing."""

    def stage(self, name: str) -> None:
        """Ignored."""

    def expect(self, size: int) -> None:
        """Ignored."""

    def advance(self, *, rows: int = 0, size: int = 0) -> None:
        """Ignored."""


class TerminalProgress:
    """A line that redraws itself. Time left is judged by bytes, known before the first row is read."""

    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar = bar
        self._task = task
        self._lock = Lock()  # adding to a count is a read and a write
        self._rows = 0
        self._total = 0

    def stage(self, name: str) -> None:
        """Shown before the bar."""
        self._bar.update(self._task, description=name)

    def expect(self, size: int) -> None:
        """Adds to the total."""
        with self._lock:
            self._total += size
            self._bar.update(self._task, total=self._total)

    def advance(self, *, rows: int = 0, size: int = 0) -> None:
        """Adds to what is done."""
        with self._lock:
            self._rows += rows
            self._bar.update(self._task, advance=size, rows=self._rows)


@contextmanager
def show_progress(*, quiet: bool = False, stream: TextIO | None = None, title: str = "starting") -> Iterator[Progress]:
    """Progress on `stream` (standard error by default) while the block runs; the line disappears at its end."""
    stream = stream if stream is not None else sys.stderr
    if quiet or not stream.isatty():
        yield SilentProgress()
        return
    with _bar(stream) as bar:
        yield TerminalProgress(bar, bar.add_task(title, total=None, rows=0))


def _bar(stream: TextIO) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, ProgressColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class _Rows(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(row_rate(task.fields["rows"], task.elapsed or 0.0))

    return RichProgress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(binary_units=False),
        _Rows(),
        TimeRemainingColumn(compact=True),
        console=Console(file=stream),
        transient=True,
        refresh_per_second=8,
    )


def row_rate(rows: int, seconds: float) -> str:
    """`rows` and rows per second, with thousands separators; no rate in the first tenth of a second."""
    return f"{rows:,} rows" + (f"  {rows / seconds:,.0f}/s" if seconds >= 0.1 else "")

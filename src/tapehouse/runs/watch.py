"""`watch`: takes files as they land, for as long as it runs; a restart carries on where the lake is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tapehouse.contracts.model import Contract
from tapehouse.errors import LakeError, TapehouseError, UsageError
from tapehouse.lake.home import Lake
from tapehouse.runs.result import RunResult, Status
from tapehouse.runs.run import run

# Names that senders give to files they are still writing.
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload")


@dataclass(slots=True)
class _Seen:
    """Size and modification time (ns) of files: `waiting` may still be written, `done` were taken or refused. `told` is
    the class of the lake's trouble that was last told of a file.
    """

    waiting: dict[Path, tuple[int, int]] = field(default_factory=dict)
    done: dict[Path, tuple[int, int]] = field(default_factory=dict)
    told: dict[Path, type[LakeError]] = field(default_factory=dict)

    def settled(self, folder: Path) -> list[Path]:
        """Files that did not change since the last look and were not dealt with in their present form."""
        ready, now = [], dict[Path, tuple[int, int]]()
        for path in sorted(folder.rglob("*")):
            if path.name.startswith(".") or path.name.endswith(_UNFINISHED) or not path.is_file():
                continue
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            form = (facts.st_size, facts.st_mtime_ns)
            if self.done.get(path) == form:
                continue
            now[path] = form
            if self.waiting.get(path) == form:
                ready.append(path)
        self.waiting = now
        return ready


def watch(
    contract: Contract,
    folder: Path,
    *,
    lake: Lake,
    stop: threading.Event,
    on_result: Callable[[RunResult], None],
    on_error: Callable[[Path, TapehouseError], None],
    references: Mapping[str, Path] | None = None,
    interval_seconds: float = 2.0,
) -> None:
    """Run every file that lands in `folder` or below, one run per look, until `stop` is set.

    A file is taken once it was the same on two looks. After a restart all files are looked at again: those in the lake
    are recognised by content and change nothing (I3). A file that cannot be read or breaks a budget is reported once
    and left alone until it changes. Where the lake cannot be written, which is no file's fault, that is reported once
    and the file tried again at every look.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", fix="give the folder that files land in")
    seen = _Seen()
    while not stop.is_set():
        ready = seen.settled(folder)
        if ready:
            _take(contract, ready, seen, lake, references, on_result, on_error)
        stop.wait(interval_seconds)


def _take(
    contract: Contract,
    ready: list[Path],
    seen: _Seen,
    lake: Lake,
    references: Mapping[str, Path] | None,
    on_result: Callable[[RunResult], None],
    on_error: Callable[[Path, TapehouseError], None],
) -> None:
    """All files in one run; where that fails or stops, one by one, so that a bad file does not hold up good ones."""
    forms = {path: seen.waiting[path] for path in ready}
    try:
        result = run(contract, ready, lake=lake, references=references)
        retry = result.status == Status.STOPPED and len(ready) > 1
    except LakeError as error:
        for path in ready:
            if seen.told.get(path) is not type(error):
                seen.told[path] = type(error)
                on_error(path, error)
        return
    except TapehouseError as error:
        if len(ready) == 1:
            on_error(ready[0], error)
        retry = len(ready) > 1
    else:
        if not retry:
            on_result(result)
    if retry:
        for path in ready:
            _take(contract, [path], seen, lake, references, on_result, on_error)
    seen.done.update(forms)

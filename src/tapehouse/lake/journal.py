"""The redo log: one file per run that has decided to publish, holding everything needed to finish without the run.

A journal exists whole or not at all (written aside, synced, renamed), and carries the sha256 of its own text, so a
damaged one is found and never half-applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tapehouse.errors import LakeError
from tapehouse.lake import disk
from tapehouse.lake.spec import Staged, TableSpec

FORMAT = 1


@dataclass(frozen=True)
class Journal:
    """A decided publication. `operation` is what each table's snapshot says it did; empty lets the lake choose between
    append and overwrite.
    """

    run_id: str
    staged: tuple[Staged, ...]
    summary: Mapping[str, str]
    operation: str = ""


def path_of(folder: Path, run_id: str) -> Path:
    """Where the journal of `run_id` lies."""
    return folder / f"{run_id}.json"


def pending(folder: Path) -> list[Path]:
    """Journals still to be finished, oldest first."""
    return sorted(folder.glob("[!.]*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))


def write(folder: Path, root: Path, journal: Journal) -> Path:
    """Make the decision durable. Paths are kept relative to the lake, so that a moved lake still recovers."""
    body = json.dumps(
        {
            "format": FORMAT,
            "run": journal.run_id,
            "operation": journal.operation,
            "summary": dict(journal.summary),
            "tables": [
                {
                    "spec": staged.spec.to_json(),
                    "add": [_relative(path, root) for path in staged.add],
                    "remove": [_relative(Path(path), root) for path in staged.remove],
                }
                for staged in journal.staged
            ],
        },
        sort_keys=True,
    )
    path = path_of(folder, journal.run_id)
    disk.write_atomic(path, f"{body}\n{_digest(body)}\n".encode())
    return path


def read(path: Path, root: Path) -> Journal:
    """The journal at `path`; LakeError if its text does not match its digest or its format is not known."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if len(lines) != 3 or _digest(lines[0]) != lines[1]:
        raise LakeError(
            f"journal {path} is damaged: its text does not match its digest",
            fix="restore it from a backup; or delete it, which drops that run's publication, and run its inputs again",
        )
    body = json.loads(lines[0])
    if body["format"] != FORMAT:
        raise LakeError(
            f"journal {path} has format {body['format']}; this version knows {FORMAT}", fix="upgrade Tapehouse"
        )
    staged = [
        Staged(
            spec=TableSpec.from_json(entry["spec"]),
            add=tuple(root / name for name in entry["add"]),
            remove=tuple(str(root / name) for name in entry["remove"]),
        )
        for entry in body["tables"]
    ]
    return Journal(body["run"], tuple(staged), body["summary"], body["operation"])


def finish(path: Path) -> None:
    """Forget a journal whose every table is committed."""
    path.unlink(missing_ok=True)
    disk.sync_folder(path.parent)


def pending_files(folder: Path, root: Path) -> set[Path]:
    """Data files that unfinished journals still need."""
    return {path for name in pending(folder) for staged in read(name, root).staged for path in staged.add}


def _relative(path: Path, root: Path) -> str:
    if not path.is_relative_to(root):
        raise LakeError(f"{path} lies outside the lake {root}", fix="write data files where `Lake.data_file` says")
    return path.relative_to(root).as_posix()


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def same_tables(staged: Sequence[Staged]) -> list[str]:
    """Identifiers named more than once: a run commits each table once."""
    names = [entry.spec.identifier for entry in staged]
    return sorted({name for name in names if names.count(name) > 1})

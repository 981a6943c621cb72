"""The only way into a table (I2): decide durably, then commit each table once, from whoever is alive to do it.

1. The run's data files are synced. 2. Its journal is written: from here on the run *will* be published. 3. Each table
in order gets one snapshot carrying the run id, unless one already does. 4. The journal is removed. A process killed
before 2 leaves files nobody names, which `recover` removes; killed after 2, `recover` finishes its work. Both end in
the same lake. Everything that could make step 3 fail for another reason than the disk is checked before step 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.errors import LakeError
from tapehouse.lake import disk, journal, spill
from tapehouse.lake.home import Lake
from tapehouse.lake.journal import Journal
from tapehouse.lake.landing import clear_leftovers
from tapehouse.lake.spec import Staged, check_run_id

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

Fault = Callable[[str], None]


@dataclass(frozen=True)
class TablePublication:
    """What became of one table: `snapshot_id` is None when the run neither added nor removed files of it, and `again`
    says that the run's snapshot was there before this call.
    """

    identifier: str
    snapshot_id: int | None
    added_files: int
    removed_files: int
    again: bool = False


@dataclass(frozen=True)
class Publication:
    """A run that is now visible."""

    run_id: str
    tables: tuple[TablePublication, ...]


class PublicationPendingError(LakeError):
    """The run is decided and partly visible; the next writer of the lake finishes it. Not to be run again."""

    def __init__(self, run_id: str, cause: Exception) -> None:
        super().__init__(
            f"run {run_id} is recorded but not all its tables are committed: {cause}",
            fix="remove the cause; the next run, or `tapehouse lake recover`, finishes it",
        )
        self.run_id = run_id


def publish(
    lake: Lake,
    run_id: str,
    staged: Sequence[Staged],
    summary: Mapping[str, str],
    *,
    operation: str = "",
    fault: Fault = lambda step: None,
) -> Publication:
    """Make the run visible: one snapshot per table, in the order given. The caller holds `lake.lock()`.

    `summary` goes into every snapshot. `operation` is normally chosen (append, or overwrite when files are removed).
    `fault` is called with the name of each step about to be relied on; tests kill the process there. Publishing a run
    again changes nothing. Raises LakeError with nothing published, or PublicationPendingError.
    """
    lake.require_lock()
    recover(lake)
    entry = Journal(check_run_id(run_id), tuple(staged), dict(summary), operation)
    if twice := journal.same_tables(entry.staged):
        raise LakeError(f"run {run_id} stages {', '.join(twice)} more than once", fix="stage each table once")
    with disk.guarded("preparing publication", lake.root):
        for part in entry.staged:
            _check(lake, entry.run_id, part)
        disk.sync_files([path for part in entry.staged for path in part.add], root=lake.root)
        fault("synced")
        path = journal.write(lake.journal, lake.root, entry)
    fault("journal")
    try:
        return _complete(lake, entry, path, fault)
    except Exception as error:
        known = disk.explain(error, "publishing", lake.root)
        if _visible(lake, entry) or not _withdrawn(path):
            raise PublicationPendingError(run_id, known or error) from error
        if known is None:
            raise
        raise known from error


def recover(lake: Lake) -> list[str]:
    """Finish decided runs and clear up after dead ones; returns the ids of the runs finished, oldest first.

    Every writer calls this after taking the lock (`publish` does so itself); it costs a few directory listings
    when there is nothing to do.
    """
    lake.require_lock()
    finished = []
    for path in journal.pending(lake.journal):
        entry = journal.read(path, lake.root)
        with disk.guarded("finishing an interrupted run", lake.root):
            _complete(lake, entry, path, lambda step: None)
        finished.append(entry.run_id)
    for run_id in lake.dead_runs():
        with disk.guarded("clearing up after a dead run", lake.root):
            lake.discard(run_id)
            spill.remove(lake.root / "staging" / run_id)
    clear_leftovers(lake.raw)
    for leftover in lake.journal.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    return finished


def _complete(lake: Lake, entry: Journal, path: Path, fault: Fault) -> Publication:
    done = []
    for part in entry.staged:
        fault(f"before {part.spec.identifier}")
        done.append(_commit(lake, entry, part))
        fault(f"after {part.spec.identifier}")
    journal.finish(path)
    fault("finished")
    return Publication(entry.run_id, tuple(done))


def _commit(lake: Lake, entry: Journal, part: Staged) -> TablePublication:
    from tapehouse.lake.iceberg import commits, statistics

    table = commits.load(lake.catalog, part.spec)
    found = None if table is None else commits.run_snapshot(table, entry.run_id)
    counts = (len(part.add), len(part.remove))
    if found is not None:
        return TablePublication(part.spec.identifier, found, *counts, again=True)

    def describe(schema: Schema, spec: PartitionSpec) -> list[DataFile]:
        return [statistics.data_file(path, schema, spec) for path in part.add]

    remove = [] if table is None else _to_remove(lake, table, part)
    summary = {**entry.summary, commits.RUN_ID: entry.run_id}
    transaction = commits.begin(lake.catalog, part.spec, table)
    snapshot = commits.commit(transaction, describe, remove, summary, entry.operation)
    return TablePublication(part.spec.identifier, snapshot, *counts)


def _check(lake: Lake, run_id: str, part: Staged) -> None:
    """Whatever would make committing fail later, judged by the same code that will do it."""
    from tapehouse.lake.iceberg import commits, statistics

    table = commits.load(lake.catalog, part.spec)
    if table is not None and commits.run_snapshot(table, run_id) is not None:
        return
    if absent := [str(path) for path in part.add if not path.is_file()]:
        raise LakeError(f"{part.spec.identifier}: staged files do not exist: {', '.join(absent)}")
    if len(set(part.add)) != len(part.add):
        raise LakeError(f"{part.spec.identifier}: a file is staged twice")
    schema, spec = commits.future_schema(part.spec), commits.partition_spec(part.spec)
    if table is not None:
        commits.fits(table, part.spec)
        _to_remove(lake, table, part)
    elif part.remove:
        raise LakeError(f"{part.spec.identifier} does not exist, so no file of it can be removed")
    for path in part.add:
        statistics.data_file(path, schema, spec)


def _to_remove(lake: Lake, table: Table, part: Staged) -> list[DataFile]:
    if not part.remove:
        return []
    from tapehouse.lake.iceberg.fileio import local_path

    live = {str(local_path(file.file_path)): file for file in _live(lake, table)}
    if missing := [path for path in part.remove if path not in live]:
        raise LakeError(
            f"{part.spec.identifier}: files to remove are not in its current snapshot: {', '.join(missing)}",
            fix="load the table again under the lock before choosing files to replace",
        )
    return [live[path] for path in part.remove]


def _live(lake: Lake, table: Table) -> list[DataFile]:
    from tapehouse.lake.table import LakeTable

    return LakeTable(lake, table).live()


def _withdrawn(path: Path) -> bool:
    """Take the decision back; False when even that cannot be written."""
    try:
        journal.finish(path)
    except OSError:
        return False
    return True


def _visible(lake: Lake, entry: Journal) -> bool:
    """Whether any table already shows the run. When even that cannot be read, the safe answer is yes."""
    from tapehouse.lake.iceberg import commits

    try:
        tables = [commits.load(lake.catalog, part.spec) for part in entry.staged]
        return any(table is not None and commits.run_snapshot(table, entry.run_id) is not None for table in tables)
    except Exception:
        return True

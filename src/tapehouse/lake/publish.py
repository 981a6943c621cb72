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
from tapehouse.lake import disk, journal
from tapehouse.lake.home import Lake
from tapehouse.lake.journal import Journal
from tapehouse.lake.spec import RUN_ID, Staged, check_run_id

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from tapehouse.lake.iceberg.birth import Newborn
    from tapehouse.lake.iceberg.statistics import FileFacts

    Facts = Mapping[str, Sequence[FileFacts]]

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
        there = set(lake.names())
        facts = {
            part.spec.identifier: _check(lake, entry.run_id, part, exists=part.spec.identifier in there)
            for part in entry.staged
        }
        lake.place.keep([path for part in entry.staged for path in part.add])
        fault("synced")
        path = lake.decide(entry)
    fault("journal")
    try:
        return _complete(lake, entry, path, fault, facts)
    except Exception as error:
        known = disk.explain(error, "publishing", lake.root)
        if _visible(lake, entry) or not _withdrawn(lake, path):
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
    lake.refresh()
    finished = []
    for path in journal.pending(lake.journal):
        entry = journal.read(path, lake.root)
        with disk.guarded("finishing an interrupted run", lake.root):
            _complete(lake, entry, path, lambda step: None)
        finished.append(entry.run_id)
    for run_id in lake.dead_runs():
        with disk.guarded("clearing up after a dead run", lake.root):
            lake.bury(run_id)
    lake.clear_leftovers()
    return finished


def _complete(lake: Lake, entry: Journal, path: Path, fault: Fault, facts: Facts | None = None) -> Publication:
    """`facts` are those of new tables' files, where they have been looked at already."""
    newborn = _write_new(lake, entry, facts or {})
    done = []
    for part in entry.staged:
        fault(f"before {part.spec.identifier}")
        born = newborn.get(part.spec.identifier)
        done.append(_commit(lake, entry, part) if born is None else _reveal(lake, part, born))
        fault(f"after {part.spec.identifier}")
    lake.finish(path)
    fault("finished")
    return Publication(entry.run_id, tuple(done))


def _write_new(lake: Lake, entry: Journal, known: Facts) -> dict[str, Newborn]:
    """Write the metadata of tables that do not exist yet, all of it on disk before the catalogue points to any."""
    from tapehouse.lake.iceberg import birth

    names = set(lake.names())
    summary = {**entry.summary, RUN_ID: entry.run_id}
    born: dict[str, Newborn] = {}
    for part in entry.staged:
        name = part.spec.identifier
        if name not in names:
            facts = known[name] if name in known else birth.facts_of(part, lake.place)
            born[name] = birth.write(part, facts, lake.warehouse, lake.place, summary, entry.operation)
    lake.place.keep([path for one in born.values() for path in one.files])
    return born


def _reveal(lake: Lake, part: Staged, born: Newborn) -> TablePublication:
    if not lake.reveal(born):
        raise LakeError(
            f"{part.spec.identifier} was made by another program just now",
            fix="stop any other program that writes this lake, and run again",
        )
    return TablePublication(part.spec.identifier, born.snapshot_id, len(part.add), len(part.remove))


def _commit(lake: Lake, entry: Journal, part: Staged) -> TablePublication:
    """One commit to a table that exists."""
    from tapehouse.lake.iceberg import commits

    table = _existing(lake, part)
    found = commits.run_snapshot(table, entry.run_id)
    counts = (len(part.add), len(part.remove))
    if found is not None:
        return TablePublication(part.spec.identifier, found, *counts, again=True)
    summary = {**entry.summary, RUN_ID: entry.run_id}
    transaction = commits.begin(part.spec, table)
    removed = _to_remove(lake, table, part)
    snapshot = commits.commit(transaction, part.add, removed, summary, entry.operation, lake.place)
    return TablePublication(part.spec.identifier, snapshot, *counts)


def _existing(lake: Lake, part: Staged) -> Table:
    from tapehouse.lake.iceberg import commits

    table = commits.load(lake.catalog, part.spec)
    if table is None:
        raise LakeError(f"{part.spec.identifier} has vanished", fix="stop any other program that writes this lake")
    return table


def _check(lake: Lake, run_id: str, part: Staged, *, exists: bool) -> list[FileFacts]:
    """Whatever would make committing fail later, judged by the same code that will do it; returns what a new table will
    record of its files.
    """
    from tapehouse.lake.iceberg import birth

    table = _existing(lake, part) if exists else None
    if table is not None and _published(table, run_id):
        return []
    if absent := [str(path) for path in part.add if not lake.place.holds(path)]:
        raise LakeError(f"{part.spec.identifier}: staged files do not exist: {', '.join(absent)}")
    if len(set(part.add)) != len(part.add):
        raise LakeError(f"{part.spec.identifier}: a file is staged twice")
    if table is not None:
        from tapehouse.lake.iceberg import commits

        commits.fits(table, part.spec)
        _to_remove(lake, table, part)
    elif part.remove:
        raise LakeError(f"{part.spec.identifier} does not exist, so no file of it can be removed")
    return birth.facts_of(part, lake.place)


def _published(table: Table, run_id: str) -> bool:
    from tapehouse.lake.iceberg.commits import run_snapshot

    return run_snapshot(table, run_id) is not None


def _to_remove(lake: Lake, table: Table, part: Staged) -> list[DataFile]:
    if not part.remove:
        return []
    live = {str(lake.place.path(file.file_path)): file for file in _live(lake, table)}
    if missing := [path for path in part.remove if path not in live]:
        raise LakeError(
            f"{part.spec.identifier}: files to remove are not in its current snapshot: {', '.join(missing)}",
            fix="load the table again under the lock before choosing files to replace",
        )
    return [live[path] for path in part.remove]


def _live(lake: Lake, table: Table) -> list[DataFile]:
    from tapehouse.lake.table import LakeTable

    return LakeTable(lake, table).live()


def _withdrawn(lake: Lake, path: Path) -> bool:
    """Take the decision back; False when even that cannot be written."""
    try:
        lake.withdraw(path)
    except (OSError, LakeError):
        return False
    return True


def _visible(lake: Lake, entry: Journal) -> bool:
    """Whether any table already shows the run. When even that cannot be read, the safe answer is yes."""
    try:
        there = set(lake.names())
        return any(
            _published(_existing(lake, part), entry.run_id) for part in entry.staged if part.spec.identifier in there
        )
    except Exception:
        return True

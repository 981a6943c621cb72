"""A lake: opening it, its one writer's lock, the spill of running runs, and its tables by name."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse.errors import LakeError, UsageError
from tapehouse.lake import disk, journal, spill
from tapehouse.lake.catalogue_file import table_names
from tapehouse.lake.folder import check_format, flock, is_lake, is_remote, make, remote_address
from tapehouse.lake.journal import Journal
from tapehouse.lake.landing import Arriving, Landing, clear_leftovers
from tapehouse.lake.place import OnDisk, Place
from tapehouse.lake.raw import RawStore
from tapehouse.lake.spec import TableSpec, check_run_id, new_data_file, written_by

if TYPE_CHECKING:
    from tapehouse.lake.iceberg.birth import Newborn
    from tapehouse.lake.iceberg.catalogue import LakeCatalog
    from tapehouse.lake.table import LakeTable


class Lake:
    """An open lake. Opening is cheap; the catalogue is opened (and pyiceberg imported) when a table is first needed."""

    def __init__(self, root: Path, *, read_only: bool) -> None:
        self.root = root
        self.read_only = read_only
        self.warehouse = root / "warehouse"
        self.journal = root / "journal"
        self.stopped = root / "stopped"
        self.catalogue_file = root / "catalog.db"
        self.place: Place = OnDisk(root)
        self.raw = RawStore(root / "raw")
        self._catalog: LakeCatalog | None = None
        self._opening = threading.Lock()
        self._owner = threading.RLock()
        self._depth = 0

    @classmethod
    def open(cls, root: Path | str, *, create: bool = True, read_only: bool = False) -> Lake:
        """Open the lake in `root`, making it when `create` and the folder is absent or empty.

        Raises LakeError when the folder is something else, cannot be written (unless `read_only`), or was made by a
        newer version.
        """
        if is_remote(root):
            from tapehouse.lake.s3.home import S3Lake

            return S3Lake.attach(remote_address(root), create=create, read_only=read_only)
        folder = Path(root).expanduser().absolute()
        with disk.guarded("opening the lake", folder):
            if not is_lake(folder):
                make(folder, create=create and not read_only)
            check_format(folder)
            if not read_only:
                os.close(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        return cls(folder, read_only=read_only)

    @contextmanager
    def lock(self, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lake's writer lock: one writer per lake, across processes and threads.

        Blocks until it is free; `waiting` is called once if it is not. The same thread may nest it. The kernel
        releases it when the process dies.
        """
        self.require_writable()
        if not self._owner.acquire(blocking=False):
            if waiting is not None:
                waiting()
                waiting = None
            self._owner.acquire()
        try:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            with self._alone(waiting):
                self._depth = 1
                try:
                    yield
                finally:
                    self._depth = 0
        finally:
            self._owner.release()

    @contextmanager
    def _alone(self, waiting: Callable[[], None] | None) -> Iterator[None]:
        """Keep other processes out."""
        with disk.guarded("locking the lake", self.root):
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            flock(descriptor, waiting)
            yield
        finally:
            os.close(descriptor)

    def require_lock(self) -> None:
        """LakeError unless this process holds the writer lock."""
        if not self._depth:
            raise LakeError("the lake's lock is not held", fix="write inside `with lake.lock():`")

    def require_writable(self) -> None:
        """LakeError for a lake opened read-only."""
        if self.read_only:
            raise disk.NotWritableError(f"the lake {self.root} was opened read-only", fix="open it without read_only")

    @contextmanager
    def staging(self, run_id: str) -> Iterator[Path]:
        """A folder for the run's spill, removed at the end; while it lasts, the run counts as alive.

        When the block fails, data files of the run that no journal and no snapshot names are removed as well.
        """
        self.require_writable()
        folder = self.root / "staging" / check_run_id(run_id)
        with disk.guarded("making the run's spill folder", folder):
            descriptor = spill.own(folder)
        try:
            if any(folder.iterdir()):  # a dead process had this run before: begin as if it had not
                spill.empty(folder)
                self.discard(run_id)
            (folder / ".run").touch()
            yield folder
        except BaseException:
            self.discard(run_id)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)

    def data_file(self, spec: TableSpec, label: str, run_id: str, number: int) -> Path:
        """Path for a new data file of this lake, its folder made; see `spec.new_data_file`."""
        return new_data_file(self.warehouse, spec, label, run_id, number)

    def landing(
        self, inputs: Sequence[str | Path], origins: Mapping[Path, str] | None = None, *, here: bool = True
    ) -> Arriving:
        """Begin to land inputs that exist; see `Landing`. `here` says whether this process will read them."""
        if remote := [one for one in inputs if is_remote(one)]:
            raise UsageError(f"{remote[0]} is in S3, the lake is not", fix="bring it here first, or use a lake in S3")
        return Landing(self.raw, [Path(one) for one in inputs], origins)

    def discard(self, run_id: str, within: Iterable[tuple[TableSpec, str]] | None = None) -> list[Path]:
        """Remove the run's data files that nothing names, unless its journal is pending; returns them.

        `within` says in which tables and folders (labels) of them they can be, where that is known.
        """
        if journal.path_of(self.journal, run_id).exists():
            return []
        removed = []
        for (namespace, name), found in self._written_by(run_id, within).items():
            table = self.table(namespace, name)
            named = table.named_data_files() if table is not None else set()
            removed += sorted(found - named)
        self.place.remove(removed)
        return removed

    def _written_by(
        self, run_id: str, within: Iterable[tuple[TableSpec, str]] | None
    ) -> dict[tuple[str, str], set[Path]]:
        """Data files that the run wrote, by table."""
        out: dict[tuple[str, str], set[Path]] = {}
        for folder in self.warehouse.glob("*/*/data"):
            found = {path for path in folder.glob(f"**/{run_id}-*.parquet") if written_by(path, run_id)}
            if found:
                out[folder.parent.parent.name, folder.parent.name] = found
        return out

    def decide(self, entry: Journal) -> Path:
        """Make it certain that the run will be published; returns its journal."""
        return journal.write(self.journal, self.root, entry)

    def finish(self, path: Path) -> None:
        """Forget a journal whose every table is committed."""
        journal.finish(path)

    def withdraw(self, path: Path) -> None:
        """Take a decision back of which nothing can be seen yet."""
        journal.finish(path)

    def refresh(self) -> None:
        """Look again which journals there are; on disk they always are those in the folder."""

    def reveal(self, born: Newborn) -> bool:
        """Point the catalogue to a new table; False when there is one of that name."""
        from tapehouse.lake.iceberg import birth

        return birth.reveal(self.catalogue_file, born)

    def bury(self, run_id: str) -> None:
        """Remove what a dead run left."""
        self.discard(run_id)
        spill.remove(self.root / "staging" / run_id)

    def clear_leftovers(self) -> None:
        """Remove copies and drafts of dead processes."""
        clear_leftovers(self.raw)
        for leftover in self.journal.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    def dead_runs(self) -> list[str]:
        """Runs whose spill is left over from a process that died."""
        return [name for name, alive in self._spills() if not alive]

    def live_runs(self) -> list[str]:
        """Runs now at work, in this process or another."""
        return [name for name, alive in self._spills() if alive]

    def prepare(self) -> None:
        """Import now, on the calling thread, what publishing will need: little for a lake without tables, for others
        what `warm` does; trouble shows at first use.

        Not to be called from a thread of its own: importing while other threads import can deadlock in the import
        system.
        """
        with suppress(Exception):
            from tapehouse.lake import publish as _publish  # noqa: F401
            from tapehouse.lake.iceberg import birth as _birth  # noqa: F401

            if self.names():
                self.warm()

    def warm(self) -> None:
        """Import pyiceberg and open the catalogue now, before threads start; trouble shows at first use.

        Not in the background: importing while worker threads import lazily too can deadlock in the import system.
        """
        with suppress(Exception):
            from tapehouse.lake.iceberg import commits as _commits  # noqa: F401

            if not self.read_only:
                _ = self.catalog

    @property
    def catalog(self) -> LakeCatalog:
        """The open catalogue."""
        with self._opening:
            if self._catalog is None:
                self._catalog = self._open_catalog()
            return self._catalog

    def _open_catalog(self) -> LakeCatalog:
        from tapehouse.lake.iceberg.catalogue import open_catalog

        return open_catalog(self.root, read_only=self.read_only)

    def names(self) -> list[str]:
        """`namespace.table` of every table, sorted; does not import pyiceberg."""
        return table_names(self.catalogue_file)

    def table(self, namespace: str, name: str) -> LakeTable | None:
        """The table as it is now, or None when there is none."""
        if f"{namespace}.{name}" not in self.names():
            return None
        from tapehouse.lake.table import LakeTable

        with disk.guarded("loading a table", self.warehouse / namespace / name):
            return LakeTable(self, self.catalog.load_table((namespace, name)))

    def tables(self) -> list[LakeTable]:
        """Every table as it is now, by name."""
        found = (self.table(*identifier.split(".", 1)) for identifier in self.names())
        return [table for table in found if table is not None]

    def _spills(self) -> list[tuple[str, bool]]:
        folder = self.root / "staging"
        names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        return [(name, spill.is_owned(folder / name)) for name in names]

    @property
    def home(self) -> Path | str:
        """What opens the lake again: its folder, or its location in S3."""
        return self.root

    @property
    def address(self) -> str:
        """The lake as people name it: its folder, or its location in S3."""
        return self.place.address

    def __repr__(self) -> str:
        return f"Lake({self.address!r}{', read_only=True' if self.read_only else ''})"

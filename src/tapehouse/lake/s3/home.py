"""Opening a lake in S3: its marker, its lock, the spill of running runs, and its tables by name."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tapehouse import aws
from tapehouse.errors import LakeError, UsageError
from tapehouse.lake import journal
from tapehouse.lake.home import Lake
from tapehouse.lake.journal import Journal
from tapehouse.lake.landing import Arriving
from tapehouse.lake.publish import PublicationPendingError
from tapehouse.lake.s3 import lease as leases
from tapehouse.lake.s3.glue import Glue
from tapehouse.lake.s3.landing import ARRIVING, ARRIVING_SECONDS_MAX, S3Landing
from tapehouse.lake.s3.lease import Lease
from tapehouse.lake.s3.marker import MARKER, make, read_marker
from tapehouse.lake.s3.objects import Objects, remove_tree
from tapehouse.lake.s3.place import OnS3
from tapehouse.lake.s3.raw import RawObjects
from tapehouse.lake.spec import TableSpec, check_run_id, written_by

if TYPE_CHECKING:
    from tapehouse.lake.iceberg.birth import Newborn
    from tapehouse.lake.iceberg.catalogue import LakeCatalog
    from tapehouse.lake.table import LakeTable

_LOCK = "lock"
_RUNNING = ".run"  # of a run's spill: the lease that says it is alive


class S3Lake(Lake):
    """A lake in S3, by way of a working copy that goes when the lake is no longer used."""

    def __init__(
        self, objects: Objects, raw: Objects, database: str, *, read_only: bool, lease_seconds: float = leases.SECONDS
    ) -> None:
        root = Path(tempfile.mkdtemp(prefix="tapehouse-lake-"))
        weakref.finalize(self, remove_tree, root)
        super().__init__(root, read_only=read_only)
        self.objects, self.database = objects, database
        self._placed = OnS3(root, objects, raw, here=root)
        self.place = self._placed
        self._landed = RawObjects(self._placed, raw)
        self.raw = self._landed
        self._glue = Glue(database, self._placed.location(self.warehouse), objects.region)
        self._lease_seconds = lease_seconds
        self._lock = Lease(objects, _LOCK, lease_seconds)
        self._running: dict[str, Lease] = {}
        for folder in (self.warehouse, self.journal, self.stopped, root / "staging"):
            folder.mkdir()

    @classmethod
    def attach(
        cls,
        address: str,
        *,
        create: bool = True,
        read_only: bool = False,
        database: str = "",
        raw: str = "",
        lease_seconds: float = leases.SECONDS,
    ) -> S3Lake:
        """Open the lake at `s3://BUCKET/PREFIX`, making it when `create` and there is none.

        `database` is the Glue database of its tables, `raw` where landed bytes are kept (default: `raw` below the
        lake); both are settled when the lake is made and need not be given again. LakeError when there is no lake,
        UsageError when it was made with others.
        """
        region = aws.region()
        objects = Objects.at(address, region)
        if not objects.prefix:
            raise UsageError(f"the lake {address} is a whole bucket", fix="name a prefix in it, such as /lake")
        there = objects.get(MARKER)
        if there is None:
            if not create or read_only:
                raise LakeError(f"no lake in {address}", fix="check the location; a run with --database makes a lake")
            there = make(objects, database, raw or f"{objects.uri}/raw")
        found = read_marker(objects, there.body)
        for name, wanted in (("database", database), ("raw", raw.rstrip("/"))):
            if wanted and wanted != found[name]:
                raise UsageError(
                    f"the lake {address} has {name} {found[name]}, not {wanted}",
                    fix="leave it out, or use another lake",
                )
        lake = cls(
            objects,
            Objects.at(found["raw"], region),
            found["database"],
            read_only=read_only,
            lease_seconds=lease_seconds,
        )
        lake._glue.check()
        return lake

    @property
    def home(self) -> Path | str:
        """Its location."""
        return self.address

    @contextmanager
    def _alone(self, waiting: Callable[[], None] | None) -> Iterator[None]:
        self._lock.take(waiting)
        try:
            yield
        finally:
            with suppress(LakeError):  # then it expires
                self._lock.release()

    @contextmanager
    def staging(self, run_id: str) -> Iterator[Path]:
        """See `Lake.staging`: what tasks spill lies below the same name in S3, and is removed with the folder."""
        self.require_writable()
        folder = self.root / "staging" / check_run_id(run_id)
        lease = self._spill(run_id)
        left = self.objects.head(f"staging/{run_id}/{_RUNNING}") is not None
        if not lease.try_take():
            raise LakeError(f"run {run_id} is already at work", fix="wait for it, or use another run id")
        self._running[run_id] = lease
        try:
            if left:  # a dead process had this run before: begin as if it had not
                self._sweep(run_id)
                self.discard(run_id)
            folder.mkdir()
            yield folder
        except BaseException:
            with suppress(LakeError):  # the error that ended the run is the one to tell; the next writer clears up
                self.discard(run_id)
            raise
        finally:
            del self._running[run_id]
            remove_tree(folder)
            with suppress(LakeError):
                self._sweep(run_id)
                lease.release(remove=True)

    def _spill(self, run_id: str) -> Lease:
        return Lease(self.objects, f"staging/{run_id}/{_RUNNING}", self._lease_seconds)

    def _sweep(self, run_id: str) -> None:
        """Remove what a run's tasks spilled."""
        start = f"staging/{run_id}/"
        self.objects.delete(one.name for one in self.objects.listed(start) if one.name != f"{start}{_RUNNING}")

    def _spills(self) -> list[tuple[str, bool]]:
        return [(run_id, self._alive(run_id)) for run_id in self.objects.folders("staging/")]

    def _alive(self, run_id: str) -> bool:
        there = self.objects.get(f"staging/{run_id}/{_RUNNING}")
        return there is not None and not leases.expired(there)

    def bury(self, run_id: str) -> None:
        """Take the run's lease first: should its process live after all, it can no longer decide anything."""
        lease = self._spill(run_id)
        if lease.try_take():
            self.discard(run_id)
            self._sweep(run_id)
            lease.release(remove=True)
            remove_tree(self.root / "staging" / run_id)

    def clear_leftovers(self) -> None:
        """Uploads of inputs that nobody has used for a day."""
        uploads = list(self.objects.listed(f"{ARRIVING}/"))
        ages = ((one.name, self.objects.age_seconds(one.name) or 0.0) for one in uploads)
        self.objects.delete(name for name, age in ages if age > ARRIVING_SECONDS_MAX)

    def landing(
        self, inputs: Sequence[str | Path], origins: Mapping[Path, str] | None = None, *, here: bool = True
    ) -> Arriving:
        """Begin to land inputs: files of this machine, and objects by location. `here` says who will read them."""
        return S3Landing(self._placed, self.objects, self._landed, inputs, origins or {}, here=here)

    def decide(self, entry: Journal) -> Path:
        """The journal is an object first; what counts is that the lock names it."""
        running = self._running.get(entry.run_id)
        if running is not None:
            running.assure()  # else its files may have been removed as a dead run's
        path = journal.write(self.journal, self.root, entry)
        name = f"journal/{path.name}"
        self.objects.put(name, path.read_bytes())
        try:
            self._lock.decide(entry.run_id)
        except BaseException as error:
            self._forget(path, name, error)
            raise
        return path

    def _forget(self, path: Path, name: str, why: BaseException) -> None:
        """Make a decision that failed one that was not made. The lock may name it all the same, when the answer was
        lost: then whoever comes next carries it out, or does so already, and its journal and files have to stay.
        """
        try:
            pending = self._lock.may_name(path.stem)
            if not pending:
                self.objects.delete([name])
        except LakeError:
            pending = True
        if not pending:
            path.unlink()
        elif isinstance(why, Exception):
            raise PublicationPendingError(path.stem, why) from why

    def finish(self, path: Path) -> None:
        """Without its journal a decision counts no more."""
        self.objects.delete([f"journal/{path.name}"])
        self._lock.done([path.stem])
        path.unlink(missing_ok=True)

    def withdraw(self, path: Path) -> None:
        """Only while the lock is ours: whoever has it by now may be carrying the decision out."""
        self._lock.withdraw(path.stem)
        self.finish(path)

    def refresh(self) -> None:
        """Bring the journals that count; without the lock all there are, for one who only wants to know what is named.

        Those that do not count are of writers that lost the lock before they had decided.
        """
        decided = self._lock.decided if self._depth else None
        there = {Path(one.name).stem: one.name for one in self.objects.listed("journal/")}
        wanted = list(there) if decided is None else [run_id for run_id in decided if run_id in there]
        for path in self.journal.iterdir():
            if path.stem not in wanted:
                path.unlink()
        for age, run_id in enumerate(wanted):  # journals are finished in order of age
            path = journal.path_of(self.journal, run_id)
            if self.objects.download(there[run_id], path):
                os.utime(path, (age, age))
        if decided is not None:
            self.objects.delete(name for run_id, name in there.items() if run_id not in decided)
            self._lock.done(run_id for run_id in decided if run_id not in there)

    def _written_by(
        self, run_id: str, within: Iterable[tuple[TableSpec, str]] | None
    ) -> dict[tuple[str, str], set[Path]]:
        out: dict[tuple[str, str], set[Path]] = {}
        if within is None:
            for kept in self.place.files(self.warehouse):
                if written_by(kept.path, run_id):
                    namespace, name = kept.path.relative_to(self.warehouse).parts[:2]
                    out.setdefault((namespace, name), set()).add(kept.path)
            return out
        for spec, label in within:
            folder = self.warehouse / spec.namespace / spec.name / "data"
            found = {kept.path for kept in self.place.files(folder, f"{label}/{run_id}-" if label else f"{run_id}-")}
            if found:
                out.setdefault((spec.namespace, spec.name), set()).update(found)
        return out

    def reveal(self, born: Newborn) -> bool:
        """Enter the table in Glue."""
        from tapehouse.lake.s3.catalogue import metadata_of
        from tapehouse.lake.s3.tables import table_input

        spec, location = born.spec, self.place.location(born.metadata)
        given = table_input(spec.namespace, spec.name, metadata_of(born.metadata), location)
        self._lock.assure()
        return self._glue.create(spec.namespace, spec.name, given)

    def _open_catalog(self) -> LakeCatalog:
        from tapehouse.lake.s3.catalogue import GlueTables

        return GlueTables(self._placed, self._glue, self._lock.assure)

    def prepare(self) -> None:
        """Import what any run will need of pyiceberg and boto3, before its threads start."""
        self.warm()

    def names(self) -> list[str]:
        """Asks Glue."""
        return [f"{namespace}.{name}" for namespace, name in self._glue.names()]

    def table(self, namespace: str, name: str) -> LakeTable | None:
        """Asks Glue."""
        from pyiceberg.exceptions import NoSuchTableError

        from tapehouse.lake.table import LakeTable

        try:
            return LakeTable(self, self.catalog.load_table((namespace, name)))
        except NoSuchTableError:
            return None

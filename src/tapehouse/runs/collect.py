"""The reading half of a run: batches through the kernel into the stage. Needs no lock and publishes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.engines.embedded import THREADS, BatchTotals, JudgedSlice, Selection, judge_batches
from tapehouse.feeds.base import BatchSource
from tapehouse.kernel.dedupe import key_hashes
from tapehouse.kernel.order import compact, compactable, split
from tapehouse.kernel.profile import Profile, add_counts
from tapehouse.kernel.verdict import Judge
from tapehouse.runs.context import Progress
from tapehouse.runs.keys import Duplicates
from tapehouse.runs.quarantine import QuarantineStage, Rejected, Unexplained, malformed_rows, rejected_rows
from tapehouse.runs.stage import Piece, Stage


@dataclass(slots=True)
class Collected:
    """All that the reading half found out: batches by ordinal, rows staged, rejected rows, totals.

    `remember` has the numbers of rejected records kept. Keys are hashed as they lie in memory, which only this process
    can compare, unless `hash_keys` says otherwise.
    """

    stage: Stage
    quarantine: QuarantineStage
    unexplained: Unexplained = field(default_factory=Unexplained)
    sources: list[BatchSource] = field(default_factory=list)
    totals: dict[int, BatchTotals] = field(default_factory=dict)
    codes: dict[int, dict[str, int]] = field(default_factory=dict)
    rejected: dict[int, list[npt.NDArray[np.int64]]] = field(default_factory=dict)
    remember: bool = False
    hash_keys: bool = True
    compacted: tuple[str, ...] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, contract: Contract, judge: Judge, judged: JudgedSlice) -> None:
        """Stage one judged slice. Called from several threads."""
        refined = judged.refined
        if refined.rejected.height:
            self.explain(contract, judge, self.unexplained.add(refined.rejected, judged.slice.raw(refined.positions)))
        codes = dict(refined.profile.rules)
        unplaced = int(refined.rejected.get_column("_unplaced").sum()) if refined.rejected.height else 0
        if unplaced:
            codes = add_counts(codes, {f"{contract.event_time.name}_missing": unplaced})
        if judged.malformed:
            self.quarantine.add(malformed_rows(judged.batch, judged.malformed))
            for one in judged.malformed:
                codes[one.code] = codes.get(one.code, 0) + 1
        kept = compact(refined.kept, self._compactable(contract, refined.kept))
        for partition, rows, bad in split(contract, kept, refined.bad):
            hashes = key_hashes(rows, contract.key) if self.hash_keys and contract.key is not None else None
            self.stage.add(Piece(partition, judged.batch, int(rows["_row"][0]), rows.height, rows, bad, hashes))
        with self._lock:
            if self.remember:
                numbers = [refined.rejected.get_column("_row").to_numpy()]
                numbers.append(np.array([one.record.row for one in judged.malformed], np.int64))
                self.rejected.setdefault(judged.batch, []).extend(numbers)
            self.totals.setdefault(judged.batch, BatchTotals()).add(judged, contract.event_time.name)
            self.codes[judged.batch] = add_counts(self.codes.get(judged.batch, {}), codes)

    def explain(self, contract: Contract, judge: Judge, rejected: Rejected | None) -> None:
        """Write the reasons of rejected rows."""
        if rejected is not None:
            reasons = judge.reasons(rejected.rows)
            self.quarantine.add(rejected_rows(contract, rejected.rows, reasons, rejected.raw))

    def _compactable(self, contract: Contract, good: pl.DataFrame) -> tuple[str, ...]:
        """Decided once for all that is collected here, by its first slice: its pieces must have the same types."""
        with self._lock:
            if self.compacted is None and good.height:
                self.compacted = compactable(contract, good)
            return self.compacted or ()

    def rules_broken(self) -> dict[str, int]:
        """Rows per rule, of all batches."""
        out: dict[str, int] = {}
        for codes in self.codes.values():
            out = add_counts(out, codes)
        return out

    def profile(self) -> Profile:
        """Of all rows of all batches."""
        out = Profile()
        for totals in self.totals.values():
            out = out + totals.profile
        return out

    def drop(self, batches: Iterable[int]) -> None:
        """Forget batches that another run has published meanwhile."""
        gone = set(batches)
        self.stage.drop(gone)
        self.quarantine.drop(gone)
        for batch in gone:
            self.totals.pop(batch, None)
            self.codes.pop(batch, None)


def collect(
    contract: Contract,
    judge: Judge,
    sources: Iterable[BatchSource],
    folder: Path,
    progress: Progress,
    only: Selection | None = None,
) -> Collected:
    """Judge every batch once, however often its content is given."""
    out = Collected(Stage(folder / "rows"), QuarantineStage(folder / "quarantine"), remember=only is not None)
    progress.stage("read")
    for records, size in take_batches(out, contract, judge, number(sources, out.sources), only):
        progress.advance(records, size)
    for ordinal in range(len(out.sources)):
        out.totals.setdefault(ordinal, BatchTotals())
    return out


def take_batches(
    out: Collected,
    contract: Contract,
    judge: Judge,
    numbered: Iterable[tuple[int, BatchSource]],
    only: Selection | None,
    threads: int = THREADS,
) -> Iterator[tuple[int, int]]:
    """Judge numbered batches into `out`; yields (records, bytes) as slices finish."""
    yield from judge_batches(contract, judge, numbered, lambda judged: out.take(contract, judge, judged), only, threads)
    out.explain(contract, judge, out.unexplained.take())


def leaving_rows(collected: Collected, only: Selection, duplicates: Duplicates | None) -> dict[str, pl.DataFrame]:
    """Selected records that no longer break a rule, by mark: `replayed`, `duplicate` or `filtered`."""
    kind = {"_batch": pl.String, "_row": pl.Int64}
    passed, good = [pl.DataFrame(schema=kind)], [pl.DataFrame(schema=kind)]
    for ordinal, source in enumerate(collected.sources):
        bad = np.concatenate([np.empty(0, np.int64), *collected.rejected.get(ordinal, [])])
        rows = np.setdiff1d(only[source.digest], bad)
        passed.append(pl.DataFrame({"_batch": [source.digest] * len(rows), "_row": rows}, schema=kind))
    for piece in collected.stage:
        digest = collected.sources[piece.batch].digest
        good.append(piece.good().select(pl.lit(digest).alias("_batch"), "_row"))
    known = pl.concat(good)
    dropped = pl.DataFrame(schema=kind) if duplicates is None else duplicates.rows.select("_batch", "_row")
    both = ["_batch", "_row"]
    return {
        "replayed": known.join(dropped, on=both, how="anti"),
        "duplicate": dropped,
        "filtered": pl.concat(passed).join(known, on=both, how="anti"),
    }


def number(given: Iterable[BatchSource], sources: list[BatchSource]) -> Iterator[tuple[int, BatchSource]]:
    """Batches of different content with their ordinals, as they come; `sources` is given each."""
    seen = set[str]()
    for source in given:
        if source.digest not in seen:
            seen.add(source.digest)
            sources.append(source)
            yield len(sources) - 1, source

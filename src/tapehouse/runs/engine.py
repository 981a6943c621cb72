"""Who does the heavy steps of a run, and the one that does them in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.engines.embedded import Selection
from tapehouse.feeds.base import BatchSource
from tapehouse.kernel.fingerprint import Tally, merged, tally_by_batch
from tapehouse.kernel.verdict import Judge
from tapehouse.lake.home import Lake
from tapehouse.lake.place import Place
from tapehouse.runs.collect import Collected, collect
from tapehouse.runs.context import Progress
from tapehouse.runs.keys import Duplicates, find_duplicates
from tapehouse.runs.published import PublishedRows
from tapehouse.runs.write import WriteJob, Written, write_partitions

T = TypeVar("T")


class Engine(Protocol):
    """Reads, compares keys and writes for one run at a time, in the order of the methods. The run decides between them,
    proves what comes back and publishes it.
    """

    @property
    def name(self) -> str:
        """As table `runs` has it."""
        ...

    @property
    def here(self) -> bool:
        """Whether this process reads the batches."""
        ...

    def digests(self, place: Place, paths: Sequence[Path]) -> Sequence[str]:
        """The sha256 of each file."""
        ...

    def notes(self, contract: Contract) -> tuple[str, ...]:
        """What the reader of a run's result should know of how it was done."""
        ...

    def collect(
        self,
        contract: Contract,
        judge: Judge,
        sources: Iterable[BatchSource],
        folder: Path,
        place: Place,
        progress: Progress,
        only: Selection | None,
    ) -> Collected:
        """Judge every batch once, however often its content is given. `folder` takes what memory does not hold."""
        ...

    def duplicates(
        self, contract: Contract, collected: Collected, near: Callable[[], pl.DataFrame | None]
    ) -> Duplicates | None:
        """Rows that repeat a key; None where there is none or where they are found while writing. `near` reads the rows
        of the lake that could be copies.
        """
        ...

    def good(self, contract: Contract, collected: Collected, salts: npt.NDArray[np.uint64]) -> Mapping[int, Tally]:
        """The rows that would be written, by ordinal of the batch; for a run that ends here."""
        ...

    def write(
        self,
        job: WriteJob,
        collected: Collected,
        duplicates: Duplicates | None,
        published: PublishedRows,
        beside: Callable[[], T],
    ) -> tuple[Written, T]:
        """Write every partition. `beside` is other work, done meanwhile."""
        ...

    def clear(self, lake: Lake, run_id: str) -> None:
        """Remove the files of attempts that did not count, once the run is published."""
        ...

    def close(self) -> None:
        """The run is over, however it ended."""
        ...


class Embedded:
    """Threads of this process; see `engines.embedded`."""

    name = "embedded"
    here = True

    def digests(self, place: Place, paths: Sequence[Path]) -> Sequence[str]:
        """One after another."""
        return [place.digest(path) for path in paths]

    def notes(self, contract: Contract) -> tuple[str, ...]:
        """Nothing to tell."""
        return ()

    def collect(
        self,
        contract: Contract,
        judge: Judge,
        sources: Iterable[BatchSource],
        folder: Path,
        place: Place,
        progress: Progress,
        only: Selection | None,
    ) -> Collected:
        """Several slices at a time."""
        here = (dataclasses.replace(source, path=place.fetch([source.path])[0]) for source in sources)
        return collect(contract, judge, here, folder, progress, only)

    def duplicates(
        self, contract: Contract, collected: Collected, near: Callable[[], pl.DataFrame | None]
    ) -> Duplicates | None:
        """Found among the hashes of all keys, which are in memory."""
        return find_duplicates(contract, list(collected.stage), digests_of(collected.sources), near())

    def good(self, contract: Contract, collected: Collected, salts: npt.NDArray[np.uint64]) -> Mapping[int, Tally]:
        """Counted from the stage."""
        return merged(tally_by_batch(piece.good(), contract.columns, salts) for piece in collected.stage)

    def write(
        self,
        job: WriteJob,
        collected: Collected,
        duplicates: Duplicates | None,
        published: PublishedRows,
        beside: Callable[[], T],
    ) -> tuple[Written, T]:
        """A few partitions at a time."""
        return write_partitions(job, collected.stage, duplicates, published, beside)

    def clear(self, lake: Lake, run_id: str) -> None:
        """Nothing is attempted twice here."""

    def close(self) -> None:
        """Nothing is held."""


def digests_of(sources: Sequence[BatchSource]) -> list[str]:
    """Digest of each batch, by ordinal."""
    return [source.digest for source in sources]

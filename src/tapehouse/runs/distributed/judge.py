"""A batch judged in a task: what the driver gets to know of it, and where its rows are."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.engines.embedded import BatchTotals
from tapehouse.engines.tasks import Parcel
from tapehouse.feeds.base import BatchSource
from tapehouse.kernel.verdict import Judge
from tapehouse.lake.place import Place
from tapehouse.runs.collect import Collected, take_batches
from tapehouse.runs.distributed.keys import KeyHashes, hash_keys
from tapehouse.runs.quarantine import QuarantineStage
from tapehouse.runs.stage import Piece, Stage

# The rows of one batch that a task holds before it sends or writes them.
_MEMORY_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """What judging any batch of a run needs. `folder` is the run's, which all tasks reach through `place`; `key_ranges`
    is into how many ranges the hashes of keys are parted, 0 for no hashes.
    """

    contract: Contract
    judge: Judge
    place: Place
    folder: Path
    key_ranges: int


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A batch to be judged; `only` restricts it to these records."""

    ordinal: int
    source: BatchSource
    only: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class JudgedBatch:
    """What a batch became. Its pieces' rows are in files, or were sent on and are `SENT`."""

    ordinal: int
    pieces: Sequence[Piece]
    quarantine: Sequence[Path]
    totals: BatchTotals
    codes: Mapping[str, int]
    rejected: npt.NDArray[np.int64]
    hashes: KeyHashes | None = None


# Where a piece's rows are when they are not in a file.
SENT = Path()


@dataclass(frozen=True, slots=True)
class PieceHead:
    """What goes with the rows of a piece that is sent on."""

    batch: int
    first_row: int
    bad: npt.NDArray[np.integer]


def judge_to_files(job: JudgeJob, batch: BatchJob, attempt: str) -> JudgedBatch:
    """Judge a batch; its rows go to files by partition, for whoever writes that partition."""
    with job.place.task() as place:
        folder = place.at(job.folder / f"batch-{batch.ordinal:06d}.{attempt}")
        out = _take(job, batch, folder, place, memory_bytes=0)
        pieces = list(out.stage)
        hashes = hash_keys(job.contract, pieces, folder, job.key_ranges) if job.key_ranges else None
        return _kept(place, _told(batch, out, pieces, hashes))


def judge_to_parcels(job: JudgeJob, batch: BatchJob, attempt: str) -> Iterator[Parcel | JudgedBatch]:
    """Judge a batch; its rows are sent to whoever writes their partition."""
    with job.place.task() as place:
        folder = place.at(job.folder / f"batch-{batch.ordinal:06d}.{attempt}")
        out = _take(job, batch, folder, place, memory_bytes=_MEMORY_BYTES)
        pieces = list(out.stage)
        for piece in pieces:
            body = io.BytesIO()
            piece.frame().write_ipc(body)
            yield Parcel(piece.partition, PieceHead(piece.batch, piece.first_row, piece.bad), body.getvalue())
            piece.held = SENT
        yield _kept(place, _told(batch, out, pieces, None))


def _kept(place: Place, told: JudgedBatch) -> JudgedBatch:
    """The same, every file that it names where others reach it by that name."""
    if place.at(place.root) == place.root:
        return told  # the files are where they are named, and nobody reads them after a crash
    spilled = [piece for piece in told.pieces if isinstance(piece.held, Path) and piece.held != SENT]
    for piece in spilled:
        piece.held = place.name(Path(str(piece.held)))
    hashes = None if told.hashes is None else dataclasses.replace(told.hashes, path=place.name(told.hashes.path))
    quarantine = [place.name(path) for path in told.quarantine]
    place.keep([*(Path(str(piece.held)) for piece in spilled), *quarantine, *([hashes.path] if hashes else [])])
    return dataclasses.replace(told, quarantine=quarantine, hashes=hashes)


def received(parcels: Iterable[Parcel]) -> list[Piece]:
    """The pieces that were sent."""
    out = []
    for parcel in parcels:
        head: PieceHead = parcel.head
        frame = pl.read_ipc(io.BytesIO(parcel.body))
        out.append(Piece(parcel.group, head.batch, head.first_row, frame.height, frame, head.bad))
    return out


def _take(job: JudgeJob, batch: BatchJob, folder: Path, place: Place, memory_bytes: int) -> Collected:
    source = dataclasses.replace(batch.source, path=place.fetch([batch.source.path])[0])
    out = Collected(
        Stage(folder / "rows", memory_bytes=memory_bytes),
        QuarantineStage(folder / "quarantine"),
        remember=batch.only is not None,
        hash_keys=False,
    )
    only = None if batch.only is None else {batch.source.digest: batch.only}
    for _ in take_batches(out, job.contract, job.judge, [(batch.ordinal, source)], only, threads=1):
        pass
    return out


def _told(batch: BatchJob, out: Collected, pieces: Sequence[Piece], hashes: KeyHashes | None) -> JudgedBatch:
    return JudgedBatch(
        batch.ordinal,
        pieces,
        out.quarantine.to_files(),
        out.totals.get(batch.ordinal, BatchTotals()),
        out.codes.get(batch.ordinal, {}),
        np.concatenate([np.empty(0, np.int64), *out.rejected.get(batch.ordinal, [])]),
        hashes,
    )

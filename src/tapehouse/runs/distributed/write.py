"""A partition written in a task: from files of its pieces, or from the pieces that were sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import polars as pl

from tapehouse.engines.tasks import Parcel
from tapehouse.kernel.dedupe import key_hashes
from tapehouse.kernel.distinct import plain
from tapehouse.kernel.order import Positions, partition_label
from tapehouse.runs.distributed.judge import received
from tapehouse.runs.keys import find_duplicates
from tapehouse.runs.published import Before
from tapehouse.runs.stage import Piece, at_hand
from tapehouse.runs.write import NewRows, PartitionWritten, WriteJob, write_partition


@dataclass(frozen=True, slots=True)
class PartitionJob:
    """A partition to be written: its pieces in the order in which ties are resolved, with the positions in each of the
    rows that are dropped as duplicates, and what the lake holds of it.
    """

    label: str
    pieces: Sequence[Piece]
    lost: Sequence[Positions]
    before: Before


def write_from_files(job: WriteJob, part: PartitionJob, attempt: str) -> PartitionWritten:
    """Write a partition whose duplicates are known."""
    with job.place.task() as place:
        frames = alike([piece.frame() for piece in at_hand(place, part.pieces)])
        rows = NewRows(frames, [piece.bad for piece in part.pieces], part.lost)
        return _written(dataclasses.replace(job, attempt=attempt, place=place), part.label, rows, part.before)


def _written(job: WriteJob, label: str, rows: NewRows, before: Before) -> PartitionWritten:
    """The partition, its files kept where the driver reaches them by name."""
    written = write_partition(job, label, rows, before)
    if job.place.at(job.warehouse) == job.warehouse:
        return written  # publishing keeps them
    paths = [path for staged in written.staged for path in staged.add]
    job.place.keep(paths)
    return dataclasses.replace(written, footers=job.place.footers(paths))


def write_from_parcels(
    job: WriteJob,
    befores: Mapping[str, Before],
    batches: Set[int],
    group: int,
    parcels: Iterable[Parcel],
    attempt: str,
) -> tuple[PartitionWritten, pl.DataFrame | None] | None:
    """Write a partition with all copies of its rows in it; returns the duplicates, too, as `Duplicates.rows` names
    them. Only pieces of these batches count; None when there is none.
    """
    label = partition_label(job.contract.partitioning.by, group)
    with job.place.task() as place:
        here = dataclasses.replace(job, attempt=attempt, place=place)
        return _from_parcels(here, label, befores, batches, parcels)


def _from_parcels(
    job: WriteJob, label: str, befores: Mapping[str, Before], batches: Set[int], parcels: Iterable[Parcel]
) -> tuple[PartitionWritten, pl.DataFrame | None] | None:
    contract = job.contract
    pieces = [piece for piece in received(parcels) if piece.batch in batches]
    if not pieces:
        return None
    before = befores[label]
    pieces.sort(key=lambda piece: (job.ranks[piece.batch], piece.first_row))
    for piece, frame in zip(pieces, alike([piece.frame() for piece in pieces]), strict=True):
        piece.held = frame
        piece.hashes = key_hashes(frame, contract.key) if contract.key is not None else None
    duplicates = find_duplicates(contract, pieces, job.digests, _keys(job, before))
    rows = NewRows.of(pieces, duplicates)
    pieces.clear()
    return _written(job, label, rows, before), None if duplicates is None else duplicates.rows


def _keys(job: WriteJob, before: Before) -> pl.DataFrame | None:
    """What of the partition's published rows decides which copy stays."""
    contract = job.contract
    rows = before.rows(contract, job.place) if contract.key is not None else None
    if rows is None or contract.key is None or not rows.height:
        return None
    names = dict.fromkeys([*contract.key.columns, *contract.key.keep_first_by, contract.event_time.name])
    return rows.select(*names, "_batch", "_row")


def alike(frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Frames of the same columns with the same types: what is text in one and categories in another is text."""
    kinds: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, kind in frame.schema.items():
            kinds.setdefault(name, set()).add(kind)
    mixed = {name for name, seen in kinds.items() if len(seen) > 1}
    return [frame.with_columns(plain(frame.select(mixed))) if mixed else frame for frame in frames]

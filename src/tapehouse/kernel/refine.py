"""One slice through the kernel: parse, judge, and part the rows by what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract
from tapehouse.kernel.compile import Compiler
from tapehouse.kernel.distinct import plain
from tapehouse.kernel.fingerprint import Tally, tally
from tapehouse.kernel.parse import FAILED, parse
from tapehouse.kernel.profile import Profile, profile
from tapehouse.kernel.types import Typer
from tapehouse.kernel.verdict import Judge, JudgeState
from tapehouse.native.columns import series_of

UNPLACED = "_unplaced"


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one slice as a feed hands them over: see `feeds.base.Slice` for the fields' meaning.

    `only` restricts what is taken to these record numbers; the others are seen by rules that look around, and then
    left alone. It is how quarantined rows are judged again in their own surroundings.
    """

    frame: pl.DataFrame
    rows: npt.NDArray[np.int64]
    failed: Mapping[str, pl.Series]
    batch: int
    captures: Mapping[str, str]
    only: npt.NDArray[np.int64] | None = None
    written: Callable[[str, npt.NDArray[np.int64]], pl.Series] | None = None


@dataclass(frozen=True, slots=True)
class Refined:
    """What a slice became. `kept` holds canonical columns, `_batch`, `_row`, `_flags` of the rows that the contract
    asks for, of which those where `bad` is true are no good; `rejected` the annotated rows that broke a rejecting
    rule, at `positions` of the slice's frame; `filtered` were not asked for by the contract. `taken` tallies all rows
    that entered.
    """

    kept: pl.DataFrame
    bad: pl.Series
    rejected: pl.DataFrame
    positions: npt.NDArray[np.int64]
    taken: Tally
    rejected_tally: Tally
    filtered_tally: Tally
    profile: Profile

    @property
    def good(self) -> pl.DataFrame:
        """The rows to be curated, copied out of `kept` where any is bad."""
        return self.kept.filter(~self.bad) if self.bad.any() else self.kept


def refine(
    contract: Contract, judge: Judge, state: JudgeState, records: Records, salts: npt.NDArray[np.uint64]
) -> Refined:
    """Judge one slice. `state` carries windows from the batch's earlier slices and is updated.

    A row whose event time is null cannot be placed in a partition: it is rejected even if no rule says so.
    """
    parsed = parse(contract, records.frame, records.failed, records.captures).with_columns(
        pl.lit(records.batch, pl.UInt32).alias("_batch"), series_of("_row", records.rows)
    )
    annotated = judge.verdict(judge.annotate(parsed, state))
    if records.only is not None:
        annotated = annotated.filter(series_of("", np.isin(records.rows, records.only)))
    taken = tally(annotated, contract.columns, salts)
    kept, filtered = _filter(contract, annotated)
    broken = kept.get_column("_broken")
    rejecting = (broken & judge.reject_mask) != 0
    unplaced = kept.get_column(contract.event_time.name).is_null()
    bad = rejecting | unplaced
    rejected = kept.filter(bad).with_columns((~rejecting).filter(bad).alias(UNPLACED))
    positions = np.searchsorted(records.rows, rejected.get_column("_row").to_numpy())
    return Refined(
        kept=_canonical(contract, judge, kept),
        bad=bad,
        rejected=rejected.with_columns(_texts(records, rejected, positions)),
        positions=positions,
        # Not the parts of `taken`: each is counted on the rows that are handed on, or a loss would go unnoticed.
        taken=taken,
        rejected_tally=tally(rejected, contract.columns, salts),
        filtered_tally=tally(filtered, contract.columns, salts),
        profile=profile(contract, kept),
    )


def _texts(records: Records, rejected: pl.DataFrame, positions: npt.NDArray[np.int64]) -> list[pl.Series]:
    """What was written where a value was refused, as `_text_<column>`, for the reasons."""
    texts = []
    for marker in (name for name in rejected.columns if name.startswith(FAILED)):
        name, refused = marker.removeprefix(FAILED), rejected.get_column(marker)
        if records.frame.schema.get(name) == pl.String:
            text = records.frame.get_column(name)[positions]
        elif records.written is not None and refused.any():
            where = refused.arg_true()
            text = pl.repeat(None, rejected.height, dtype=pl.String, eager=True)
            text = text.scatter(where, records.written(name, positions[where.to_numpy()]))
        else:
            continue
        texts.append(text.alias(f"_text_{name}"))
    return texts


def _filter(contract: Contract, annotated: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows the contract asks for, and the others. A row whose filter is null is judged, not dropped."""
    if contract.filter is None:
        return annotated, annotated.clear()
    condition = Compiler(Typer(contract), {}, annotated.columns).compile(contract.filter).fill_null(value=True)
    wanted = plain(annotated).select(condition).to_series()
    return annotated.filter(wanted), annotated.filter(~wanted)


def _canonical(contract: Contract, judge: Judge, kept: pl.DataFrame) -> pl.DataFrame:
    """Canonical columns and metadata only."""
    names = [column.name for column in contract.columns]
    flags = (pl.col("_broken") & judge.warn_mask).cast(pl.Int64).alias("_flags")
    return kept.select(*names, "_batch", "_row", flags)

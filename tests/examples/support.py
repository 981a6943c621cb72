"""Loads the example contracts and judges files with them, as a run would but without a lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from tapehouse.contracts.load import load
from tapehouse.contracts.model import Contract
from tapehouse.contracts.rules import registry
from tapehouse.contracts.rules.adjustments import KINDS
from tapehouse.feeds import reader
from tapehouse.feeds.base import BatchSource
from tapehouse.kernel.parse import parse, path_captures
from tapehouse.kernel.verdict import BROKEN, Judge, JudgeState
from tapehouse.reference import References

CONTRACTS = Path(__file__).resolve().parents[2] / "examples" / "contracts"
SLICE_BYTES = 64 << 20


@cache
def example(name: str) -> Contract:
    """The example contract `name`."""
    return load(CONTRACTS / f"{name}.yaml", kinds={**registry(), **{kind.name: kind for kind in KINDS}})


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows of one file after the verdict: how many, how many each rule caught, and the frame with `_broken`."""

    contract: Contract
    judge: Judge
    rows: int
    rejected: int
    counts: Mapping[str, int]
    frame: pl.DataFrame

    def times(self, *codes: str) -> set[int]:
        """Event times of the rows that break one of `codes`, or any rejecting rule if none is named."""
        mask = self.judge.reject_mask
        if codes:
            mask = sum(1 << index for index, rule in enumerate(self.contract.rules) if rule.code in codes)
        rows = self.frame.filter((pl.col(BROKEN) & mask) != 0)
        return set(rows[self.contract.event_time.name].to_list())


def judge_text(contract: Contract, frame: pl.DataFrame, origin: str) -> Judged:
    """Judge a frame of text columns, as a feed delivers them, that make up one batch."""
    return _judged(contract, [parse(contract, frame, {}, path_captures(contract, origin))], {})


def judge_file(name: str, path: Path, references: Mapping[str, Path] | None = None) -> Judged:
    """Judge a real file by the example contract `name`, read by the contract's own feed."""
    contract = example(name)
    source = BatchSource(path, "0" * 64, str(path), path.stat().st_size)
    captures = path_captures(contract, str(path))
    slices = reader(contract.feed.format)(contract, source, slice_bytes=SLICE_BYTES)
    return _judged(contract, [parse(contract, part.frame, part.failed, captures) for part in slices], references or {})


def judge_typed(contract: Contract, frame: pl.DataFrame) -> Judged:
    """Judge a frame that is canonical already."""
    return _judged(contract, [frame], {})


def _judged(contract: Contract, frames: list[pl.DataFrame], references: Mapping[str, Path]) -> Judged:
    judge, state = Judge(contract, References.load(contract, references)), JudgeState()
    frame = pl.concat([judge.verdict(judge.annotate(part, state)) for part in frames], how="diagonal")
    broken = frame[BROKEN].to_numpy()
    counts = {
        rule.code: int(np.count_nonzero(broken & np.uint64(1 << index))) for index, rule in enumerate(contract.rules)
    }
    rejected = int(np.count_nonzero(broken & np.uint64(judge.reject_mask)))
    found = {code: count for code, count in counts.items() if count}
    return Judged(contract, judge, frame.height, rejected, found, frame)

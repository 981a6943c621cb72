"""Rules on whole batches, judged against the batch's totals and the lake's memory of earlier ones."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tapehouse.contracts.model import Contract, Severity
from tapehouse.kernel.batch_rules import BatchFinding, BatchTotals, judge_batch
from tapehouse.kernel.parse import path_captures
from tapehouse.lake.home import Lake
from tapehouse.runs.batches import batches_of
from tapehouse.runs.collect import Collected
from tapehouse.runs.context import Clock


@dataclass(frozen=True, slots=True)
class BatchChecks:
    """Broken batch rules of a run: sentences that stop it, sentences that warn, and how many batches broke each."""

    rejecting: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


def check_batches(lake: Lake, contract: Contract, collected: Collected, clock: Clock) -> BatchChecks:
    """Judge every batch of the run; each sees the lake's earlier batches as its history.

    Totals that a batch states about itself (`rowsFrom`, `sumsFrom`) are groups captured from its path.
    """
    if not contract.batch_rules:
        return BatchChecks()
    history = _history(lake, contract)
    rejecting, warning, counts = list[str](), list[str](), dict[str, int]()
    for ordinal, totals in sorted(collected.totals.items()):
        source = collected.sources[ordinal]
        seen = BatchTotals(totals.records, totals.taken.sums, totals.last_event, path_captures(contract, source.origin))
        for finding in judge_batch(contract, seen, history, clock.knowledge_us * 1000):
            if finding.broken:
                counts[finding.code] = counts.get(finding.code, 0) + 1
                into = rejecting if finding.severity == Severity.REJECT else warning
                into.append(_sentence(finding, source.origin))
    return BatchChecks(tuple(rejecting), tuple(warning), tuple(counts.items()))


def _sentence(finding: BatchFinding, origin: str) -> str:
    return f"batch rule {finding.code} on {origin}: observed {finding.observed}, allowed {finding.bound}"


def _history(lake: Lake, contract: Contract) -> list[BatchTotals]:
    """Earlier published batches of the contract, oldest first."""
    out = []
    for rows, proof in batches_of(lake, contract.name).select("rows_in", "proof").iter_rows():
        sums = {name: int(value) for name, value in json.loads(proof)["in"]["sums"].items()}
        out.append(BatchTotals(rows, sums))
    return out

"""How a finished run is told to a person."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tapehouse.cli.output import cell, emit, facts, note, table

if TYPE_CHECKING:
    from tapehouse.runs.result import RunResult

_HEADS = {
    "published": "published",
    "stopped": "stopped: nothing was published",
    "nothing": "nothing new, the lake is as before",
    "preview": "a dry run: nothing was published",
}


def show_run_result(result: RunResult, *, as_json: bool, quiet: bool = False) -> None:
    """JSON exactly as `RunResult.as_dict`, or tables."""
    if as_json:
        emit(result.as_dict())
        return
    status = result.status.value
    print(f"{result.kind} of {result.contract} {result.contract_version}: {_HEADS.get(status, status)}")
    for why in result.stopped_because:
        print(f"  because: {why}")
    print()
    if result.rows_in:
        _counts(result)
    pairs = {"run": result.run_id, "lake": result.lake}
    if result.skipped:
        pairs["known before"] = f"{len(result.skipped):,} batches, skipped"
    if result.rows_in:
        pairs["time"] = f"{result.seconds:.2f} s, {result.rows_per_second:,.0f} rows/s"
    facts(pairs)
    for one in result.notes:
        note(f"note: {one}")
    if sys.stdout.isatty() and not quiet:
        _advise(result)


def _counts(result: RunResult) -> None:
    counts = {"rows in": result.rows_in, **result.proof.counts}
    if result.status.value == "preview":
        counts["would land"] = counts.pop("withheld", 0)
    table(list(counts), [list(counts.values())])
    rules = [(code, count, "reject") for code, count in result.rules.items()]
    rules += [(code, count, "warn") for code, count in result.warnings.items()]
    if rules:
        table(("rule", "rows", "severity"), sorted(rules, key=lambda rule: (rule[2], -rule[1], rule[0])))
    proof = result.proof
    if proof.closed:
        sides = " + ".join(f"{count:,}" for count in proof.counts.values())
        sums = "".join(f", sum of {name} equal" for name in proof.taken.sums)
        print(f"  proof closed: {proof.records:,} = {sides}{sums}, fingerprints equal\n")
    else:
        print(f"  proof OPEN: {cell(proof.gaps())}\n")


def _advise(result: RunResult) -> None:
    """What one does next, ready to be copied."""
    lake = result.lake
    next_ones = [f"tapehouse verify --lake {lake}", f"tapehouse runs show {result.run_id} --lake {lake}"]
    if result.proof.counts.get("quarantined") and result.status.value == "published":
        next_ones.insert(0, f"tapehouse quarantine list --contract {result.contract} --lake {lake}")
    print("\nNext:")
    for one in next_ones:
        print(f"  {one}")

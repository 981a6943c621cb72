"""The reference job in Tapehouse and its peers, interleaved; outputs checked equal.

    python benchmarks/run.py --rows 5000000 --rounds 5

In each round every tool runs once, in an order that rotates, so that a slow minute of the machine hits all. Prints
medians and ratios against Tapehouse and writes all samples as JSON. Exit code 1 where outputs differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import compare
import data
from measure import TOOLS, Sample, limit_cpus, machine, measure


def output_of(sample: Sample, out: Path) -> compare.Output:
    """What the run left behind, in the form that can be compared."""
    read = compare.lake_output if sample.tool == "tapehouse" else compare.plain_output
    return read(out, sample.counts)


def run(tools: Sequence[str], source: Path, rounds: int, work: Path) -> tuple[list[Sample], list[str]]:
    """Samples of all rounds, and how the outputs of the last round differ from the first tool's."""
    samples = []
    for turn in range(rounds):
        shift = turn % len(tools)
        for tool in (*tools[shift:], *tools[:shift]):
            samples.append(measure(tool, source, work / tool))
            last = samples[-1]
            print(f"round {turn + 1}: {tool:10} {last.wall_seconds:8.2f} s", file=sys.stderr, flush=True)
    latest = {sample.tool: sample for sample in samples}
    first = output_of(latest[tools[0]], work / tools[0])
    found = [
        f"{tools[0]} and {tool}: {text}"
        for tool in tools[1:]
        for text in compare.differences(first, output_of(latest[tool], work / tool))
    ]
    return samples, found


def table(samples: Sequence[Sample], rows: int) -> str:
    """Medians per tool as a Markdown table; ratios are against the first tool: 2.0 is twice its time or memory."""
    tools = list(dict.fromkeys(sample.tool for sample in samples))
    lines = [
        "| tool | wall s | CPU s | peak MB | rows/s | wall | CPU | memory |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    base: tuple[float, ...] = ()
    for tool in tools:
        mine = [sample for sample in samples if sample.tool == tool]
        wall = median(sample.wall_seconds for sample in mine)
        cpu = median(sample.cpu_seconds for sample in mine)
        peak = median(sample.rss_peak_bytes for sample in mine) / 1e6
        base = base or (wall, cpu, peak)
        ratios = " | ".join(f"{mine / other:.2f}x" for mine, other in zip((wall, cpu, peak), base, strict=True))
        lines.append(f"| {tool} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {rows / wall:,.0f} | {ratios} |")
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--tools", default=",".join(TOOLS), help="comma separated, the one to compare with first")
    parser.add_argument("--out", type=Path, default=None, help="JSON file; default in the cache folder")
    options = parser.parse_args()
    tools = options.tools.split(",")
    if unknown := set(tools) - set(TOOLS):
        parser.error(f"no tool {', '.join(sorted(unknown))}; known: {', '.join(TOOLS)}")
    source = data.trades(options.rows, seed=options.seed)
    limit_cpus(options.cpus)
    samples, found = run(tools, source, options.rounds, data.cache_folder() / "out")
    out = options.out or data.cache_folder() / f"reference-{options.rows}.json"
    report = {"rows": options.rows, "machine": machine(), "differences": found, "samples": [asdict(s) for s in samples]}
    out.write_text(json.dumps(report, indent=1))
    print(table(samples, options.rows))
    print(f"\noutputs: {'; '.join(found) if found else 'equal'}\nsamples: {out}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

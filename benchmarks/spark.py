"""The reference job on Spark: Tapehouse against the same job in Spark SQL; outputs checked equal.

    python benchmarks/spark.py --rows 1000000,20000000 --rounds 1

Starting Spark costs seconds that have nothing to do with rows. It is reported apart: what counts is the processor time
of the rows between the smallest and the largest size (marginal). It is read off the whole machine, which should be
quiet. Exit code 1 where outputs differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import compare
import data
from measure import SPARK_TOOLS, Sample, limit_cpus, machine, measure

Samples = Mapping[int, Sequence[Sample]]


def cost(samples: Sequence[Sample], tool: str) -> tuple[float, float]:
    """Medians of wall and processor seconds."""
    mine = [sample for sample in samples if sample.tool == tool]
    return median(sample.wall_seconds for sample in mine), median(sample.cpu_seconds for sample in mine)


def table(samples: Samples) -> str:
    """Per tool and size, then the marginal cost and its ratio."""
    small, large = min(samples), max(samples)
    lines = ["| tool | rows | wall s | CPU s |", "|---|---:|---:|---:|"]
    for tool in SPARK_TOOLS:
        for rows in sorted(samples):
            wall, cpu = cost(samples[rows], tool)
            lines.append(f"| {tool} | {rows:,} | {wall:.1f} | {cpu:.1f} |")
    lines += [
        "",
        "| tool | start-up CPU s | marginal CPU us/row | marginal wall us/row | ratio of CPU |",
        "|---|---:|---:|---:|---:|",
    ]
    more, base = large - small, 0.0
    for tool in SPARK_TOOLS:
        (wall, cpu), (wall_large, cpu_large) = cost(samples[small], tool), cost(samples[large], tool)
        each = (cpu_large - cpu) / more
        base = base or each
        start = cpu - each * small
        lines.append(
            f"| {tool} | {start:.1f} | {each * 1e6:.2f} | {(wall_large - wall) / more * 1e6:.2f} | {each / base:.2f}x |"
        )
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000,20000000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--out", type=Path, default=None, help="JSON file; default in the cache folder")
    options = parser.parse_args()
    limit_cpus(options.cpus)
    cache = data.cache_folder()
    samples: dict[int, list[Sample]] = {}
    found: list[str] = []
    for rows in sorted(int(text) for text in options.rows.split(",")):
        source = data.trades(rows, seed=options.seed)
        samples[rows] = []
        for turn in range(options.rounds):
            for tool in SPARK_TOOLS if turn % 2 == 0 else reversed(SPARK_TOOLS):
                samples[rows].append(measure(tool, source, cache / "out" / tool, whole_machine=True))
                last = samples[rows][-1]
                print(
                    f"{rows:,} {tool}: {last.wall_seconds:.1f} s, CPU {last.cpu_seconds:.1f} s",
                    file=sys.stderr,
                    flush=True,
                )
        latest = {sample.tool: sample for sample in samples[rows]}
        one = compare.lake_output(cache / "out" / SPARK_TOOLS[0], latest[SPARK_TOOLS[0]].counts)
        other = compare.plain_output(cache / "out" / SPARK_TOOLS[1], latest[SPARK_TOOLS[1]].counts)
        found += [f"{rows:,} rows: {text}" for text in compare.differences(one, other)]
    target = options.out or cache / "spark.json"
    target.write_text(
        json.dumps(
            {"machine": machine(), "samples": {rows: [asdict(one) for one in mine] for rows, mine in samples.items()}},
            indent=1,
        )
    )
    print(table(samples))
    print(f"\noutputs: {'equal' if not found else 'DIFFER'}\nsamples: {target}")
    for text in found:
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

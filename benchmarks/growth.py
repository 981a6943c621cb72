"""How throughput and memory of Tapehouse change with the size of a run.

    python benchmarks/growth.py --rows 1000000,5000000,20000000

Prints rows per second and peak memory per size, and throughput against the 5 M run where it is among the sizes,
otherwise against the smallest; writes all samples as JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median

import data
from measure import TOOLS, Sample, limit_cpus, machine, measure


def table(samples: dict[int, list[Sample]]) -> str:
    """Medians per size as a Markdown table."""
    speeds = {rows: rows / median(sample.wall_seconds for sample in mine) for rows, mine in samples.items()}
    base_rows = 5_000_000 if 5_000_000 in speeds else min(speeds)
    lines = [f"| rows | wall s | CPU s | peak MB | rows/s | against {base_rows:,} |", "|---:|---:|---:|---:|---:|---:|"]
    for rows, mine in samples.items():
        cpu = median(sample.cpu_seconds for sample in mine)
        peak = median(sample.rss_peak_bytes for sample in mine) / 1e6
        speed, share = speeds[rows], speeds[rows] / speeds[base_rows]
        lines.append(f"| {rows:,} | {rows / speed:.2f} | {cpu:.2f} | {peak:.0f} | {speed:,.0f} | {share:.0%} |")
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000,5000000,20000000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--tool", default="tapehouse", choices=TOOLS)
    parser.add_argument("--out", type=Path, default=None, help="JSON file; default in the cache folder")
    options = parser.parse_args()
    sizes = sorted(int(size) for size in options.rows.split(","))
    sources = {rows: data.trades(rows, seed=options.seed) for rows in sizes}
    limit_cpus(options.cpus)
    work = data.cache_folder() / "out" / f"growth-{options.tool}"
    samples: dict[int, list[Sample]] = {rows: [] for rows in sizes}
    for turn in range(options.rounds):
        for rows in sizes:
            samples[rows].append(measure(options.tool, sources[rows], work))
            wall = samples[rows][-1].wall_seconds
            print(f"round {turn + 1}: {rows:>12,} rows {wall:8.2f} s", file=sys.stderr, flush=True)
    shutil.rmtree(work, ignore_errors=True)
    out = options.out or data.cache_folder() / f"growth-{options.tool}.json"
    plain = {rows: [asdict(sample) for sample in mine] for rows, mine in samples.items()}
    out.write_text(json.dumps({"machine": machine(), "samples": plain}, indent=1))
    print(table(samples))
    print(f"\nsamples: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Benchmark input: trades in the reference format, made once per size and seed and kept between runs.

Malformed records are left out: they are no part of the reference job, and each peer would need a reader of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tapehouse.synthetic.faults import TRADE_FAULTS
from tapehouse.synthetic.trades import generate_trades

SHARE = 0.001
"""Share of rows of each fault kind: 1.2 % of rows are rejected, 0.1 % are duplicates."""


def cache_folder() -> Path:
    """`TAPEHOUSE_BENCH_DIR`, or a folder in the system's temporary one."""
    return Path(os.environ.get("TAPEHOUSE_BENCH_DIR", Path(tempfile.gettempdir()) / "tapehouse-bench"))


def trades(rows: int, *, seed: int = 1, files: int = 5) -> Path:
    """Folder with `trades_*.csv` and `ref.csv`; made where it is not there yet, complete or not at all."""
    folder = cache_folder() / f"trades-{rows}-{seed}-{files}"
    if not folder.is_dir():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        faults = {name: SHARE for name in TRADE_FAULTS if not name.startswith("malformed")}
        generate_trades(partial, rows=rows, seed=seed, files=files, faults=faults)
        partial.rename(folder)
    return folder

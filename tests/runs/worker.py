"""One run in a process of its own: CONTRACT LAKE NAME=FILE,... INPUT...

Imports everything, prints `ready`, waits for a line, runs, prints the status.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tapehouse.lake.iceberg.commits
import tapehouse.lake.publish  # noqa: F401
from tapehouse.contracts.load import load
from tapehouse.lake.home import Lake
from tapehouse.runs.run import run

if __name__ == "__main__":
    contract, root, references, *inputs = sys.argv[1:]
    named = dict(pair.split("=", 1) for pair in references.split(",") if pair)
    print("ready", flush=True)
    sys.stdin.readline()
    result = run(
        load(contract), inputs, lake=Lake.open(root), references={name: Path(path) for name, path in named.items()}
    )
    print(result.status.value, flush=True)

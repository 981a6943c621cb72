"""A process that publishes runs into a lake in S3 and may kill itself (SIGKILL) at a given step. Not a test.

Usage: writer.py LAKE LEASE_SECONDS RUN_ID=FIRST_TRADE[,..] [STEP]: STEP is the number of the step to die at, counted
from 0; the steps are those publishing names, with "spilled" and "written" before them. Prints the steps survived.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tapehouse.lake.s3.home import S3Lake

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.s3.support import publish_trades, trades

    address, lease_seconds, runs, *rest = sys.argv[1:]
    die_at, steps = int(rest[0]) if rest else None, list[str]()

    def fault(step: str) -> None:
        if len(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps.append(step)
        print(step, flush=True)

    lake = S3Lake.attach(address, lease_seconds=float(lease_seconds))
    for run in runs.split(","):
        run_id, first = run.split("=")
        publish_trades(lake, run_id, trades(int(first)), fault)

"""One run on Spark in a process of its own: MASTER CONTRACT LAKE NAME=FILE,... INPUT...

Spark properties are lines `name=value` on standard input. FAULT in the environment names a step of publishing at which
the process kills itself. Prints the status.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

import pyspark

from tapehouse.contracts.load import load
from tapehouse.engines.spark.session import spark_session
from tapehouse.engines.spark.tasks import SparkTasks
from tapehouse.lake.home import Lake
from tapehouse.runs import publication
from tapehouse.runs.distributed.engine import Distributed
from tapehouse.runs.run import run


def kill_at(wanted: str, step: str) -> None:
    if step == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    master, contract, root, references, *inputs = sys.argv[1:]
    settings = dict(line.strip().split("=", 1) for line in sys.stdin if line.strip())
    named = {name: Path(path) for name, path in (pair.split("=", 1) for pair in references.split(",") if pair)}
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    if "FAULT" in os.environ:
        publication.publish = partial(publication.publish, fault=partial(kill_at, os.environ["FAULT"]))
    with spark_session(master, settings) as spark:
        engine = Distributed(SparkTasks(spark))
        result = run(load(contract), inputs, lake=Lake.open(root), references=named, engine=engine)
    print(result.status.value, flush=True)

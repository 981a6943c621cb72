"""One run on Spark into a lake in S3, as a process of its own: MASTER CONTRACT LAKE REFERENCE INPUT... Not a test.

Spark properties are lines `name=value` on standard input. FAULT in the environment names a step of publishing at which
the process kills itself, EXCHANGE how rows get to their partitions. Prints the result as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import pyspark

from tapehouse.contracts.load import load
from tapehouse.engines.spark.session import spark_session
from tapehouse.engines.spark.tasks import SparkTasks
from tapehouse.lake.s3.home import S3Lake
from tapehouse.runs import publication
from tapehouse.runs.distributed.engine import Distributed
from tapehouse.runs.run import run


def kill_at(wanted: str, step: str) -> None:
    if step == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    master, contract, address, reference, *inputs = sys.argv[1:]
    settings = dict(line.strip().split("=", 1) for line in sys.stdin if line.strip())
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    if "FAULT" in os.environ:
        publication.publish = partial(publication.publish, fault=partial(kill_at, os.environ["FAULT"]))
    lake = S3Lake.attach(address, create=False, lease_seconds=5)
    with spark_session(master, settings) as spark:
        engine = Distributed(SparkTasks(spark))
        result = run(load(contract), inputs, lake=lake, references={"symbols": Path(reference)}, engine=engine)
    print(json.dumps(result.as_dict()), flush=True)

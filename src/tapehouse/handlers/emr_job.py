"""The step of an EMR cluster: spark-submit emr_job.py --contract LOCATION --input LOCATION --lake LOCATION"""

from __future__ import annotations

import sys

from tapehouse.handlers.spark_job import main

if __name__ == "__main__":
    sys.exit(main("emr_job", sys.argv[1:]))

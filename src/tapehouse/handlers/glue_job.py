"""The script of a Glue job; its job parameters are those of `spark_job`: --contract, --input, --lake, ..

Glue adds parameters of its own (--JOB_NAME, --TempDir, --job-language, ..), which are left to Glue. An exit code other
than 0 makes the job run FAILED.
"""

from __future__ import annotations

import sys

from tapehouse.handlers.spark_job import main

if __name__ == "__main__":
    code = main("glue_job", sys.argv[1:], ignore_others=True)
    if code:
        sys.exit(code)

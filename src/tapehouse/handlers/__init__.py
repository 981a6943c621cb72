"""What AWS starts: thin files that turn arguments into a run. `spark_job` is shared by EMR and Glue.

Each file is given to the service as it is, and finds the package beside it or installed (see `scripts/package.py`).
"""

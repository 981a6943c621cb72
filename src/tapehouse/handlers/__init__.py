"""What AWS starts: thin files that turn an event or arguments into work.

Jobs (`glue_job`, `emr_job`, with `spark_job`) are given to the service as they are, and find the package beside them or
installed (see `tapehouse.cloud.package`). Functions (`stream_validator`, `object_validator`, `redrive`, `deployment`,
`shard_scaling`) have a `handler` and what they share beside them; `permissions` says what each may call. A function is
set up when its module is imported, outside of any invocation, and does no work then that another could not reuse.
"""

"""The lake on local disk: a folder with a catalogue, Iceberg tables, landed bytes and a redo log.

What may live here: storage and nothing else. No rule, no contract logic, no run. `home` is the folder and its lock,
`raw` the landed bytes, `spec` what a run hands over, `publish` the only way into a table, `table` and `read` the way
out, `files` Parquet, `query` SQL, `serve` the door for other engines, and `compact`, `expire`, `orphans` the upkeep.
Everything that needs pyiceberg sits in `iceberg` and `serve`, and is imported when first used: a run imports it before
its threads start.
"""

"""Iceberg: tables born and described without pyiceberg (`birth`, `statistics` and what they stand on), and the part
that speaks it, for tables that exist: catalogue, schemas, commits.

The second part is imported only when a table is touched that was there before. It stays clear of
`pyiceberg.io.pyarrow`, which pulls in pyarrow's dataset module and pandas: almost a second that no run needs.
"""

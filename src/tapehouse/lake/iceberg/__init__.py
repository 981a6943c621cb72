"""The part of the lake that speaks pyiceberg: catalogue, schemas, file statistics, commits.

Imported only when a table is touched. It stays clear of `pyiceberg.io.pyarrow`, which pulls in pyarrow's dataset
module and pandas: almost a second that no run needs.
"""

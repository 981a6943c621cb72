"""A run whose batches and partitions are worked on by tasks of a distributed engine, which may be tried again.

`judge`: a batch in a task. `keys`: repeated keys, by ranges of their hashes. `write`: a partition in a task. `engine`
puts them together. Tasks and driver see the lake's folder under the same path.
"""

"""The lake for other engines: an Iceberg REST catalogue over its own, as the Apache Iceberg REST OpenAPI describes one.

What may live here: the protocol, and what a commit from outside must keep. `server` is HTTP and who may ask, `routes`
which path means what, `catalogue` the answers, `terms` the limits of what others may write, `failures` errors as
clients know them, `settings` what to tell the clients. It hands out metadata only: an engine reads and writes data
files by itself, under the paths that the lake has.
"""

"""Rules on tables in place: the rule language compiled to SQL, one walk for DuckDB and Spark.

What cannot be said in SQL with the kernel's very result raises `NotCheckableError` with the reason; nothing is
approximated. Knows contracts, reference data and the kernel's types; no lake and no run.
"""

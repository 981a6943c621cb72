"""The heart: typed columns -> verdict bitmask -> dedupe -> sort -> derived tables -> metrics.

Pure functions over Polars frames and NumPy arrays. Nothing here opens a file, names an engine or reads a clock, so the
same bytes in give the same rows out wherever it runs (I4, I10).
"""

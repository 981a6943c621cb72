"""Delimited text (CSV and its dialects). `reader.read` is the feed; the other modules are its parts:

`layout` which field feeds which column, `records` where records begin and end, `split` blocks into good and malformed
records, `typed` good records to columns, `lines` byte-level helpers. No other format's knowledge lives here.
"""

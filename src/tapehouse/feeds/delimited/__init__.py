"""Delimited text (CSV and its dialects). `reader.read` is the feed; the other modules are its parts:

`head` what precedes records, `layout` which field feeds which column, `records` and `walk` where records begin and end,
`split` blocks into good and malformed records, `typed` good records to columns. No other format's knowledge lives here.
"""

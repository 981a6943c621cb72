"""A small Parquet writer for the flat columns of lake tables: PLAIN and dictionary pages, zstd or none.

Columns come from Polars as they lie in memory, and a page of numbers is that memory. General writers spend more on
trying dictionaries and on copies than on compression; and zstd's search for repetition, the largest cost left, is
replaced for integers by a frame that says in two words what repeats (`frames`).
"""

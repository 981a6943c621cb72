"""Reference tables as rows that a join finds at most one of."""

from __future__ import annotations

import numpy as np
import polars as pl

from tapehouse.reference.tables import Table

_FOREVER_NS = (1 << 63) - 1


def versions(table: Table) -> tuple[pl.DataFrame, tuple[str, str] | None]:
    """The table's rows, and the names of the columns that bound a version: its first and its last nanosecond.

    None where each key has one row, valid always.
    """
    if not len(table.valid_from):
        return table.frame, None
    last = np.append(table.valid_from[1:] - 1, _FOREVER_NS)
    last[table.starts[1:] - 1] = _FOREVER_NS  # the latest version of each key
    return table.frame.with_columns(_first=pl.Series(table.valid_from), _last=pl.Series(last)), ("_first", "_last")

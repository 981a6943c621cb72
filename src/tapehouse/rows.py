"""Rows that a verb returns, in whichever form the caller works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Rows:
    """A table in memory. Decimals stay exact in every form; timestamps are UTC."""

    table: pa.Table

    def to_arrow(self) -> pa.Table:
        """As an Arrow table, without a copy."""
        return self.table

    def to_polars(self) -> pl.DataFrame:
        """As a Polars frame."""
        import polars as pl

        return pl.DataFrame(pl.from_arrow(self.table))

    def to_pandas(self) -> pd.DataFrame:
        """As a pandas frame; needs pandas installed."""
        return self.table.to_pandas()

    def to_dicts(self) -> list[dict[str, Any]]:
        """As one mapping per row, with Python values."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    @property
    def columns(self) -> list[str]:
        """Names, in order."""
        return list(self.table.schema.names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __str__(self) -> str:
        return str(self.to_polars())

    def _repr_html_(self) -> str:
        return self.to_polars()._repr_html_()

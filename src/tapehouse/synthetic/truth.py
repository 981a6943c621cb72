"""The ground truth of a generated tape: one row per spoiled record, known before a byte is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from tapehouse.errors import UsageError
from tapehouse.synthetic.noise import Ints

TruthFormat = Literal["parquet", "csv"]

TRUTH_SCHEMA: Mapping[str, pl.DataType] = {
    "file": pl.String(),
    "row": pl.Int64(),
    "kind": pl.String(),
    "codes": pl.List(pl.String()),
    "also": pl.List(pl.String()),
    "original_file": pl.String(),
    "original_row": pl.Int64(),
}
"""`file` is a bare name; `row` is 0-based and does not count the header; `codes` must all be found, `also` may be;
`original_*` say which record a duplicate repeats, null for other kinds."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What was written: `files` in time order, rows in all of them, spoiled rows per fault kind, bytes of the files."""

    files: tuple[Path, ...]
    reference: Path | None
    truth: Path
    rows: int
    size_bytes: int
    faults: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where position i of the tape lies: file k holds positions `bounds[k]` to `bounds[k + 1]`."""

    names: tuple[str, ...]
    bounds: Ints

    @classmethod
    def of(cls, rows: int, files: int, prefix: str) -> Layout:
        """Spread `rows` over `files` as evenly as possible. Raises UsageError where a file would be empty."""
        if not 1 <= files <= rows:
            raise UsageError(f"{rows} rows cannot fill {files} files", fix="ask for at least one file and one row each")
        bounds = np.arange(files + 1, dtype=np.int64) * rows // files
        digits = max(2, len(str(files - 1)))
        return cls(tuple(f"{prefix}_{index:0{digits}}.csv" for index in range(files)), bounds)

    def locate(self, positions: Ints) -> tuple[pl.Series, Ints]:
        """File name and record number of each position."""
        index = np.searchsorted(self.bounds, positions, side="right") - 1
        return pl.Series(self.names).gather(index), positions - self.bounds[index]


def truth_rows(
    layout: Layout, kind: str, positions: Ints, codes: Sequence[str], also: Sequence[str], originals: Ints | None = None
) -> pl.DataFrame:
    """Truth of one fault kind; `originals` are the positions that duplicates repeat."""
    files, rows = layout.locate(positions)
    frame = pl.DataFrame({"file": files, "row": rows}).with_columns(
        kind=pl.lit(kind),
        codes=_every(codes),
        also=_every(also),
    )
    if originals is None:
        return frame.with_columns(
            original_file=pl.lit(None, dtype=pl.String), original_row=pl.lit(None, dtype=pl.Int64)
        )
    first_files, first_rows = layout.locate(originals)
    return frame.with_columns(first_files.alias("original_file"), pl.Series("original_row", first_rows))


def _every(codes: Sequence[str]) -> pl.Expr:
    """The same list on every row."""
    return pl.lit(pl.Series([list(codes)], dtype=pl.List(pl.String))).first()


def write_truth(folder: Path, parts: Sequence[pl.DataFrame], form: TruthFormat) -> Path:
    """Write `truth.parquet`, or `truth.csv` with lists joined by `|`, ordered by file and row."""
    frame = pl.concat([pl.DataFrame(schema=TRUTH_SCHEMA), *parts]).sort("file", "row")
    path = folder / f"truth.{form}"
    if form == "parquet":
        frame.write_parquet(path)
    else:
        frame.with_columns(pl.col("codes", "also").list.join("|")).write_csv(path)
    return path


def read_truth(path: Path) -> pl.DataFrame:
    """The truth written by `write_truth`, in either form. Raises UsageError where it is absent or something else."""
    if not path.is_file():
        raise UsageError(f"no truth at {path}", fix="give the truth that `tapehouse generate` wrote")
    if path.suffix == ".csv":
        flat = {name: pl.String() if isinstance(kind, pl.List) else kind for name, kind in TRUTH_SCHEMA.items()}
        frame = pl.read_csv(path, schema_overrides=flat)
        joined = [name for name in ("codes", "also") if name in frame.columns]
        frame = frame.with_columns(pl.col(joined).fill_null("").str.split("|").list.filter(pl.element() != ""))
    else:
        frame = pl.read_parquet(path)
    missing = [name for name in TRUTH_SCHEMA if name not in frame.columns]
    if missing:
        raise UsageError(f"{path} is not a truth file: no column {', '.join(missing)}", fix="see `tapehouse generate`")
    return frame.select(list(TRUTH_SCHEMA))

"""Landed batches read again, for `verify`: does the lake still say what the bytes say?

Proofs carry fingerprints of numbers and only the lengths of texts: hashing every text would cost a run more than
judging it. Reading the bytes again has the time: texts of curated rows and bytes of quarantined ones are compared with
what was landed, record by record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.model import Contract, Key, Kind
from tapehouse.feeds import reader
from tapehouse.feeds.base import BatchSource, Slice
from tapehouse.kernel.dedupe import key_hashes
from tapehouse.kernel.distinct import plain
from tapehouse.kernel.fingerprint import Tally, batch_salt, tally
from tapehouse.kernel.parse import parse, path_captures

_SLICE_BYTES = 32 << 20
TEXTS = "_texts"


@dataclass(frozen=True, slots=True)
class Reread:
    """One slice of a landed batch: records in it, tally of those that split into fields, and numbers of the records of
    which the lake holds other text (curated) or other bytes (quarantine).
    """

    records: int
    taken: Tally
    other_text: tuple[int, ...]
    other_bytes: tuple[int, ...]


def text_hashes(contract: Contract, rows: pl.DataFrame) -> pl.Series:
    """One hash per row of all its text columns, named `_texts`; comparable only within this process."""
    names = tuple(column.name for column in contract.columns if column.kind == Kind.STRING)
    hashes = key_hashes(plain(rows), Key(names)) if names else np.zeros(rows.height, np.uint64)
    return pl.Series(TEXTS, hashes)


def read_again(
    contract: Contract, source: BatchSource, curated: pl.DataFrame, quarantined: pl.DataFrame
) -> Iterator[Reread]:
    """Every slice of a landed batch against what the lake holds of it: `curated` has `_row` and `_texts`, `quarantined`
    `_row` and `_raw`.
    """
    salts, captures = np.array([batch_salt(source.digest)], np.uint64), path_captures(contract, source.origin)
    for part in reader(contract.feed.format)(contract, source, slice_bytes=_SLICE_BYTES):
        rows = part.rows if part.rows is not None else np.arange(part.first_row, part.first_row + part.frame.height)
        parsed = parse(contract, part.frame, part.failed, captures).with_columns(
            pl.lit(0, pl.UInt32).alias("_batch"), pl.Series("_row", rows)
        )
        now = parsed.select("_row", text_hashes(contract, parsed))
        other = now.join(curated, on="_row").filter(pl.col(TEXTS) != pl.col(f"{TEXTS}_right"))
        yield Reread(
            part.records,
            tally(parsed, contract.columns, salts),
            tuple(other.get_column("_row").sort().to_list()),
            tuple(_other_bytes(part, rows, quarantined)),
        )


def _other_bytes(part: Slice, rows: npt.NDArray[np.int64], quarantined: pl.DataFrame) -> Iterator[int]:
    wanted = quarantined.get_column("_row").to_numpy()
    found = part.raw(np.flatnonzero(np.isin(rows, wanted)))
    written = {record.row: record.raw for record in (*found, *(one.record for one in part.malformed))}
    for row, raw in quarantined.select("_row", "_raw").iter_rows():
        if row in written and written[row] != raw:
            yield row

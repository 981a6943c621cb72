"""The Parquet feed: row groups streamed as typed columns.

A Parquet file is read from its end, so that a truncated one gives nothing: it is refused as a whole. Raw records are
the rows as JSON; their `offset` is the row number, since a row has no bytes of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tapehouse.contracts.model import Contract
from tapehouse.errors import FeedError
from tapehouse.feeds.base import BatchSource, Positions, RawRecord, Slice
from tapehouse.feeds.canonical import TypeMismatchError, convert, integers_of
from tapehouse.feeds.jsontext import row_json
from tapehouse.feeds.names import check_names
from tapehouse.feeds.texts import null_texts, without_nulls
from tapehouse.feeds.virtual import file_columns, in_contract_order, path_values, source_name

_ROWS_MIN = 1 << 10
_REDELIVER = "ask the sender to deliver the file again"


def read(contract: Contract, source: BatchSource, *, slice_bytes: int) -> Iterator[Slice]:
    """Slices of a Parquet batch; see `base.FeedReader`. Text columns stay text and are parsed by the kernel.

    Raises FeedError when the file is damaged, or a column's type cannot become the contract's.
    """
    constants = path_values(contract, source)
    try:
        file = pq.ParquetFile(source.path, pre_buffer=False)
    except OSError as error:
        raise FeedError(f"cannot be opened: {error}", path=source.origin, fix=_REDELIVER) from error
    except (pa.ArrowInvalid, pa.ArrowException) as error:
        raise FeedError(f"is not a whole Parquet file: {error}", path=source.origin, fix=_REDELIVER) from error
    with file:
        wanted = list(dict.fromkeys(source_name(column) for column in file_columns(contract)))
        check_names(contract, file.schema_arrow.names, source.origin)
        wanted = [name for name in wanted if name in file.schema_arrow.names]
        row = 0
        for batch in _batches(file, wanted, slice_bytes, source.origin):
            if batch.num_rows:
                yield _slice(contract, batch, constants, row, source.origin)
                row += batch.num_rows
    if row != file.metadata.num_rows:
        message = f"says it has {file.metadata.num_rows} rows, but {row} could be read"
        raise FeedError(message, path=source.origin, fix=_REDELIVER)


def _batches(file: pq.ParquetFile, columns: list[str], slice_bytes: int, origin: str) -> Iterator[pa.RecordBatch]:
    metadata = file.metadata
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    rows = max(_ROWS_MIN, slice_bytes * max(metadata.num_rows, 1) // max(size, 1))
    try:
        yield from file.iter_batches(batch_size=min(rows, slice_bytes), columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise FeedError(f"damaged Parquet data: {error}", path=origin, fix=_REDELIVER) from error


def _slice(contract: Contract, batch: pa.RecordBatch, constants: dict[str, str | None], row: int, origin: str) -> Slice:
    columns, failed = [], {}
    for column in file_columns(contract):
        if source_name(column) not in batch.schema.names:
            continue
        series = pl.Series(column.name, batch.column(source_name(column)))
        try:
            values, refused = convert(series, column, integers_of(column))
        except TypeMismatchError as error:
            fix = f"deliver one of: {error.allowed}; or change the column in the contract"
            raise FeedError(str(error), path=origin, fix=fix) from error
        if values.dtype == pl.String:
            values = without_nulls(values, null_texts(contract, column))
        columns.append(values.alias(column.name))
        if refused is not None:
            failed[column.name] = refused.alias(column.name)
    frame = in_contract_order(contract, columns, constants)
    return Slice(frame, row, batch.num_rows, _Raw(batch, row), failed=failed)


@dataclass(frozen=True, slots=True)
class _Raw:
    """Rows of a batch as JSON."""

    batch: pa.RecordBatch
    first_row: int

    def __call__(self, positions: Positions) -> Sequence[RawRecord]:
        rows = self.batch.take(pa.array(positions)).to_pylist() if len(positions) else []
        numbers = (np.asarray(positions) + self.first_row).tolist()
        texts = [row_json(row) for row in rows]
        return [RawRecord(number, number, len(raw), raw) for number, raw in zip(numbers, texts, strict=True)]

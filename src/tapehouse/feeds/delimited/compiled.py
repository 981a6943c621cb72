"""Plain blocks of delimited text read by the compiled loop: records, fields and canonical values in one pass.

What it reads it reads exactly as the slower way does (`typed`, then the kernel's parser), and it refuses whole blocks
that need care. Grammars it does not know are handed on as text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse import native
from tapehouse.contracts.model import Grammar, Kind
from tapehouse.feeds.delimited.layout import Layout, Target
from tapehouse.feeds.lines import LF, Dialect, Offsets
from tapehouse.native import csv
from tapehouse.native.arrow import BOOLEAN, INT64, STRING_VIEW, UINT32, series_over

_BLOCK_BYTES_MAX = 1 << 31
_SCALE_MAX = 18
# Records of the wrong width that a block may hold before it is left to the slower reader.
_ODD_MAX = 4096
# The share of a sample's rows up to which distinct texts make a column one of few values.
_FEW_SHARE = 4


@dataclass(frozen=True, slots=True)
class Odd:
    """Records with another number of fields than the layout has: where they lie, their place among all records of the
    block, and how many fields they have.
    """

    starts: Offsets
    ends: Offsets
    rows: Offsets
    fields: Offsets


@dataclass(frozen=True, slots=True)
class Block:
    """A block as read: contract columns, masks of refused values, and where the good records lie."""

    columns: list[pl.Series]
    failed: dict[str, pl.Series]
    starts: npt.NDArray[np.integer]
    ends: npt.NDArray[np.integer]
    odd: Odd

    @property
    def records(self) -> int:
        """All records of the block."""
        return len(self.starts) + len(self.odd.rows)


@dataclass(slots=True)
class Reader:
    """Reads the blocks of one batch; which text columns have few distinct values is learnt from its first block."""

    layout: Layout
    dialect: Dialect
    _many: set[int] = field(default_factory=set, init=False)

    def read(self, data: bytes, *, separator: int | None = None, eol: int = LF, quoted: bool = True) -> Block | None:
        """Every record of a block of valid text without NUL; None if the block needs care.

        `separator`, `eol` and `quoted` are for text that was rewritten; the dialect's otherwise. The last record may
        lack its line end.
        """
        if native.library is None or len(data) > _BLOCK_BYTES_MAX or not data:
            return None
        part = self.dialect.separator if separator is None else separator
        grammar = csv.Grammar(part, eol, self.dialect.quote if quoted else None, self.layout.width)
        rows = csv.count(data, eol) + (data[-1] != eol)
        while True:
            work = _Work(self, len(data), rows)
            code = csv.read(data, grammar, work.columns, work.records)
            if code == csv.READ:
                return work.block()
            if code != csv.DICTIONARY_FULL:
                return None
            self._many.add(work.records.full)

    def kind(self, number: int, target: Target) -> int:
        """How the loop is to read a column."""
        column = target.column
        if target.how is not None:
            return csv.INTEGER
        if column.kind == Kind.DECIMAL and column.grammar == Grammar.DECIMAL and column.scale <= _SCALE_MAX:
            return csv.DECIMAL
        if column.kind == Kind.TIMESTAMP and column.grammar == Grammar.ISO8601 and not column.zone:
            return csv.ISO8601
        return csv.CODES if column.kind == Kind.STRING and number not in self._many else csv.VIEWS

    def learn(self, number: int, distinct: int, rows: int) -> bool:
        """Whether a column of `distinct` texts in `rows` rows has few; where not, it is read as text from now on."""
        if distinct * _FEW_SHARE <= rows:
            return True
        self._many.add(number)
        return False


class _Work:
    """Memory of one call: what C is told, and the arrays it fills."""

    def __init__(self, reader: Reader, size: int, rows: int) -> None:
        self._reader = reader
        targets = reader.layout.targets
        self.columns = (csv.Column * len(targets))()
        self._arrays = [self._prepare(number, target, size, rows) for number, target in enumerate(targets)]
        self._starts, self._ends = np.empty(rows, np.uint32), np.empty(rows, np.uint32)
        self._odd = [np.empty(_ODD_MAX, np.uint32) for _ in range(4)]
        odd = map(native.address, self._odd)
        limit = reader.dialect.record_bytes_max
        self.records = csv.Records(
            native.address(self._starts), native.address(self._ends), *odd, 0, 0, _ODD_MAX, limit, 0
        )

    def _prepare(self, number: int, target: Target, size: int, rows: int) -> dict[str, npt.NDArray[np.generic]]:
        c, kind = self.columns[number], self._reader.kind(number, target)
        c.field, c.kind, c.factor, c.limit = target.index, kind, 1, -1
        if target.how is not None:
            c.factor, c.limit = target.how.factor, -1 if target.how.limit is None else target.how.limit
        c.scale, c.empty_is_null = target.column.scale, "" in target.nulls
        nulls = [text.encode() for text in sorted(target.nulls) if text]
        c.null_texts, c.nulls = len(nulls), b"".join(len(text).to_bytes(4, "little") + text for text in nulls)
        shape = {csv.VIEWS: ((rows, 2), np.uint64), csv.CODES: ((rows,), np.uint32)}.get(kind, ((rows,), np.int64))
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "values": np.empty(*shape),
            "valid": native.bits(rows, ones=True),
            "refused": native.bits(rows, ones=False),
        }
        if kind in (csv.VIEWS, csv.CODES):
            arrays["side"] = np.empty(size, np.uint8)  # pages that are not written to take no memory
        if kind == csv.CODES:
            arrays["dictionary"] = np.empty((csv.DICTIONARY_MAX, 2), np.uint64)
            arrays["slots"] = np.zeros(csv.DICTIONARY_SLOTS, np.uint32)
        for name, array in arrays.items():
            setattr(c, name, native.address(array))
        return arrays

    def block(self) -> Block:
        """What C left behind, as columns."""
        rows = self.records.good
        columns, failed = [], {}
        for number, target in enumerate(self._reader.layout.targets):
            columns.append(self._series(number, rows).alias(target.column.name))
            if self.columns[number].refusals:
                failed[target.column.name] = _bools(self._arrays[number]["refused"], rows)
        odd = Odd(*(array[: self.records.odd].astype(np.int64) for array in self._odd))
        return Block(columns, failed, self._starts[:rows], self._ends[:rows], odd)

    def _series(self, number: int, rows: int) -> pl.Series:
        c, arrays = self.columns[number], self._arrays[number]
        valid = arrays["valid"] if c.nulls_found else None
        if c.kind == csv.VIEWS:
            return _texts(arrays["values"], arrays["side"][: c.side_used], rows, valid)
        if c.kind != csv.CODES:
            return series_over("", INT64, rows, valid, arrays["values"])
        texts = _texts(arrays["dictionary"], arrays["side"][: c.side_used], c.distinct, None)
        few = self._reader.learn(number, c.distinct, rows)
        if not c.distinct:
            return pl.repeat(None, rows, dtype=pl.Categorical if few else pl.String, eager=True)
        values = texts.cast(pl.Categorical) if few else texts
        return values.gather(series_over("", UINT32, rows, valid, arrays["values"]))


def _texts(
    views: npt.NDArray[np.generic], side: npt.NDArray[np.generic], rows: int, valid: npt.NDArray[np.generic] | None
) -> pl.Series:
    return series_over("", STRING_VIEW, rows, valid, views, *([side] if len(side) else []))


def _bools(bits: npt.NDArray[np.generic], rows: int) -> pl.Series:
    return series_over("", BOOLEAN, rows, None, bits)

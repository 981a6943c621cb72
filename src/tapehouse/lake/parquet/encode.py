"""From a column of a row group to the pages of its chunk, and its statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from tapehouse.lake.parquet import frames, pack
from tapehouse.lake.parquet.frames import Buffer, Compressors
from tapehouse.lake.parquet.thrift import varint
from tapehouse.native.columns import series_of

_PAGE_BYTES = 1 << 20
# A byte of numbers that zstd saves costs 7 ns where it finds much and 12 where it leaves more than this share.
_POOR_SHARE = 0.6
# Strided frames cost a tenth of zstd's time; they are taken up to this many times its size.
_STRIDED_SIZE = 1.75
_SAMPLE_VALUES = 2048
_SAMPLE_BYTES = 1 << 15
# A dictionary is made if each value of a sample occurs this often on average; of integers, if at most 256 occur.
_FEW, _FEW_TIMES = 256, 8
_SPAN = 1 << 16  # of the smallest and the greatest code or integer, for which a table of places is made
# Longer texts are cut in statistics, as Polars does.
_BOUND_BYTES = 64
# A run costs three bytes or more and a step in Python: codes are written as runs from this mean length on.
_RUN_ROWS = 512
_NO_VALUES = np.empty(0, np.uint8)


@dataclass(slots=True)
class Page:
    """A page's rows (or a dictionary's entries), its size before compression and the parts of it to be written."""

    rows: int
    size: int
    parts: list[Buffer]


@dataclass(slots=True)
class Chunk:
    """A column of a row group. `low` and `high` are values as PLAIN has them, None where no bound can be told."""

    rows: int
    nulls: int
    pages: list[Page] = field(default_factory=list)
    dictionary: Page | None = None
    compressed: bool = True
    low: bytes | None = None
    high: bytes | None = None
    exact: tuple[bool, bool] = (True, True)


class ColumnEncoder:
    """Encodes one column of a file: integers, doubles, booleans, text, binary; dates and times as they lie."""

    def __init__(self, column: pl.Series, compressors: Compressors, *, required: bool) -> None:
        column = _categorised(column) if column.dtype == pl.String else column
        self._kind, self._required, self._compressors = column.dtype, required, compressors
        as_it_lies = column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.String, pl.Binary)
        self._values = (column if as_it_lies else column.to_physical()).rechunk()
        self._column = column  # its categories last no longer than a column of them
        self._spelled: dict[int, bytes] = {}
        self._text_compressor: Callable[[Buffer], bytes] | None = None

    def chunk(self, start: int, rows: int) -> Chunk:
        """The chunk of the row group of `rows` rows from `start` on."""
        values = self._values.slice(start, rows)
        nulls = values.null_count()
        chunk = Chunk(len(values), nulls)
        if self._kind in (pl.String, pl.Binary):
            self._plain_text(chunk, values)
            return chunk
        levels = self._levels(values, nulls)
        present = (values.drop_nulls() if nulls else values).to_numpy()
        if len(present) == 0:
            self._page(chunk, levels, _NO_VALUES)
        elif isinstance(self._kind, (pl.Categorical, pl.Enum)):
            self._categories(chunk, levels, present)
        elif present.dtype == np.bool_:
            chunk.low, chunk.high = present.min().tobytes(), present.max().tobytes()
            self._page(chunk, levels, np.packbits(present, bitorder="little"))
        elif present.dtype.kind == "f":
            chunk.low, chunk.high = _double_bounds(present)
            self._plain(chunk, levels, present, present.itemsize)
        else:
            self._integers(chunk, levels, present)
        return chunk

    def _levels(self, values: pl.Series, nulls: int) -> bytes:
        """Definition levels of 0 (null) and 1: a run if all are alike, else a bit per row."""
        if self._required:
            return b""
        if nulls in (0, len(values)):
            runs = varint(len(values) << 1) + (b"\0" if nulls else b"\1")
        else:
            bits = np.packbits(values.is_not_null().to_numpy(), bitorder="little")
            runs = varint(len(bits) << 1 | 1) + bits.tobytes()
        return len(runs).to_bytes(4, "little") + runs

    def _page(self, chunk: Chunk, levels: bytes, values: npt.NDArray[np.uint8]) -> None:
        page = np.concatenate([np.frombuffer(levels, np.uint8), values])
        chunk.pages.append(Page(chunk.rows, len(page), [self._compressors.level1(page)]))

    def _integers(self, chunk: Chunk, levels: bytes, values: npt.NDArray[Any]) -> None:
        least, greatest = values.min(), values.max()
        chunk.low, chunk.high = least.tobytes(), greatest.tobytes()
        low, high = int(least), int(greatest)
        if high - low >= _SPAN or not self._few(chunk, levels, values, low, high):
            # What lies between two integers of one sign shares the high bits in which these agree.
            differing = low ^ high
            self._plain(chunk, levels, values, 8 if differing < 0 else (differing.bit_length() + 7) // 8)

    def _few(self, chunk: Chunk, levels: bytes, values: npt.NDArray[Any], low: int, high: int) -> bool:
        """Encode with a dictionary, unless too many integers occur."""
        sample = values[:: max(1, len(values) // _SAMPLE_VALUES)]
        if low != high and series_of("", sample).n_unique() > min(_FEW, max(1, len(sample) // _FEW_TIMES)):
            return False
        found, codes = pack.places((values - values.dtype.type(low)).astype(np.uint16), high - low + 1)
        if len(found) > _FEW:
            return False
        self._coded(chunk, levels, codes, (found + low).astype(values.dtype).tobytes(), len(found))
        return True

    def _plain(self, chunk: Chunk, levels: bytes, values: npt.NDArray[Any], low: int) -> None:
        """Numbers as they are. `low`: how many low bytes tell them apart, all if that is not known."""
        middle = max(0, len(values) // 2 - _SAMPLE_VALUES // 2)
        sample = values[middle : middle + _SAMPLE_VALUES].view(np.uint8)
        share = len(self._compressors.near(sample)) / len(sample)
        size, data = len(levels) + values.nbytes, values.view(np.uint8)
        parts: list[Buffer] = [levels, data]
        enough = values.itemsize == frames.STRIDE and len(values) >= _SAMPLE_VALUES
        if enough and 0 < low <= min(frames.MOST_LOW_BYTES, share * _STRIDED_SIZE * frames.STRIDE):
            parts = frames.strided(levels, values, low)
        elif share > _POOR_SHARE:
            chunk.compressed = False
        else:
            parts = [self._compressors.near(np.concatenate([np.frombuffer(levels, np.uint8), data]))]
        chunk.pages.append(Page(chunk.rows, size, parts))

    def _categories(self, chunk: Chunk, levels: bytes, numbers: npt.NDArray[Any]) -> None:
        low, high = numbers.min(), numbers.max()
        if high - low < _SPAN:
            found, codes = pack.places((numbers - low).astype(np.uint16), int(high - low) + 1)
        else:
            found, codes = np.unique(numbers - low, return_inverse=True)
        texts = self._texts([number + int(low) for number in found.tolist()])
        _text_bounds(chunk, min(texts), max(texts), text=True)
        entries = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
        self._coded(chunk, levels, codes, entries, len(texts))

    def _texts(self, numbers: list[int]) -> list[bytes]:
        """The texts of categories; each is looked up once in a file."""
        unknown = [number for number in numbers if number not in self._spelled]
        if unknown:
            series = pl.Series(unknown, dtype=self._values.dtype).cat.to(self._kind).cast(pl.String)
            self._spelled.update(zip(unknown, (text.encode() for text in series.to_list()), strict=True))
        return [self._spelled[number] for number in numbers]

    def _coded(self, chunk: Chunk, levels: bytes, codes: npt.NDArray[Any], entries: bytes, count: int) -> None:
        """A dictionary of `count` entries, and a page of their codes."""
        chunk.dictionary = Page(count, len(entries), [self._compressors.level1(entries)])
        self._page(chunk, levels, _hybrid(codes, count))

    def _plain_text(self, chunk: Chunk, values: pl.Series) -> None:
        bounds: list[bytes] = []
        cuts = _cuts(pack.text_lengths(_one_array(values)))
        for start, end in pairwise(cuts):
            piece = values.slice(start, end - start)
            nulls = piece.null_count()
            levels = self._levels(piece, nulls)
            page, *ends = pack.plain_text(_one_array(piece.drop_nulls() if nulls else piece), levels)
            bounds += ends
            if self._text_compressor is None:
                self._text_compressor = self._compressors.better(page[:_SAMPLE_BYTES])
            chunk.pages.append(Page(len(piece), len(page), [self._text_compressor(page)]))
        if bounds:
            _text_bounds(chunk, min(bounds), max(bounds), text=self._kind == pl.String)


def _categorised(text: pl.Series) -> pl.Series:
    """Text of few values as categories of its own."""
    sample = text.gather_every(max(1, len(text) // _SAMPLE_VALUES))
    few = sample.n_unique() * _FEW_TIMES <= len(sample)
    return text.cast(pl.Categorical(pl.Categories.random())) if few else text


def _one_array(column: pl.Series) -> pa.Array:
    return column.to_arrow(compat_level=pl.CompatLevel.newest())


def _cuts(lengths: npt.NDArray[np.uint32]) -> list[int]:
    """The first row of each page and the end: a page is full with the text that brings it to `_PAGE_BYTES`."""
    ends = np.cumsum(lengths, dtype=np.int64)
    full = np.searchsorted(ends, np.arange(_PAGE_BYTES, int(ends[-1]), _PAGE_BYTES)) + 1
    return sorted({0, *full.tolist(), len(lengths)})


def _hybrid(codes: npt.NDArray[Any], entries: int) -> npt.NDArray[np.uint8]:
    """The bit width, and the codes as runs if these are long, else bit-packed.

    Widths that divide a byte, or are bytes: what they waste zstd takes away, and no code straddles two bytes.
    """
    width = next(bits for bits in (1, 2, 4, 8, 16, 32) if entries <= 1 << bits)
    changes = np.flatnonzero(codes[1:] != codes[:-1])
    if len(changes) * _RUN_ROWS > len(codes):
        head = bytes([width]) + varint(((len(codes) + 7) // 8) << 1 | 1)
        return np.concatenate([np.frombuffer(head, np.uint8), pack.bit_packed(codes, width)])
    starts = [0, *(changes + 1).tolist(), len(codes)]
    runs = (
        varint(end - start << 1) + int(codes[start]).to_bytes((width + 7) // 8, "little")
        for start, end in pairwise(starts)
    )
    return np.frombuffer(bytes([width]) + b"".join(runs), np.uint8)


def _double_bounds(values: npt.NDArray[Any]) -> tuple[bytes | None, bytes | None]:
    """NaN is no bound; a zero is -0.0 as the least and 0.0 as the greatest, for readers who order them."""
    low, high = np.fmin.reduce(values), np.fmax.reduce(values)
    if math.isnan(low):
        return None, None
    zero = values.dtype.type(0)
    return (low or -zero).tobytes(), (high or zero).tobytes()


def _text_bounds(chunk: Chunk, low: bytes, high: bytes, *, text: bool) -> None:
    """A least text that was cut is still a bound; the greatest is raised after the cut, or both are left out."""
    chunk.exact = len(low) <= _BOUND_BYTES, len(high) <= _BOUND_BYTES
    above = high if chunk.exact[1] else _raised(_cut(high, text=text), text=text)
    if above is not None:
        chunk.low, chunk.high = low if chunk.exact[0] else _cut(low, text=text), above


def _cut(value: bytes, *, text: bool) -> bytes:
    return value[:_BOUND_BYTES].decode(errors="ignore").encode() if text else value[:_BOUND_BYTES]


def _raised(value: bytes, *, text: bool) -> bytes | None:
    """The value with its last part that can be raised raised by one, None if there is none."""
    if not text:
        kept = value.rstrip(b"\xff")
        return kept[:-1] + bytes([kept[-1] + 1]) if kept else None
    letters = value.decode().rstrip("\U0010ffff")
    if not letters:
        return None
    following = ord(letters[-1]) + 1
    return (letters[:-1] + chr(0xE000 if following == 0xD800 else following)).encode()

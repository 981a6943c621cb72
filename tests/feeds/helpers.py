"""Hand-made contracts, batches on disk, and the invariants every slice of every format must keep."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import zstandard

from tapehouse.contracts.model import Column, Contract, Feed, Grammar, Kind
from tapehouse.feeds import reader
from tapehouse.feeds.base import BatchSource, Malformed, RawRecord, Slice


def text(name: str, **facts: Any) -> Column:
    return Column(name=name, kind=Kind.STRING, grammar=Grammar.TEXT, source=facts.pop("source", name), **facts)


def integer(name: str, **facts: Any) -> Column:
    return Column(name=name, kind=Kind.INTEGER, grammar=Grammar.INTEGER, source=facts.pop("source", name), **facts)


def decimal(name: str, **facts: Any) -> Column:
    return Column(name=name, kind=Kind.DECIMAL, grammar=Grammar.DECIMAL, source=facts.pop("source", name), **facts)


def column(name: str, kind: Kind, grammar: Grammar, **facts: Any) -> Column:
    return Column(name=name, kind=kind, grammar=grammar, source=facts.pop("source", name), **facts)


def contract(columns: Sequence[Column], **feed: Any) -> Contract:
    return Contract(
        id="urn:test",
        name="test",
        version="1.0.0",
        digest="0" * 64,
        source="",
        columns=tuple(columns),
        rules=(),
        feed=Feed(**feed),
    )


def batch(folder: Path, data: bytes, name: str = "batch.csv", origin: str | None = None) -> BatchSource:
    digest = hashlib.sha256(data).hexdigest()
    path = folder / digest
    path.write_bytes(data)
    return BatchSource(path=path, digest=digest, origin=name if origin is None else origin, size=len(data))


def slices_of(what: Contract, source: BatchSource, slice_bytes: int = 1 << 20) -> list[Slice]:
    """All slices, each checked against the door's promises, with texts where the kernel could have parsed them."""
    found = list(reader(what.feed.format)(what, source, slice_bytes=slice_bytes))
    row = 0
    for part in found:
        check_slice(what, part, row)
        row += part.records
    return [_as_text(what, part) for part in found]


_PARSED_LATER = (Grammar.DECIMAL, Grammar.ISO8601)


def _as_text(what: Contract, part: Slice) -> Slice:
    """The slice as a reader hands it over that types whole numbers only."""
    columns, failed = [], dict(part.failed)
    for column in what.columns:
        series = part.frame[column.name]
        if series.dtype == pl.Categorical:
            series = series.cast(pl.String)
        elif series.dtype != pl.String and part.written is not None and column.grammar in _PARSED_LATER:
            present = series.is_not_null() | failed.pop(column.name, pl.repeat(False, len(series), eager=True))
            texts = part.written(column.name, np.arange(len(series)))
            series = texts.alias(column.name).set(~present, None)
        columns.append(series)
    return replace(part, frame=pl.DataFrame(columns), failed=failed)


def check_slice(what: Contract, part: Slice, row: int) -> None:
    assert part.first_row == row
    assert part.records == part.frame.height + len(part.malformed)
    assert part.records > 0
    assert part.frame.columns == [c.name for c in what.columns]
    rows = np.arange(row, row + part.frame.height) if part.rows is None else part.rows
    assert len(rows) == part.frame.height
    numbers = sorted([*rows.tolist(), *(m.record.row for m in part.malformed)])
    assert numbers == list(range(row, row + part.records)), "each record is either a row or malformed"
    for name, mask in part.failed.items():
        assert mask.dtype == pl.Boolean
        assert len(mask) == part.frame.height
        assert mask.null_count() == 0
        assert part.frame[name].filter(mask).null_count() == mask.sum(), "a refused value is null"
    raw = part.raw(np.arange(part.frame.height))
    assert [record.row for record in raw] == rows.tolist()


def frame_of(parts: Sequence[Slice]) -> pl.DataFrame:
    return pl.concat([part.frame for part in parts]) if parts else pl.DataFrame()


def malformed_of(parts: Sequence[Slice]) -> list[Malformed]:
    return [bad for part in parts for bad in part.malformed]


def codes_of(parts: Sequence[Slice]) -> list[str]:
    return [bad.code for bad in malformed_of(parts)]


def raw_of(parts: Sequence[Slice]) -> list[RawRecord]:
    """Every record of every slice, good or malformed, by row."""
    good = [record for part in parts for record in part.raw(np.arange(part.frame.height))]
    return sorted([*good, *(bad.record for bad in malformed_of(parts))], key=lambda record: record.row)


def failed_of(parts: Sequence[Slice], name: str) -> list[bool]:
    masks = [
        part.failed[name] if name in part.failed else pl.repeat(value=False, n=part.frame.height, eager=True)
        for part in parts
    ]
    return pl.concat(masks).to_list() if masks else []


def zipped(data: bytes, name: str = "data.csv") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "zip": zipped,
}
SUFFIX = {"plain": "", "gz": ".gz", "zst": ".zst", "zip": ".zip"}

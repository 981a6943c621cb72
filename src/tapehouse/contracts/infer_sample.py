"""First records of a data file of any supported format, as columns of texts or of typed values."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from tapehouse.errors import FeedError

MAX_ROWS = 20_000
"""Records that are looked at."""

MAX_SAMPLE_BYTES = 32 << 20
"""Unpacked bytes that are looked at: bounds what a packed file can unfold to."""

MAX_DBN_BYTES = 4 << 20
"""Unpacked bytes of a DBN file that are looked at."""

_DELIMITERS = (",", ";", "\t", "|")


@dataclass(slots=True)
class Field:
    """One column of the sample. `logical` is set where the file itself says the type; else `values` are texts.

    `scale` are the decimals of an exact number, `scaled` says that values are integers times 10^scale.
    """

    name: str
    values: list[Any] = field(default_factory=list)
    logical: str = ""
    scale: int | None = None
    scaled: bool = False


@dataclass(slots=True)
class Sample:
    """Columns of the first records, and what the feed has to say to read the file."""

    format: str
    columns: list[Field]
    header: bool = True
    delimiter: str = ","
    packed: str = ""


def read_sample(path: Path) -> Sample:
    """First records of `path`. Raises FeedError where it holds none or is of no known format."""
    try:
        return _read(path)
    except (OSError, EOFError, zipfile.BadZipFile, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise FeedError(
            f"cannot be read: {error}", path=str(path), fix="name a CSV, NDJSON, Parquet or DBN file"
        ) from error


def _read(path: Path) -> Sample:
    with path.open("rb") as stream:
        magic = stream.read(4)
    name = path.name.lower()
    if magic == b"PAR1":
        return _parquet(path)
    if ".dbn" in name or magic[:3] == b"DBN":
        return _dbn(path)
    text, inner, packed = _text(path, magic)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise FeedError("holds no record", path=str(path), fix="name a file with data")
    if first.lstrip().startswith("{") or inner.endswith((".ndjson", ".jsonl")):
        return Sample("ndjson", _ndjson(text), packed=packed)
    sample = _delimited(text)
    sample.packed = packed
    return sample


def _text(path: Path, magic: bytes) -> tuple[str, str, str]:
    """Unpacked start of the file without its last, possibly cut record; the inner name; the packing."""
    inner, packed = path.name.lower(), ""
    with path.open("rb") as raw:
        stream: IO[bytes] = raw
        if magic[:2] == b"\x1f\x8b":
            stream, inner, packed = cast(IO[bytes], gzip.GzipFile(fileobj=raw)), inner.removesuffix(".gz"), "gz"
        elif magic == b"\x28\xb5\x2f\xfd":
            stream, inner, packed = _zstd(raw), inner.removesuffix(".zst"), "zst"
        elif magic == b"PK\x03\x04":
            archive = zipfile.ZipFile(raw)
            members = [item for item in archive.infolist() if not item.is_dir()]
            if not members:
                raise FeedError("is an empty archive", path=str(path), fix="name a file with data")
            stream, inner, packed = archive.open(members[0]), members[0].filename.lower(), "zip"
        data = stream.read(MAX_SAMPLE_BYTES)
    if len(data) == MAX_SAMPLE_BYTES:
        data = data[: data.rfind(b"\n") + 1]
    return data.decode("utf-8-sig"), inner, packed


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    import zstandard

    # A file may be several frames one after another.
    return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))


# ---- delimited text ----------------------------------------------------------------------------------------------


def _delimited(text: str) -> Sample:
    delimiter = _delimiter(text)
    rows = [
        row for row, _ in zip(csv.reader(io.StringIO(text), delimiter=delimiter), range(MAX_ROWS + 1), strict=False)
    ]
    rows = [row for row in rows if row]
    header = _is_header(rows)
    names = rows[0] if header else [f"field_{index + 1}" for index in range(len(rows[0]))]
    body = [row for row in (rows[1:] if header else rows) if len(row) == len(names)]
    if not body:
        raise ValueError("no record has as many fields as the first line")
    columns = [Field(name, [row[index] or None for row in body]) for index, name in enumerate(names)]
    return Sample("csv", columns, header, delimiter)


def _delimiter(text: str) -> str:
    lines = [line for line in text[:65_536].splitlines()[:50] if line]

    def steadiness(delimiter: str) -> tuple[int, int]:
        counts = [len(next(csv.reader([line], delimiter=delimiter), [])) for line in lines]
        common = max(set(counts), key=counts.count)
        return (counts.count(common) if common > 1 else 0, common)

    return max(_DELIMITERS, key=steadiness)


def _is_header(rows: list[list[str]]) -> bool:
    """A first line of distinct names without any digit at its cells' start, unlike the lines below."""
    first = [cell.strip() for cell in rows[0]]
    if len(set(first)) < len(first) or not all(
        cell and not cell[0].isdigit() and cell[0] not in "-+." for cell in first
    ):
        return False
    return len(rows) == 1 or any(cell[:1].isdigit() for row in rows[1:20] for cell in row)


def _ndjson(text: str) -> list[Field]:
    columns: dict[str, Field] = {}
    count = 0
    for count, record in enumerate(_records(text)):
        for name in record:
            columns.setdefault(name, Field(name, [None] * count))
        for name, column in columns.items():
            column.values.append(_as_text(record.get(name)))
    if not count and not columns:
        raise ValueError("no record")
    return list(columns.values())


def _records(text: str) -> Iterator[dict[str, Any]]:
    lines = (line for line in text.splitlines() if line.strip())
    for line, _ in zip(lines, range(MAX_ROWS), strict=False):
        record = json.loads(line, parse_float=str, parse_int=str)
        if not isinstance(record, dict):
            raise ValueError("a line is no JSON object")
        yield record


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value)


# ---- typed files -------------------------------------------------------------------------------------------------


def _parquet(path: Path) -> Sample:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    batch = next(file.iter_batches(batch_size=MAX_ROWS), None)
    if batch is None:
        raise ValueError("no record")
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_timestamp(kind):
            columns.append(Field(name, column.cast(pa.int64()).to_pylist(), "timestamp"))
            continue
        found = Field(name, column.to_pylist())
        if pa.types.is_integer(kind):
            found.logical = "integer"
        elif pa.types.is_decimal(kind):
            found.logical, found.scale = "number", kind.scale
        elif pa.types.is_floating(kind):
            found.logical = "number"
        elif pa.types.is_boolean(kind):
            found.logical = "boolean"
        elif pa.types.is_date(kind):
            found.logical = "date"
        elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            raise ValueError(f"column {name} is of type {kind}, which a contract cannot hold")
        columns.append(found)
    return Sample("parquet", columns)


def _dbn(path: Path) -> Sample:
    import databento_dbn

    decoder = databento_dbn.DBNDecoder()
    with path.open("rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        stream: Any = raw
        if magic == b"\x28\xb5\x2f\xfd":
            stream = _zstd(raw)
        decoder.write(stream.read(MAX_DBN_BYTES))
    records = [item for item in decoder.decode() if hasattr(item, "_ordered_fields")][:MAX_ROWS]
    if not records:
        raise ValueError("no record")
    kind: Any = type(records[0])
    records = [record for record in records if type(record) is kind]
    types = dict(kind._dtypes)
    columns = []
    for name in kind._ordered_fields:
        if name in ("rtype", "length"):
            continue
        found = Field(name, logical="integer")
        if types.get(name, "S").startswith("S"):
            found.logical = "string"
        elif name in kind._timestamp_fields:
            found.logical = "timestamp"
        elif name in kind._price_fields:
            found.logical, found.scale, found.scaled = "number", 9, True
        if len(kind._dtypes) < 40 and hasattr(records[0], name):
            found.values = [getattr(record, name) for record in records]
        columns.append(found)
    return Sample("dbn", columns)

"""Text of generated files: numbers to the feed's spelling, and records that no CSV writer would write."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import BinaryIO

import polars as pl

from tapehouse.synthetic.faults import Spoiled
from tapehouse.synthetic.noise import Ints

# Stand-ins for what a data frame cannot hold or a writer would escape; replaced in the finished bytes.
_COMMA, _LESS, _NUL, _BYTES = "\x02", "\x03", "\x04", "\x05"
_SPELLED = ((b"\x02", b","), (b",\x03", b""), (b"\x04", b"\x00"), (b"\x05", b"\xc3\x28\xff"))


def instants(nanoseconds: Ints) -> pl.Series:
    """ISO 8601 with nine decimals and Z."""
    return pl.Series(nanoseconds).cast(pl.Datetime("ns")).dt.to_string("iso:strict") + "Z"


def prices(units: Ints) -> pl.Series:
    """Decimal text of ten-thousandths, always with four places."""
    whole = pl.Series(units).cast(pl.Decimal(18, 0))
    return (whole / pl.Series([10_000]).cast(pl.Decimal(18, 4))).cast(pl.String)


def put(column: pl.Series, rows: Ints, texts: pl.Series) -> pl.Series:
    """The column with `texts` at `rows`."""
    return column.scatter(rows, texts)


def picked(texts: tuple[str | None, ...], serials: Ints) -> pl.Series:
    """One of the texts per serial number, in turn."""
    return pl.Series(list(texts), dtype=pl.String).gather(serials % len(texts))


def malform(columns: dict[str, pl.Series], last: str, inside: str, spoiled: Mapping[str, Spoiled]) -> bool:
    """Mark malformed records: a column too few or too many at column `last`, broken bytes in column `inside`.

    Returns whether there are any, so that the writer spells them.
    """
    spellings = {
        "malformed_columns": (last, (_LESS, f"B{_COMMA}extra", f"B{_COMMA}{_COMMA}{_COMMA}")),
        "malformed_nul": (inside, (_NUL, f"A{_NUL}", f"{_NUL}{_NUL}Z")),
        "malformed_encoding": (inside, (_BYTES, f"A{_BYTES}", f"{_BYTES}{_BYTES}Z")),
    }
    found = [kind for kind in spellings if kind in spoiled]
    for kind in found:
        name, texts = spellings[kind]
        columns[name] = put(columns[name], spoiled[kind].positions, picked(texts, spoiled[kind].serials))
    return bool(found)


def write_block(file: BinaryIO, columns: dict[str, pl.Series], *, header: bool, spelled: bool) -> None:
    """Append rows; `spelled` says that stand-ins of malformed records are among them. Null is an empty field."""
    if not spelled:
        pl.DataFrame(columns).write_csv(file, include_header=header)
        return
    buffer = BytesIO()
    pl.DataFrame(columns).write_csv(buffer, include_header=header)
    text = buffer.getvalue()
    for mark, replacement in _SPELLED:
        text = text.replace(mark, replacement)
    file.write(text)

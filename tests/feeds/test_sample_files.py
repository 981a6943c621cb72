"""Real vendor files: counts and sums against an independent reading of the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapehouse.contracts.model import Contract, Grammar, Kind
from tapehouse.feeds.base import BatchSource

from .helpers import column, contract, frame_of, integer, malformed_of, raw_of, slices_of, text

TICKS = r"us_equity_ticks/(?P<symbol>\w+)/(?P<day>\d{8})_(trade|quote)\.zip$"
SLICE_BYTES = 1 << 18


def price(name: str) -> Any:
    return column(name, Kind.DECIMAL, Grammar.SCALED, scale=6, source_scale=4)


def of_day(name: str) -> Any:
    return column(name, Kind.TIMESTAMP, Grammar.MS_OF_DAY, zone="America/New_York")


PATH = (text("day", source="path:day"), text("symbol", source="path:symbol"))
TRADES = contract(
    [of_day("ms"), price("price"), integer("size"), text("venue"), text("cond"), text("suspicious"), *PATH],
    header=False,
    path=TICKS,
)
QUOTES = contract(
    [
        of_day("ms"),
        *(make(f"{side}{what}") for side in ("bid", "ask") for make, what in ((price, ""), (integer, "_size"))),
        text("venue"),
        text("cond"),
        text("suspicious"),
        *PATH,
    ],
    header=False,
    path=TICKS,
)


def source_of(path: Path) -> BatchSource:
    return BatchSource(path, "0" * 64, str(path), path.stat().st_size)


def members(path: Path) -> Iterator[list[list[str]]]:
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            yield list(csv.reader(io.TextIOWrapper(archive.open(name), encoding="utf-8", newline="")))


@pytest.mark.parametrize("kind", ["trade", "quote"])
@pytest.mark.parametrize("day", ["20131007", pytest.param("*", marks=pytest.mark.slow)])
def test_equity_ticks(sample_data: Path, kind: str, day: str) -> None:
    paths = sorted((sample_data / "market/us_equity_ticks").glob(f"*/{day}_{kind}.zip"))
    assert paths
    for path in paths:
        rows = [row for member in members(path) for row in member]
        what = TRADES if kind == "trade" else QUOTES
        frame = check(what, path, len(rows))
        assert frame["symbol"].unique().to_list() == [path.parent.name]
        assert frame["day"].unique().to_list() == [path.name[:8]]
        first = "price" if kind == "trade" else "bid"
        assert (frame[first].sum() or 0) == 100 * sum(int(row[1]) for row in rows if row[1])
        assert frame["ms"].to_list() == [row[0] for row in rows]


def check(what: Contract, path: Path, count: int) -> Any:
    parts = slices_of(what, source_of(path), SLICE_BYTES)
    assert not malformed_of(parts)
    assert not [name for part in parts for name in part.failed]
    frame = frame_of(parts)
    assert frame.height == count > 0
    return frame


def test_fx_ticks(sample_data: Path) -> None:
    what = contract(
        [column("ms", Kind.TIMESTAMP, Grammar.MS_OF_DAY), text("bid"), text("ask")], header=False, path=r"/\d{8}_quote"
    )
    for path in sorted((sample_data / "market/fx_ticks").glob("*/*.zip")):
        rows = [row for member in members(path) for row in member]
        assert check(what, path, len(rows)).rows() == [tuple(row) for row in rows]


def test_daily_bars(sample_data: Path) -> None:
    names = ("open", "high", "low", "close")
    what = contract([text("date"), *(price(name) for name in names), integer("volume")], header=False)
    for path in sorted((sample_data / "market/us_equity_daily").glob("*.zip")):
        rows = [row for member in members(path) for row in member]
        frame = check(what, path, len(rows))
        assert frame["volume"].sum() == sum(int(row[5]) for row in rows)


def test_invoices(sample_data: Path) -> None:
    path = next((sample_data / "payments/retail_invoices").glob("*.gz"))
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    what = contract([text(name) for name in header])
    parts = slices_of(what, source_of(path), 1 << 22)
    assert not malformed_of(parts)
    assert frame_of(parts).rows() == [tuple(cell or None for cell in row) for row in rows]
    data = gzip.decompress(path.read_bytes())
    for record in raw_of(parts)[:: max(1, len(rows) // 1000)]:
        assert data[record.offset : record.offset + record.length] == record.raw

"""An invented market: symbols, reference prices, one session, and clean trades at any position of the tape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from tapehouse.errors import UsageError
from tapehouse.synthetic.noise import Ints, between, draw, unit

# fmt: off
VENUES = ("XNAS", "XNYS", "ARCX", "BATS", "BATY", "EDGX", "EDGA", "XBOS",
          "XPHL", "IEXG", "MEMX", "XCHI", "XASE", "LTSE", "EPRL", "FINR")
# fmt: on
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
OPEN, CLOSE = 52_200 * SECOND, 75_600 * SECOND
"""14:30 and 21:00 as ns after midnight UTC."""


@dataclass(frozen=True, slots=True)
class Market:
    """What stays fixed over a tape: midnight of its date (ns), symbols, and reference prices in ten-thousandths."""

    seed: int
    rows: int
    midnight: int
    symbols: pl.Series
    references: Ints

    @classmethod
    def of(cls, *, seed: int, rows: int, date: str, symbols: int) -> Market:
        """Raises UsageError on a date without a session or numbers out of range."""
        if rows < 1 or not 1 <= symbols <= 17_000:
            raise UsageError(f"rows={rows} symbols={symbols}", fix="rows >= 1, and symbols between 1 and 17000")
        try:
            day = datetime.fromisoformat(date).replace(tzinfo=UTC)
        except ValueError:
            raise UsageError(f"{date!r} is not a date", fix="write one as 2024-03-04") from None
        if day.weekday() > 4:
            raise UsageError(f"{date} is no weekday, so every row would be out of session", fix="take a Monday-Friday")
        numbers = np.arange(symbols, dtype=np.int64)
        references = between(seed, "reference", numbers, 500, 50_000) * 100  # whole cents: the band's edge is exact
        return cls(seed, rows, int(day.timestamp()) * SECOND, pl.Series(symbol_names(symbols)), references)


def symbol_names(count: int) -> list[str]:
    """Tickers, among them the ones that careless readers take for missing, false or infinite values."""
    odd = ["NA", "NAN", "NULL", "TRUE", "INF"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    plain = (f"{letters[n // 676]}{letters[n // 26 % 26]}{letters[n % 26]}" for n in range(26**3))
    names = odd + [name for name in plain if name not in odd]
    return names[:count]


Numbers = dict[str, Ints]
"""Columns of a block before they are spelled."""


def trade_numbers(market: Market, positions: Ints) -> Numbers:
    """Clean rows at these positions, as numbers: times in ns, prices in ten-thousandths, names as indexes."""
    seed, step = market.seed, (CLOSE - OPEN) // market.rows
    event = market.midnight + OPEN + positions * step + between(seed, "event", positions, 0, max(step, 1))
    event[positions == 0] = market.midnight + OPEN
    event[positions == market.rows - 1] = market.midnight + CLOSE - 1
    symbol = (unit(seed, "symbol", positions) ** 2 * len(market.symbols)).astype(np.int64)
    pairs = positions // 2  # both rows of a pair share a trade_id and differ in venue
    shift = between(seed, "second venue", pairs, 1, len(VENUES)) * (positions % 2)
    wiggle = unit(seed, "price", positions) + unit(seed, "price 2", positions) - 1.0
    cents = (market.references[symbol] * (1.0 + 0.02 * wiggle) / 100.0).astype(np.int64)
    lots = (unit(seed, "size", positions) ** 3 * 1_000).astype(np.int64)
    return {
        "event": event,
        "received": event + between(seed, "latency", positions, 1_000, 10_000_000),
        "symbol": symbol,
        "venue": (between(seed, "venue", pairs, 0, len(VENUES)) + shift) % len(VENUES),
        "price": cents * 100 + (draw(seed, "subpenny", positions) % np.uint64(10) == 0) * 50,
        "size": np.where(lots > 100, lots // 100 * 100, lots) + (lots == 0),
        "trade_id": pairs + 1,
        "sequence": positions + 1,
        "conditions": between(seed, "conditions", positions, 0, 4),
        "side": between(seed, "side", positions, 0, 2),
    }

"""Quotes of many venues, with side updates, injected faults and their truth.

Header `ts_event,ts_recv,symbol,venue,bid_price,bid_size,ask_price,ask_size,sequence`. A side whose price and size are 0
is *not updated*: the venue's last quote of that side stands. `sequence` counts up by one per venue.

Why the truth is right whatever the judge carries forward: rows come in bursts of four of one symbol and venue. Row 0
and row 2 update both sides, rows 1 and 3 one side or both, and only row 1 is ever spoiled. Clean bids lie below the
symbol's reference price and clean asks above it at every venue, so a spoiled side crosses or locks the book for exactly
one row, until row 2 replaces it. Records without a usable venue take no sequence number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from tapehouse.errors import UsageError
from tapehouse.synthetic import csvfile
from tapehouse.synthetic.faults import QUOTE_FAULTS, Spoiled, check_faults, counts_of, place, window
from tapehouse.synthetic.market import CLOSE, HOUR, OPEN, SECOND, VENUES, Market, Numbers
from tapehouse.synthetic.noise import Ints, between, unit
from tapehouse.synthetic.trade_faults import BAD_EVENTS, BAD_PRICES, BAD_VENUES
from tapehouse.synthetic.trades import blocks
from tapehouse.synthetic.truth import Generated, Layout, TruthFormat, truth_rows, write_truth

BURST = 4
_SPOILED_ROW = 1
_FIRST_SEQUENCE = 1_000_000_000  # high enough that restarts never reach zero
_UNNUMBERED = ("unknown_venue", "malformed_columns", "malformed_nul", "malformed_encoding")


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequence numbers by position: a count per venue, moved by what happened before. `starts` are the positions from
    which each shift of a venue holds, ascending, and `shifts` their running sums.
    """

    starts: tuple[Ints, ...]
    shifts: tuple[Ints, ...]

    @classmethod
    def of(cls, seed: int, placed: Mapping[str, Spoiled]) -> Sequences:
        """Gaps skip 1 to 50 numbers, restarts fall back by as many, and records without a venue take none."""
        starts, deltas = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for name, spoiled in placed.items():
            step = between(seed, "sequence step", spoiled.positions, 1, 51)
            if name == "sequence_gap":
                starts.append(spoiled.positions)
                deltas.append(step)
            elif name == "stale_sequence":
                starts.append(spoiled.positions)
                deltas.append(-step - 1)
            elif name in _UNNUMBERED:
                starts.append(spoiled.positions + 1)
                deltas.append(np.full(len(step), -1, np.int64))
        at, by = np.concatenate(starts), np.concatenate(deltas)
        order = np.argsort(at, kind="stable")
        at, by = at[order], by[order]
        venue = at // BURST % len(VENUES)
        parts = [venue == index for index in range(len(VENUES))]
        sums = tuple(np.concatenate([[0], np.cumsum(by[part])]).astype(np.int64) for part in parts)
        return cls(tuple(at[part] for part in parts), sums)

    def numbers(self, positions: Ints) -> Ints:
        """The number of each position."""
        venues, burst = positions // BURST % len(VENUES), positions // BURST
        result = _FIRST_SEQUENCE + burst // len(VENUES) * BURST + positions % BURST
        for index, (starts, shifts) in enumerate(zip(self.starts, self.shifts, strict=True)):
            here = venues == index
            result[here] += shifts[np.searchsorted(starts, positions[here], side="right")]
        return result


def quote_numbers(market: Market, positions: Ints) -> Numbers:
    """Clean rows at these positions: times in ns, prices in ten-thousandths (0: side not updated), names as indexes."""
    seed, step = market.seed, (CLOSE - OPEN) // market.rows
    event = market.midnight + OPEN + positions * step + between(seed, "event", positions, 0, max(step, 1))
    burst, row = positions // BURST, positions % BURST
    symbol = (unit(seed, "symbol", burst) ** 2 * len(market.symbols)).astype(np.int64)
    reference = market.references[symbol]
    side = np.where(row % 2 == 0, 0, between(seed, "updated side", positions, 0, 3))  # 0 both, 1 bid, 2 ask
    away_bid, away_ask = (0.001 + 0.014 * unit(seed, name, positions) for name in ("bid", "ask"))
    sizes = [between(seed, name, positions, 1, 51) * 100 for name in ("bid size", "ask size")]
    return {
        "event": event,
        "received": event + between(seed, "latency", positions, 0, 10_000_000),
        "symbol": symbol,
        "venue": burst % len(VENUES),
        "bid": np.where(side == 2, 0, (reference * (1.0 - away_bid)).astype(np.int64)),
        "bid_size": np.where(side == 2, 0, sizes[0]),
        "ask": np.where(side == 1, 0, (reference * (1.0 + away_ask)).astype(np.int64) + 1),
        "ask_size": np.where(side == 1, 0, sizes[1]),
    }


def generate_quotes(
    out: Path,
    *,
    rows: int,
    seed: int,
    files: int = 5,
    faults: Mapping[str, float] | None = None,
    date: str = "2024-03-04",
    symbols: int = 500,
    truth: TruthFormat = "parquet",
    on_rows: Callable[[int], None] | None = None,
) -> Generated:
    """Write `rows` quotes over `files` CSV files and the truth into folder `out` (made if absent).

    Arguments as for `generate_trades`. Sequence numbers and standing quotes run on from file to file in the order of
    names, and the truth holds too for a judge who starts afresh with each file. At most one row in four can be spoiled.
    Raises UsageError.
    """
    market = Market.of(seed=seed, rows=rows, date=date, symbols=symbols)
    layout = _whole_bursts(Layout.of(rows, files, "quotes"), rows)
    counts = counts_of(check_faults(faults, QUOTE_FAULTS), rows)
    bursts = place(counts, population=rows // BURST, seed=seed, stream="quote faults")
    placed = {name: Spoiled(part.positions * BURST + _SPOILED_ROW, part.serials) for name, part in bursts.items()}
    sequences = Sequences.of(seed, placed)
    parts = [
        truth_rows(layout, name, spoiled.positions, QUOTE_FAULTS[name].codes, QUOTE_FAULTS[name].also)
        for name, spoiled in placed.items()
    ]
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, first, last in zip(layout.names, layout.bounds[:-1], layout.bounds[1:], strict=True):
        with (out / name).open("wb") as file:
            for start, stop in blocks(int(first), int(last)):
                columns, spelled = _block(market, sequences, placed, start, stop)
                csvfile.write_block(file, columns, header=start == first, spelled=spelled)
                if on_rows is not None:
                    on_rows(stop - start)
        written.append(out / name)
    size = sum(path.stat().st_size for path in written)
    return Generated(tuple(written), None, write_truth(out, parts, truth), rows, size, counts)


def _whole_bursts(layout: Layout, rows: int) -> Layout:
    """File bounds moved down to starts of bursts; the last file takes what is left."""
    if rows < BURST * len(layout.names):
        raise UsageError(
            f"{rows} quotes cannot fill {len(layout.names)} files", fix=f"ask for at least {BURST} rows a file"
        )
    bounds = layout.bounds // BURST * BURST
    bounds[-1] = rows
    return Layout(layout.names, bounds)


def _block(
    market: Market, sequences: Sequences, placed: Mapping[str, Spoiled], start: int, stop: int
) -> tuple[dict[str, pl.Series], bool]:
    """Text columns of positions [start, stop), and whether malformed records are marked in them."""
    positions = np.arange(start, stop, dtype=np.int64)
    numbers = quote_numbers(market, positions)
    spoiled = window(placed, start, stop)
    for name, part in spoiled.items():
        _spoil_numbers(market, name, part, start, numbers)
    columns = {
        "ts_event": csvfile.instants(numbers["event"]),
        "ts_recv": pl.Series(numbers["received"]),
        "symbol": market.symbols.gather(numbers["symbol"]),
        "venue": csvfile.picked(VENUES, numbers["venue"]),
        "bid_price": csvfile.prices(numbers["bid"]),
        "bid_size": pl.Series(numbers["bid_size"]),
        "ask_price": csvfile.prices(numbers["ask"]),
        "ask_size": pl.Series(numbers["ask_size"]),
        "sequence": pl.Series(sequences.numbers(positions)).cast(pl.String),
    }
    for name, part in spoiled.items():
        for column, texts in _SPELLINGS.get(name, ()):
            columns[column] = csvfile.put(columns[column], part.positions, csvfile.picked(texts, part.serials))
    return columns, csvfile.malform(columns, "sequence", "symbol", spoiled)


# An unlisted venue has no sequence of its own to break.
_SPELLINGS: Mapping[str, tuple[tuple[str, tuple[str | None, ...]], ...]] = {
    "bad_ts_event": (("ts_event", BAD_EVENTS),),
    "missing_symbol": (("symbol", (None,)),),
    "unknown_venue": (("venue", BAD_VENUES), ("sequence", (None,))),
    "bad_bid_price": (("bid_price", BAD_PRICES),),
}


def _spoil_numbers(market: Market, name: str, part: Spoiled, start: int, numbers: Numbers) -> None:
    """Spoil the rows of one kind. All of them update both sides, so that what stands before does not matter, but for
    rows that must not: a quote without a symbol leaves no ask for other symbols' bids to cross, and every other crossed
    row updates its bid alone.
    """
    at, turn = part.positions, part.serials % 2 == 0
    reference = market.references[numbers["symbol"][at]]
    noise = between(market.seed, name, at + start, 1, 2 * HOUR)
    event, received = numbers["event"], numbers["received"]
    numbers["bid"][at], numbers["ask"][at] = reference * 995 // 1000, reference * 1005 // 1000
    numbers["bid_size"][at] = numbers["ask_size"][at] = 300
    if name == "recv_before_event":
        received[at] = event[at] - np.where(turn, 1, noise % SECOND + 1)
    elif name == "late":
        received[at] = event[at] + HOUR + np.where(turn, 1, noise)
    elif name == "out_of_session":
        event[at] = market.midnight + np.where(turn, CLOSE + noise - 1, OPEN - noise)
        received[at] = event[at] + 1_000
    elif name == "negative_bid":
        numbers["bid"][at] *= -1
    elif name == "negative_size":
        numbers["ask_size"][at] *= -1
    elif name == "locked":
        numbers["bid"][at] = numbers["ask"][at] = reference
    elif name == "crossed":
        numbers["bid"][at] = np.where(turn, reference * 103 // 100, reference + 1)
        numbers["ask"][at] = np.where(turn, 0, reference - 1)
        numbers["ask_size"][at] = np.where(turn, 0, 300)
    elif name == "missing_symbol":
        numbers["ask"][at] = numbers["ask_size"][at] = 0

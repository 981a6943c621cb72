"""Consolidated trades in the reference format, with injected faults and their truth.

Header `ts_event,ts_recv,symbol,venue,price,size,trade_id,sequence,conditions,side`. The key (venue, trade_id) is
unique but for injected copies, and every trade_id occurs at two venues, so that neither column alone is a key.
Clean rows also lie exactly on the bounds of rules (received in the nanosecond of the event, an hour later to the
nanosecond, 20 % off the reference, first and last nanosecond of the session): a rule off by one is a false alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from tapehouse.synthetic import csvfile
from tapehouse.synthetic.faults import DUPLICATE, TRADE_FAULTS, Spoiled, check_faults, counts_of, place, window
from tapehouse.synthetic.market import SECOND, VENUES, Market, Numbers, trade_numbers
from tapehouse.synthetic.noise import Ints, between, draw
from tapehouse.synthetic.trade_faults import spoil_numbers, spoil_texts
from tapehouse.synthetic.truth import Generated, Layout, TruthFormat, truth_rows, write_truth

BLOCK_ROWS = 262_144
"""Rows made at once: about 100 MB of working memory."""

BOUNDS = {"=received at once": 0.0001, "=an hour late": 0.0001, "=on the band": 0.0001}
"""Shares of clean rows put on the bound of a rule."""

_COPIED = "=copied"  # the other row of each pair of copies


@dataclass(frozen=True, slots=True)
class Copies:
    """Pairs of copies. Row `at` shows the row of position `content`, received `delay` ns later; ascending by `at`."""

    at: Ints
    content: Ints
    delay: Ints

    @classmethod
    def of(cls, seed: int, spoiled: Spoiled, others: Spoiled) -> tuple[Copies, Ints, Ints]:
        """Pairs of places, half of them near each other; also which place of each pair is the duplicate, and the other.

        The later copy may come first in the tape: the order of files says nothing about the order of receipt.
        """
        places = np.sort(np.concatenate([spoiled.positions, others.positions]))
        pairs = places.reshape(-1, 2).copy()
        pairs[::2, 1] = np.roll(pairs[::2, 1], len(pairs) // 4)
        content = pairs[:, 0]
        delay = between(seed, "copy delay", content, 1, 1_800 * SECOND)
        delay[draw(seed, "copy at once", content) % np.uint64(4) == 0] = 1
        first_is_late = draw(seed, "copy order", content) % np.uint64(2) == 0
        at = np.concatenate([pairs[:, 0], pairs[:, 1]])
        delays = np.concatenate([np.where(first_is_late, delay, 0), np.where(first_is_late, 0, delay)])
        order = np.argsort(at, kind="stable")
        copies = cls(at[order], np.concatenate([content, content])[order], delays[order])
        late, kept = np.where(first_is_late, pairs.T, pairs.T[::-1])
        return copies, late, kept


@dataclass(frozen=True, slots=True)
class _Plan:
    market: Market
    layout: Layout
    placed: Mapping[str, Spoiled]
    copies: Copies


def generate_trades(
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
    """Write `rows` trades over `files` CSV files, `ref.csv` and the truth into folder `out` (made if absent).

    `rows` counts the spoiled rows and copies too. `faults` are shares by name; None is every kind at 0.1 %.
    `on_rows` is told the number of rows after each block. Same arguments, same bytes. Raises UsageError.
    """
    market = Market.of(seed=seed, rows=rows, date=date, symbols=symbols)
    layout = Layout.of(rows, files, "trades")
    counts = counts_of(check_faults(faults, TRADE_FAULTS), rows)
    extra = {name: round(share * rows) for name, share in BOUNDS.items()}
    placed = place(
        counts | {_COPIED: counts.get(DUPLICATE, 0)} | extra, population=rows, seed=seed, stream="trade faults"
    )
    copied = placed.pop(_COPIED)
    nothing = Spoiled(np.empty(0, np.int64), np.empty(0, np.int64))
    copies, late, kept = Copies.of(seed, placed.pop(DUPLICATE, nothing), copied)
    parts = [
        truth_rows(layout, name, spoiled.positions, TRADE_FAULTS[name].codes, TRADE_FAULTS[name].also)
        for name, spoiled in placed.items()
        if name in TRADE_FAULTS
    ]
    parts.append(truth_rows(layout, DUPLICATE, late, (DUPLICATE,), (), kept))
    out.mkdir(parents=True, exist_ok=True)
    reference = write_reference(out, market)
    written = _write_files(out, _Plan(market, layout, placed, copies), on_rows)
    size = sum(path.stat().st_size for path in written)
    return Generated(written, reference, write_truth(out, parts, truth), rows, size, counts)


def write_reference(out: Path, market: Market) -> Path:
    """Write `ref.csv`: symbol and reference price with four places."""
    path = out / "ref.csv"
    pl.DataFrame({"symbol": market.symbols, "ref_price": csvfile.prices(market.references)}).write_csv(path)
    return path


def blocks(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """[start, stop) cut where multiples of BLOCK_ROWS lie."""
    for low in range(start, stop, BLOCK_ROWS):
        yield low, min(low + BLOCK_ROWS, stop)


def _write_files(out: Path, plan: _Plan, on_rows: Callable[[int], None] | None) -> tuple[Path, ...]:
    written = []
    for name, first, last in zip(plan.layout.names, plan.layout.bounds[:-1], plan.layout.bounds[1:], strict=True):
        with (out / name).open("wb") as file:
            for start, stop in blocks(int(first), int(last)):
                columns, spelled = _block(plan, start, stop)
                csvfile.write_block(file, columns, header=start == first, spelled=spelled)
                if on_rows is not None:
                    on_rows(stop - start)
        written.append(out / name)
    return tuple(written)


def _block(plan: _Plan, start: int, stop: int) -> tuple[dict[str, pl.Series], bool]:
    """Text columns of positions [start, stop), and whether malformed records are marked in them."""
    market = plan.market
    numbers = trade_numbers(market, np.arange(start, stop, dtype=np.int64))
    low, high = np.searchsorted(plan.copies.at, [start, stop])
    if low < high:
        here = plan.copies.at[low:high] - start
        shown = trade_numbers(market, plan.copies.content[low:high])
        shown["received"] += plan.copies.delay[low:high]
        for name, values in shown.items():
            numbers[name][here] = values
    spoiled = window(plan.placed, start, stop)
    spoil_numbers(market, start, numbers, spoiled)
    columns = _texts(market, numbers)
    spoil_texts(columns, spoiled)
    return columns, csvfile.malform(columns, "side", "symbol", spoiled)


_CONDITIONS = ("@", "@ T", "@F I", None)


def _texts(market: Market, numbers: Numbers) -> dict[str, pl.Series]:
    """The columns as the file spells them, in its order."""
    return {
        "ts_event": csvfile.instants(numbers["event"]),
        "ts_recv": pl.Series(numbers["received"]).cast(pl.String),
        "symbol": market.symbols.gather(numbers["symbol"]),
        "venue": csvfile.picked(VENUES, numbers["venue"]),
        "price": csvfile.prices(numbers["price"]),
        "size": pl.Series(numbers["size"]),
        "trade_id": pl.Series(numbers["trade_id"]),
        "sequence": pl.Series(numbers["sequence"]),
        "conditions": csvfile.picked(_CONDITIONS, numbers["conditions"]),
        "side": csvfile.picked(("B", "S"), numbers["side"]),
    }

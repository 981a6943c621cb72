"""How each fault kind spoils a trade: numbers that break a rule, and texts that are no number at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from tapehouse.synthetic import csvfile
from tapehouse.synthetic.faults import Spoiled
from tapehouse.synthetic.market import CLOSE, HOUR, OPEN, SECOND, Market, Numbers
from tapehouse.synthetic.noise import Ints, between


@dataclass(frozen=True, slots=True)
class _Spot:
    """The rows of one kind in one block: where, their serial numbers, a random 1 ns to 3 h, their reference price."""

    market: Market
    numbers: Numbers
    at: Ints
    serials: Ints
    noise: Ints
    reference: Ints

    def turn(self, *choices: Ints | int) -> Ints:
        """One of the choices per row, in turn."""
        table = np.stack([np.broadcast_to(np.asarray(choice, dtype=np.int64), self.at.shape) for choice in choices])
        return table[self.serials % len(choices), np.arange(len(self.at))]


def _received_at_once(spot: _Spot) -> None:
    spot.numbers["received"][spot.at] = spot.numbers["event"][spot.at]


def _hour_late(spot: _Spot) -> None:
    spot.numbers["received"][spot.at] = spot.numbers["event"][spot.at] + HOUR


def _on_band(spot: _Spot) -> None:
    spot.numbers["price"][spot.at] = spot.turn(spot.reference * 12 // 10, spot.reference * 8 // 10)


def _received_before(spot: _Spot) -> None:
    spot.numbers["received"][spot.at] = spot.numbers["event"][spot.at] - spot.turn(
        1, spot.noise % SECOND + 1, spot.noise
    )


def _late(spot: _Spot) -> None:
    spot.numbers["received"][spot.at] = spot.numbers["event"][spot.at] + HOUR + spot.turn(1, spot.noise)


def _out_of_session(spot: _Spot) -> None:
    event = spot.market.midnight + spot.turn(OPEN - 1, CLOSE, OPEN - spot.noise, CLOSE + spot.noise)
    spot.numbers["event"][spot.at] = event
    spot.numbers["received"][spot.at] = event + 1_000


def _off_band(spot: _Spot) -> None:
    high, low = spot.reference * 12 // 10 + 1, spot.reference * 8 // 10 - 1
    spot.numbers["price"][spot.at] = spot.turn(
        high, low, spot.reference * 100, spot.reference // 100, spot.reference * 2
    )


def _non_positive_price(spot: _Spot) -> None:
    spot.numbers["price"][spot.at] = spot.turn(0, -1, -spot.numbers["price"][spot.at])


def _non_positive_size(spot: _Spot) -> None:
    spot.numbers["size"][spot.at] = spot.turn(0, -spot.numbers["size"][spot.at])


_SPOILERS: Mapping[str, Callable[[_Spot], None]] = {
    "=received at once": _received_at_once,
    "=an hour late": _hour_late,
    "=on the band": _on_band,
    "recv_before_event": _received_before,
    "late": _late,
    "out_of_session": _out_of_session,
    "off_band_price": _off_band,
    "non_positive_price": _non_positive_price,
    "non_positive_size": _non_positive_size,
}


def spoil_numbers(market: Market, start: int, numbers: Numbers, spoiled: Mapping[str, Spoiled]) -> None:
    """Break the rules that a well-spelled number can break, and put clean rows on the bounds; `start` is the position
    of the block's first row.
    """
    for name, part in spoiled.items():
        if name in _SPOILERS:
            noise = between(market.seed, name, part.positions + start, 1, 3 * HOUR)
            reference = market.references[numbers["symbol"][part.positions]]
            _SPOILERS[name](_Spot(market, numbers, part.positions, part.serials, noise, reference))


BAD_EVENTS = (
    "garbage",
    "2024-02-30T15:00:00.000000000Z",
    "2024-13-04T15:00:00.000000000Z",
    "2024-03-04T25:00:00.000000000Z",
    "2024-03-04T15:60:00.000000000Z",
    "2024-03-04T15:00:00.000000000",
    "2024-03-04",
    "1709564400000000000",
    "04/03/2024 15:00:00",
    "2024-03-04T15:00:00.0000000000Z",
)
BAD_RECEIPTS = ("0", "-1", "abc", "1709564400.5", "99999999999999999999", "0x17B9A2F0", "2024-03-04T15:00:00Z")
BAD_PRICES = ("12,5", "abc", "1e5", "1.2.3", "--5", "NaN", "$12.50", "12.1234567", "12.5-", "Infinity")
BAD_VENUES = ("XXXX", "xnas", None, "XNAS2", "NYSE", "?")
BAD_SYMBOLS = ("ZZZZZ1", "na", "A B", "#REF!", "0")

SPELLINGS: Mapping[str, tuple[str, tuple[str | None, ...]]] = {
    "bad_ts_event": ("ts_event", BAD_EVENTS),
    "bad_ts_recv": ("ts_recv", BAD_RECEIPTS),
    "bad_price": ("price", BAD_PRICES),
    "unknown_venue": ("venue", BAD_VENUES),
    "unknown_symbol": ("symbol", BAD_SYMBOLS),
    "missing_symbol": ("symbol", (None,)),
}


def spoil_texts(columns: dict[str, pl.Series], spoiled: Mapping[str, Spoiled]) -> None:
    """Replace texts by ones that no grammar or list accepts."""
    for name, part in spoiled.items():
        if name in SPELLINGS:
            column, texts = SPELLINGS[name]
            columns[column] = csvfile.put(columns[column], part.positions, csvfile.picked(texts, part.serials))

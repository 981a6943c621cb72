"""What was seen and what was expected, in words, for bars at fault."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np

from tapehouse.contracts.expr_bars import BarFault
from tapehouse.kernel.adjusted_closes import next_wrong
from tapehouse.kernel.dividends import ExDate, Why
from tapehouse.kernel.price_basis import Bars, Basis, Floats, Ints

_EPOCH = dt.date(1970, 1, 1)
_WORDS = (
    (BarFault.OFF_UNIT, "unit"),
    (BarFault.OFF_SPLIT, "split"),
    (BarFault.DIVIDEND, "dividend"),
    (BarFault.FACTOR, "factor"),
)


class BarReasons:
    """Texts for the bars of one key; a bar with several faults has them joined by semicolons."""

    def __init__(self, bars: Bars, basis: Basis, dates: list[ExDate], error: Floats) -> None:
        self._bars = bars
        self._basis = basis
        self._dates = dates
        self._error = error
        self._spoiler = next_wrong(dates, len(bars.close))
        self._at = {date.row: date for date in dates}
        self._arrived = {date.moved_to: date for date in dates if date.moved_to > 0}

    def observed(self, faults: Ints) -> list[str | None]:
        """Stored values of each bar at fault."""
        return self._texts(faults, "observed")

    def expected(self, faults: Ints) -> list[str | None]:
        """What those values should be, and which split or ex-date says so."""
        return self._texts(faults, "expected")

    def _texts(self, faults: Ints, side: str) -> list[str | None]:
        found: list[str | None] = [None] * len(faults)
        for row in np.flatnonzero(faults):
            parts = []
            for bit, name in _WORDS:
                if faults[row] & bit:
                    write: Callable[[int], str] = getattr(self, f"_{name}_{side}")
                    parts.append(write(int(row)))
            found[row] = "; ".join(parts)
        return found

    def _day(self, row: int) -> str:
        return (_EPOCH + dt.timedelta(days=int(self._bars.day[row]))).isoformat()

    def _close(self, row: int) -> str:
        return f"{self._bars.close[row]:.6g}"

    def _unit_observed(self, row: int) -> str:
        bars = self._bars
        return (
            f"open {bars.open[row]:.6g}, high {bars.high[row]:.6g}, low {bars.low[row]:.6g},"
            f" close {bars.close[row]:.6g}"
        )

    def _unit_expected(self, row: int) -> str:
        if self._basis.factor[row] == 1.0:
            return "prices of one day in one unit"
        return f"close near {self._bars.close[row] / self._basis.factor[row]:.6g}, in the unit of the latest traded bar"

    def _split_observed(self, row: int) -> str:
        return f"close {self._close(row)}"

    def _split_expected(self, row: int) -> str:
        split = int(self._basis.split_row[row])
        right = self._bars.close[row] / self._basis.factor[row]
        return f"close near {right:.6g}, restated for the split of {self._bars.split[split]:.6g} on {self._day(split)}"

    def _dividend_observed(self, row: int) -> str:
        date = self._at.get(row)
        if date is None:
            return "no dividend"
        return (
            f"dividend {self._bars.dividend[row]:.6g}, {date.stated:.2%} of the close before;"
            f" the price moved by {-date.fall:+.2%} and the adjustment took {date.applied:.2%}"
        )

    def _dividend_expected(self, row: int) -> str:
        date = self._at.get(row)
        if date is None or not date.amount_wrong:
            arrived = self._arrived[row]
            return f"dividend {self._bars.dividend[arrived.row]:.6g}, stated for {self._day(arrived.row)}"
        if date.why == Why.MOVED:
            return f"no dividend: the price fell on {self._day(date.moved_to)}"
        if date.why == Why.REPEATED:
            return "no dividend: it repeats that of a few days away"
        return f"dividend near {date.true * self._bars.close[row - 1]:.6g} ({date.true:.2%}): this one is {date.why}"

    def _factor_observed(self, row: int) -> str:
        return f"factor {self._bars.adjusted[row] / self._bars.close[row]:.6f}"

    def _factor_expected(self, row: int) -> str:
        if self._spoiler[row] < 0:
            return "close within the day's low and high: the dividend of the next day was taken off it"
        date = self._dates[int(self._spoiler[row])]
        error = self._error[row] or np.nan  # an adjusted close of zero does not tell what it should be
        right = self._bars.adjusted[row] / self._bars.close[row] / error
        if date.why == Why.MOVED:
            days = f"stated for {self._day(date.row)} was of {self._day(date.moved_to)}"
            return f"factor {right:.6f}: the dividend {days}"
        return (
            f"factor {right:.6f}: the ex-date {self._day(date.row)} should take {date.true:.2%} off the close"
            f" and takes {date.applied:.2%}"
        )

"""What wrong ex-dates do to the adjusted closes of the bars before them."""

from __future__ import annotations

import numpy as np

from tapehouse.kernel.dividends import ExDate
from tapehouse.kernel.price_basis import Bars, Floats, Ints

# Prices kept in single precision differ by less.
CLOSE_BELOW = 1e-6


def factor_error(dates: list[ExDate], count: int) -> Floats:
    """What each bar's adjustment factor is times the right one: the product over the wrong steps after it."""
    ratio = np.ones(count + 1)
    for date in dates:
        if date.step_wrong:
            ratio[date.row] *= (1.0 - date.applied) / (1.0 - date.true)
        elif date.moved_to > 0:
            ratio[date.row] *= 1.0 - date.applied
            ratio[date.moved_to] /= 1.0 - date.true
    return np.asarray(np.cumprod(ratio[::-1])[::-1][1:])


def next_wrong(dates: list[ExDate], count: int) -> Ints:
    """For each bar the index in `dates` of the nearest later ex-date that spoils its factor; -1 where none does."""
    nearest = np.full(count, -1, np.int64)
    for index in reversed(range(len(dates))):
        date = dates[index]
        if date.step_wrong or date.moved_to > 0:
            nearest[: max(date.row, date.moved_to)] = index
    return nearest


def reduced_closes(dates: list[ExDate], bars: Bars) -> Ints:
    """Bars before an ex-date whose close was itself lowered by the dividend: below the day's low, and not once the
    dividend is added back.
    """
    found = []
    for date in dates:
        if date.amount_wrong or bars.dividend[date.row] <= 0:
            continue
        row = date.row - 1
        close, low, high = bars.close[row], bars.low[row], bars.high[row]
        restored = close + bars.dividend[date.row]
        if close < low * (1 - CLOSE_BELOW) and low <= restored <= high * (1 + CLOSE_BELOW) and bars.traded[row]:
            found.append(row)
    return np.array(found, np.int64)

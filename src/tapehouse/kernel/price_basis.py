"""On which basis each bar's prices are stated: which rows are off by a declared split or by a currency's subunit.

A basis is found from its edges. From one bar to the next a price moves by the market's noise; where it moves by the
split's factor instead, the bars on one side are stated in other shares, and where it moves a hundredfold, in other
money. History is always restated to the latest basis, so the bars that are not on it are the wrong ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Daily returns have fat tails; Student's t with four degrees of freedom fits those of single shares well.
FREEDOM = 4.0
# A return beyond this says nothing about a quiet day's noise.
RETURN_MAX = 0.10
NOISE_MIN = 0.005
NOISE_BARS = 60
# Evidence, in units of the logarithm of a likelihood ratio, before a jump counts as a change of basis: 400 to 1.
EDGE_EVIDENCE = 6.0
# Restating goes wrong around the split; a fall by half in another year is a fall by half.
SPLIT_DAYS_BEFORE, SPLIT_DAYS_AFTER = 365, 7
# Splits smaller than this (7 for 6) cannot be told from a bad day.
SPLIT_STEP_MIN = 0.15
# A misprinted open, high or low stands this close to `factor` times the close of its own day.
WITHIN_DAY = 0.45


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one instrument in order of time, every close positive. `day` counts days; amounts are 0 where none."""

    day: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    traded: Bools
    adjusted: Floats
    dividend: Floats
    split: Floats
    gains: Floats


@dataclass(frozen=True, slots=True)
class Basis:
    """`unit` and `split` mark the bars off their basis; `factor` is what divides a close into the latest basis.

    `split_row` is the bar whose split explains it (-1: none). `returns[i]` is the logarithmic return from bar i to bar
    i + 1 after bases are made equal; dividends are not added back.
    """

    unit: Bools
    split: Bools
    factor: Floats
    split_row: Ints
    returns: Floats


def log_likelihood(residual: Floats | float, noise: Floats | float) -> Floats:
    """Logarithm of how likely a return is, up to a constant."""
    scaled = np.asarray(residual) / noise
    return np.asarray(-(FREEDOM + 1) / 2 * np.log1p(scaled**2 / FREEDOM))


def local_noise(returns: Floats) -> Floats:
    """Scale of the returns around each one, itself left out, so that a jump does not hide behind its own size."""
    squares = np.minimum(np.abs(returns), RETURN_MAX) ** 2
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    index = np.arange(len(returns))
    low = np.maximum(index - NOISE_BARS, 0)
    high = np.minimum(index + NOISE_BARS + 1, len(returns))
    mean = (sums[high] - sums[low] - squares) / np.maximum(high - low - 1, 1)
    return np.asarray(np.maximum(np.sqrt(np.maximum(mean, 0.0)), NOISE_MIN))


def price_basis(bars: Bars, unit_factor: float) -> Basis:
    """Find the bars that are off by a split declared in `bars.split`, or by `unit_factor`."""
    raw = np.diff(np.log(bars.close))
    # A dividend that accounts for the fall (a special one often comes with a consolidation) leaves no jump to explain.
    total = np.log((bars.close[1:] + np.maximum(bars.dividend[1:], 0.0)) / bars.close[:-1])
    left = np.where(np.abs(total) < np.abs(raw), total, raw)
    paid = left - raw
    noise = local_noise(left)
    count = len(bars.close)
    off_split, factor, split_row = np.zeros(count, np.bool_), np.ones(count), np.full(count, -1, np.int64)
    for row in np.flatnonzero((bars.split > 0) & (bars.split != 1.0)):
        step = abs(float(np.log(bars.split[row])))
        if step < SPLIT_STEP_MIN:
            continue
        since = bars.day[1:] - bars.day[row]
        edges = np.where((since >= -SPLIT_DAYS_BEFORE) & (since <= SPLIT_DAYS_AFTER), _edges(left, step, noise), 0)
        offset = _offset(edges, bars.traded)
        off_split |= offset != 0
        split_row[offset != 0] = row
        factor *= np.exp(offset * step)
        left = left - edges * step
    step = float(np.log(unit_factor))
    edges = _edges(left, step, noise)
    offset = _offset(edges, bars.traded)
    off_unit = (offset != 0) | _within_day(bars, step)
    returns = left - edges * step - paid
    return Basis(off_unit, off_split, factor * np.exp(offset * step), split_row, returns)


def _edges(returns: Floats, step: float, noise: Floats) -> Ints:
    """+1 where the price jumps up by `step` (a logarithm), -1 down, 0 where the market explains the return as well."""
    market = log_likelihood(returns, noise)
    found = np.zeros(len(returns), np.int64)
    for sign in (1, -1):
        residual = returns - sign * step
        evidence = log_likelihood(residual, noise) - market
        found[(evidence > EDGE_EVIDENCE) & (np.abs(residual) < 0.4 * step)] = sign
    return found


def _offset(edges: Ints, traded: Bools) -> Ints:
    """Each bar's basis less the right one.

    The right basis is that of the latest bar that really traded: a quote carried forward proves nothing. A series that
    keeps switching has no latest basis to speak of, so there the one of most traded bars is taken.
    """
    level = np.concatenate([[0], np.cumsum(edges)]).astype(np.int64)
    proof = level[traded] if traded.any() else level
    right = int(proof[-1])
    if np.count_nonzero(edges) > 2:
        values, counts = np.unique(proof, return_counts=True)
        usual = values[counts == counts.max()]
        right = right if right in usual else int(usual[0])
    return level - right


def _within_day(bars: Bars, step: float) -> Bools:
    off = np.zeros(len(bars.close), np.bool_)
    for column in (bars.open, bars.high, bars.low):
        known = column > 0.0
        ratio = np.log(np.where(known, column, bars.close) / bars.close)
        off |= np.abs(np.abs(ratio) - step) < WITHIN_DAY
    return off

"""Which dividends are wrong, and which prices were adjusted for a wrong one.

An adjusted close is the close times a factor that is constant between ex-dates; across an ex-date the factor before is
the factor after times (1 - dividend / previous close). So the file states every dividend twice, as an amount and as a
step of the factor, and the market states it a third time: on the ex-date the price should fall by about that much.
Each ex-date is judged by asking which size of the dividend makes the three agree at the least cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from tapehouse.kernel.price_basis import Bars, Floats, local_noise, log_likelihood


class Why(StrEnum):
    """What is wrong with a dividend, in the words of a report."""

    FINE = "as stated"
    TOO_BIG = "100 times too big"
    TOO_SMALL = "100 times too small"
    SPLIT = "not on the basis of a later split"
    UNLIKE = "unlike its adjustment"
    REPEATED = "repeated"
    MOVED = "on the wrong date"
    GAINS = "with capital gains beside it"
    NONE = "no dividend"


@dataclass(slots=True)
class ExDate:
    """One ex-date. `stated` and `applied` are shares of the previous close: the dividend as an amount and as the step
    of the factor; `gains` likewise. `fall` is the price's own fall. `true` is the verdict, with `why`. `lean` is the
    evidence that the amount is right and not the step, where the two are apart by the unit factor; 0 elsewhere.
    """

    row: int
    stated: float
    applied: float
    gains: float
    fall: float
    noise: float
    seen: bool
    true: float = 0.0
    why: Why = Why.FINE
    amount_wrong: bool = False
    step_wrong: bool = False
    moved_to: int = -1
    lean: float = 0.0


# Costs are logarithms of likelihood ratios. One field in 150 wrong without any other sign of it.
FAULT = 5.0
# With capital gains beside the dividend, vendors count them inside it or apart: both are common.
CONVENTION = 1.0
# Single dividends are mostly between 0.3 % and 5 % of the price.
USUAL_SHARE, USUAL_SPREAD = 0.012, 1.5
SHARE_MAX = 0.95
# Dividends of one payer resemble each other within a factor of about two; one that does not costs at most 3.
LIKENESS, UNLIKE_COST = 0.8, 3.0
# No single ex-date persuades the others by more than this.
LEAN_MAX = 3.0
# Nor do all of them together persuade one by more than this: a crash on its ex-date, yes; a proof, no.
COMPANY_MAX = 10.0
REPEAT_DAYS = 7.0
# Payers with a rhythm this much slower than the gap do not pay twice within it.
RHYTHM = 3.0
MOVED_BARS = 15
SHOWN = 3.0
SPLIT_MIN = 0.15
FACTOR_NOISE_MIN = 3e-5


def ex_dates(bars: Bars, returns: Floats, *, unit_factor: float, material: float) -> list[ExDate]:
    """All ex-dates of `bars` after the first bar, judged. `returns` come from the price basis.

    `material` is the share of the price below which a step of the factor that is not one of the known mistakes is let
    pass: fees, rounded amounts and exchange rates make small differences in sound files.
    """
    blur = factor_noise(bars)
    dates = _find(bars, returns, max(blur, material))
    _repeated(dates, bars, unit_factor)
    judged = [date for date in dates if date.why != Why.REPEATED]
    known: dict[int, float] = {}
    for _ in range(2):  # the second time, each is also compared with the verdicts on its neighbours
        leans = sum(date.lean for date in judged)
        for date in judged:
            others = [share for row, share in known.items() if row != date.row and share > 0]
            _settle(date, _candidates(date, bars, unit_factor, blur), others, blur, leans - date.lean)
        known = {date.row: date.true for date in judged}
        for date in judged:
            date.lean = _lean(date, unit_factor, blur)
    for date in dates:
        _pardon(date, unit_factor, blur, material)
    _moved(dates, bars, returns, blur)
    return dates


def factor_noise(bars: Bars) -> float:
    """Error of a factor's step that comes from rounded prices, measured where there is no ex-date."""
    factor = np.abs(bars.adjusted / bars.close)
    usable = (factor[:-1] > 0) & (factor[1:] > 0) & (bars.dividend[1:] == 0) & (bars.gains[1:] == 0)
    if not usable.any():
        return FACTOR_NOISE_MIN
    return max(FACTOR_NOISE_MIN, 6.0 * float(np.median(np.abs(np.log(factor[1:][usable] / factor[:-1][usable])))))


def near(value: float, target: float, blur: float, share: float = 0.1) -> bool:
    """Whether two shares of the price are equal but for rounding and for the rate of a currency."""
    return abs(value - target) <= share * abs(target) + blur


def _find(bars: Bars, returns: Floats, step_min: float) -> list[ExDate]:
    factor = bars.adjusted / bars.close
    noise = local_noise(returns)
    dates: list[ExDate] = []
    for row in range(1, len(bars.close)):
        applied = 1.0 - factor[row - 1] / factor[row] if factor[row] else 0.0
        if bars.dividend[row] == 0 and bars.gains[row] == 0 and abs(applied) <= step_min:
            continue
        before = bars.close[row - 1]
        dates.append(
            ExDate(
                row=row,
                stated=float(bars.dividend[row] / before),
                applied=float(applied),
                gains=float(bars.gains[row] / before),
                fall=float(1.0 - np.exp(returns[row - 1])),
                noise=float(noise[row - 1]),
                seen=bool(bars.traded[row] or bars.close[row] != before),
            )
        )
    return dates


def _shows(fall: float, share: float, noise: float) -> float:
    """Evidence in the price for a dividend of `share` against none; negative speaks against it."""
    return float(log_likelihood(fall - share, noise) - log_likelihood(fall, noise))


def _repeated(dates: list[ExDate], bars: Bars, unit_factor: float) -> None:
    """Mark the less visible of two dividends of one amount (or one in another unit) within a few days."""
    paid = [date for date in dates if date.stated > 0]
    gaps = [float(bars.day[after.row] - bars.day[before.row]) for before, after in pairwise(paid)]
    for index, (before, after) in enumerate(pairwise(paid)):
        others = gaps[:index] + gaps[index + 1 :]
        rhythmic = len(others) > 1 and float(np.median(others)) < RHYTHM * max(gaps[index], 1.0)
        if gaps[index] > REPEAT_DAYS or rhythmic or before.why == Why.REPEATED:
            continue
        ratio = abs(float(np.log(bars.dividend[before.row] / bars.dividend[after.row])))
        if abs(ratio - np.log(unit_factor)) < 0.01:
            doubtful = before if before.stated > after.stated else after
        elif ratio < 0.01:
            visible = [_shows(date.fall, date.stated, date.noise) for date in (before, after)]
            if min(visible) > SHOWN:
                continue  # the price fell twice: two payments
            doubtful = before if visible[0] < visible[1] else after
        else:
            continue
        doubtful.why, doubtful.true, doubtful.amount_wrong, doubtful.step_wrong = Why.REPEATED, 0.0, True, True


def _candidates(date: ExDate, bars: Bars, unit_factor: float, blur: float) -> list[tuple[float, Why]]:
    if date.stated == 0 and date.gains == 0:
        return [(0.0, Why.NONE)]
    found = [(date.stated, Why.FINE)]
    found += [(date.stated / unit_factor, Why.TOO_BIG), (date.stated * unit_factor, Why.TOO_SMALL)]
    if date.gains > 0:
        found.append((date.stated + date.gains, Why.GAINS))
    splits = bars.split[date.row :]
    later = float(np.prod(splits[splits > 0]))
    if abs(np.log(later)) > SPLIT_MIN:
        found += [(date.stated * later, Why.SPLIT), (date.stated / later, Why.SPLIT)]
    if 0 < date.applied < SHARE_MAX and not any(near(date.applied, share, blur) for share, _ in found):
        found.append((date.applied, Why.UNLIKE))
    return found


def _lean(date: ExDate, unit_factor: float, blur: float) -> float:
    """A sender who mixes up units does so for one reason, so what one ex-date shows holds for the others as well."""
    if not any(near(date.applied, date.stated * factor, blur) for factor in (unit_factor, 1.0 / unit_factor)):
        return 0.0
    score = [_usual(share) + (_fit(date, share) if date.seen else 0.0) for share in (date.stated, date.applied)]
    return float(np.clip(score[0] - score[1], -LEAN_MAX, LEAN_MAX)) if np.isfinite(score).any() else 0.0


def _fit(date: ExDate, share: float) -> float:
    return float(log_likelihood(date.fall - share, date.noise))


def _settle(
    date: ExDate, candidates: list[tuple[float, Why]], others: list[float], blur: float, company: float
) -> None:
    """Take the candidate of least cost. `company` is the lean of the ex-dates whose step is apart in the same way."""
    company = float(np.clip(company, -COMPANY_MAX, COMPANY_MAX)) if date.lean else 0.0
    best = -np.inf
    if candidates[0][1] == Why.NONE:
        date.true, date.why, date.amount_wrong, date.step_wrong = 0.0, Why.NONE, False, True
        return
    # Stands where no candidate is possible at all: a dividend of a hundred times the price is none.
    date.true, date.why, date.amount_wrong = 0.0, Why.UNLIKE, True
    date.step_wrong = not near(date.applied, 0.0, blur)
    for share, why in candidates:
        amount_wrong = why not in (Why.FINE, Why.GAINS, Why.NONE)
        step_wrong = not near(date.applied, share, blur)
        score = _usual(share) + _likeness(share, others) - _cost(date, amount_wrong, step_wrong, blur)
        if date.seen:
            score += _fit(date, share)
        if why == Why.FINE:
            score += company
        if score > best:
            best = score
            date.true, date.why, date.amount_wrong, date.step_wrong = share, why, amount_wrong, step_wrong


def _usual(share: float) -> float:
    if not 0 < share < SHARE_MAX:
        return -np.inf
    return float(-(np.log(share / USUAL_SHARE) ** 2) / (2 * USUAL_SPREAD**2))


def _likeness(share: float, others: list[float]) -> float:
    if not others or share <= 0:
        return 0.0
    alike = np.exp(-(np.log(share / np.array(others)) ** 2) / (2 * LIKENESS**2))
    return float(np.log(alike.mean() + np.exp(-UNLIKE_COST)))


def _cost(date: ExDate, amount_wrong: bool, step_wrong: bool, blur: float) -> float:
    if amount_wrong and step_wrong and near(date.applied, date.stated, blur):
        return FAULT  # the vendor adjusted by the wrong amount: one mistake, not two
    if date.gains > 0 and not amount_wrong and step_wrong:
        usual = any(near(date.applied, share, blur) for share in (date.stated, date.stated + date.gains))
        return CONVENTION if usual else FAULT
    return FAULT * (amount_wrong + step_wrong)


def _pardon(date: ExDate, unit_factor: float, blur: float, material: float) -> None:
    """Let pass a step that is off by less than what matters, unless it is off in a way that only a mistake is."""
    if not date.step_wrong:
        return
    off = abs(date.applied - date.true)
    known = (
        date.why in (Why.REPEATED, Why.GAINS)
        or date.gains > 0
        or abs(date.applied) <= 0.05 * date.true
        or near(date.applied, date.true * unit_factor, blur)
        or near(date.applied, date.true / unit_factor, blur, 0.2)
    )
    if off <= blur or (not known and off <= material):
        date.step_wrong = False


def _moved(dates: list[ExDate], bars: Bars, returns: Floats, blur: float) -> None:
    """Find ex-dates without a fall whose fall comes days later."""
    taken = {date.row for date in dates}
    for date in dates:
        stated = date.why in (Why.FINE, Why.TOO_BIG) and near(date.applied, date.stated, blur)
        if not (stated and date.seen) or _shows(date.fall, date.stated, date.noise) > -SHOWN:
            continue
        best, row = SHOWN, -1
        for later in range(date.row + 1, min(len(bars.close), date.row + 1 + MOVED_BARS)):
            if later in taken:
                break
            shown = _shows(float(1.0 - np.exp(returns[later - 1])), date.stated, date.noise)
            if shown > best:
                best, row = shown, later
        share = float(bars.dividend[date.row] / bars.close[row - 1])
        if row > 0 and share < SHARE_MAX:
            date.moved_to, date.why, date.true = row, Why.MOVED, share
            date.amount_wrong, date.step_wrong = True, False

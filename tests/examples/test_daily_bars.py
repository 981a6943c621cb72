"""Corporate-action faults put into sound histories: the bars that became wrong are refused, and no others."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from .bars import DAYS, PAID, START, history
from .support import example, judge_text

FIRST, SECOND, THIRD, LAST = PAID
ALL_CODES = ("price_unit", "split_not_adjusted", "dividend_wrong", "adjusted_close_wrong")


@pytest.mark.parametrize("seed", range(12))
def test_sound_history_is_clean(seed: int) -> None:
    assert history(seed).judged().counts == {}


@pytest.mark.parametrize("seed", range(6))
def test_tiny_and_special_dividends_are_no_faults(seed: int) -> None:
    bars = history(seed)
    bars.dividend[200] = bars.close[199] * 0.0004  # the fee for coming to the meeting
    fall = 0.3  # a special dividend, with the fall it causes
    bars.dividend[300] = bars.close[299] * fall
    bars.close[300:] *= 1 - fall
    bars.dividend[301:] *= 1 - fall
    bars.adjust()
    assert bars.rows() == []


@pytest.mark.parametrize("backwards", [False, True])
def test_order_of_the_file_does_not_matter(backwards: bool) -> None:
    bars = history()
    bars.adjust({THIRD: 0.0})
    assert bars.rows(backwards=backwards) == list(range(THIRD))


def test_missing_adjustment_spoils_all_earlier_bars() -> None:
    bars = history()
    bars.adjust({SECOND: 0.0})
    assert bars.rows("adjusted_close_wrong") == list(range(SECOND))
    assert bars.rows("dividend_wrong") == []


def test_adjustment_by_a_hundredth() -> None:
    bars = history()
    bars.adjust({row: bars.dividend[row] / 100 for row in PAID})
    assert bars.rows() == list(range(LAST))


def test_amount_in_pence_with_the_right_adjustment() -> None:
    bars = history()
    bars.dividend[list(PAID)] *= 100
    assert bars.rows() == list(PAID)


def test_a_crash_on_one_ex_date_does_not_outweigh_the_other_ex_dates() -> None:
    bars = history(share=0.001)
    bars.close[THIRD:] *= 0.91  # as if the stated 10 % were true
    bars.dividend[THIRD + 1 :] *= 0.91
    bars.adjust()
    bars.dividend[list(PAID)] *= 100
    assert bars.rows() == list(PAID)


def test_amount_and_adjustment_a_hundred_times_too_big() -> None:
    bars = history(share=0.004)
    bars.dividend[THIRD] *= 100
    bars.adjust()
    assert bars.rows("dividend_wrong") == [THIRD]
    assert bars.rows("adjusted_close_wrong") == list(range(THIRD))


def test_amount_above_the_price_makes_prices_negative() -> None:
    bars = history()
    bars.dividend[FIRST] *= 100
    bars.adjust()
    assert bars.adjusted[0] < 0
    assert bars.rows() == list(range(FIRST + 1))


def test_amount_and_adjustment_a_hundred_times_too_small() -> None:
    bars = history()
    bars.dividend[SECOND] /= 100
    bars.adjust()
    assert bars.rows() == list(range(SECOND + 1))


@pytest.mark.parametrize("away", [-5, -1, 1, 4])
def test_repeated_dividend(away: int) -> None:
    bars = history(noise=0.004)
    bars.dividend[THIRD + away] = bars.dividend[THIRD]
    bars.adjust()
    assert bars.rows("dividend_wrong") == [THIRD + away]
    assert bars.rows("adjusted_close_wrong") == list(range(THIRD + away))


def test_weekly_payer_repeats_nothing() -> None:
    bars = history(paid=tuple(range(7, DAYS, 7)), share=0.003)
    bars.dividend[bars.dividend > 0] = 0.15
    bars.adjust()
    assert bars.rows("dividend_wrong") == []


def test_wrong_ex_date_names_both_days() -> None:
    bars = history(share=0.08, noise=0.008)
    early = SECOND - 4
    bars.dividend[early], bars.dividend[SECOND] = bars.dividend[SECOND], 0.0
    bars.adjust()
    assert bars.rows("dividend_wrong") == [early, SECOND]
    assert set(range(early, SECOND)) <= set(bars.rows("adjusted_close_wrong"))


def test_capital_gains_counted_twice() -> None:
    bars = history(share=0.07, paid=(SECOND, LAST))
    for row in (SECOND, LAST):
        bars.gains[row] = bars.dividend[row] * 0.85
    assert bars.rows() == []
    bars.adjust({row: bars.dividend[row] + bars.gains[row] for row in (SECOND, LAST)})
    assert bars.rows() == list(range(LAST))


def test_dividend_on_a_day_without_prices() -> None:
    bars = history()
    bars.dividend[SECOND - 1], bars.dividend[SECOND] = bars.dividend[SECOND], 0.0
    for column in (bars.close, bars.volume, bars.adjusted):
        column[SECOND - 1] = np.nan
    assert bars.rows() == []


def test_currency_unit_of_a_block() -> None:
    bars = history()
    for column in (bars.close, bars.adjusted):
        column[100:140] /= 100
    bars.dividend[100:140] /= 100
    assert bars.rows("price_unit") == list(range(100, 140))
    assert bars.rows("split_not_adjusted") == []


def test_unit_that_changed_for_good_makes_the_older_bars_wrong() -> None:
    bars = history(paid=())
    for column in (bars.close, bars.adjusted):
        column[:300] /= 100
    assert bars.rows("price_unit") == list(range(300))


def test_quotes_carried_forward_do_not_set_the_unit() -> None:
    bars = history(paid=())
    for column in (bars.close, bars.adjusted):
        column[380:] /= 100
    bars.volume[380:] = 0
    assert bars.rows("price_unit") == list(range(380, DAYS))


@pytest.mark.parametrize("column", ["open", "high", "low"])
def test_unit_of_one_field(column: str) -> None:
    bars = history()
    bars.scale[column] = np.ones(DAYS)
    bars.scale[column][77] = 100 if column != "low" else 0.01
    assert 77 in bars.rows("price_unit")
    assert bars.rows("price_unit") == [77]


@pytest.mark.parametrize("factor", [5.0, 2.0, 0.1])
@pytest.mark.parametrize("before", [0, 1, 6])
def test_history_not_restated_for_a_split(factor: float, before: int) -> None:
    bars = history(paid=())
    bars.split[250] = factor
    for column in (bars.close, bars.adjusted):
        column[: 250 - before] *= factor
    assert bars.rows("split_not_adjusted") == list(range(250 - before))


@pytest.mark.parametrize("factor", [3.0, 0.47, 0.0001])
def test_days_restated_twice(factor: float) -> None:
    bars = history(paid=())
    bars.split[250] = factor
    for column in (bars.close, bars.adjusted):
        column[246:248] /= factor
    assert bars.rows() == [246, 247]


def test_split_of_a_restated_history_is_no_fault() -> None:
    bars = history()
    bars.split[200] = 4.0
    assert bars.rows() == []


def test_fall_by_half_long_before_a_split_is_the_market() -> None:
    bars = history(paid=())
    for column in (bars.close, bars.adjusted):
        column[20:] *= 0.5
    bars.split[398] = 2.0  # more than a year later
    assert bars.rows() == []
    bars.split[398], bars.split[23] = 0.0, 2.0  # days later it is the history that was not restated
    assert bars.rows() == list(range(20))


def test_close_lowered_by_the_next_days_dividend() -> None:
    bars = history(share=0.03)
    before = SECOND - 1
    for name in ("open", "high", "low"):  # the day's other prices stand, its close lost the dividend
        bars.scale[name] = np.ones(DAYS)
        bars.scale[name][before] = bars.close[before] / (bars.close[before] - bars.dividend[SECOND])
    bars.close[before] -= bars.dividend[SECOND]
    bars.adjust()
    assert bars.rows() == [before]


def test_small_differences_pass_and_larger_ones_do_not() -> None:
    bars = history()
    bars.adjust({SECOND: bars.dividend[SECOND] * 0.85})  # withholding tax: 0.3 % of the price
    assert bars.rows() == []
    bars.adjust({SECOND: bars.dividend[SECOND] * 0.5})  # 1 % of the price
    assert bars.rows() != []


def test_one_batch_of_several_shares() -> None:
    sound, bad = history(1), history(2)
    bad.adjust({SECOND: 0.0})
    contract = example("daily-bars")
    frame = pl.concat(
        [sound.frame().with_columns(symbol=pl.lit("sound")), bad.frame().with_columns(symbol=pl.lit("bad"))]
    )
    found = judge_text(contract, frame.sample(fraction=1.0, shuffle=True, seed=3), "bars/both.csv")
    rejected = found.frame.filter((pl.col("_broken") & found.judge.reject_mask) != 0)
    assert rejected["symbol"].unique().to_list() == ["bad"]
    assert rejected.height == SECOND


def test_reason_tells_the_ex_date_and_both_shares() -> None:
    bars = history()
    bars.adjust({SECOND: 0.0})
    found = bars.judged()
    reason = found.judge.reasons(found.frame.head(1)).to_list()[0][0]
    assert reason["code"] == "adjusted_close_wrong"
    assert str(START + SECOND) in reason["bound"]
    assert "2.00%" in reason["bound"]
    assert "0.00%" in reason["bound"]


def test_every_rule_is_declared_once() -> None:
    codes = [rule.code for rule in history().judged().contract.rules]
    assert [code for code in codes if code in ALL_CODES] == list(ALL_CODES)

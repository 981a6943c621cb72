"""Corporate-action faults of daily bars: evaluates `BarFault` over a whole batch.

Splits and the currency's unit are settled first (`price_basis`), because they decide what a fall of the price is; then
dividends (`dividends`). Bars may arrive in any order of time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from tapehouse.contracts.expr import Col
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.kernel.adjusted_closes import factor_error, reduced_closes
from tapehouse.kernel.bar_reasons import BarReasons
from tapehouse.kernel.dividends import ExDate, ex_dates
from tapehouse.kernel.price_basis import Bars, Floats, price_basis

_NS_PER_DAY = 86_400_000_000_000
# An adjusted close that is off by less than this is right: files keep prices as single-precision numbers.
FACTOR_ERROR_MAX = 1e-4
# Beyond these a number is no price and no amount, and its ratios would leave floating point.
PRICE_MIN, AMOUNT_MAX = 1e-9, 1e21
# No share was ever split into, or consolidated from, more than a million.
SPLIT_DIGITS_MAX = 6.0
_ROW = "_row_of_batch"


@dataclass(frozen=True, slots=True)
class Findings:
    """Verdict on the bars of one key, position by position: bits of faults, and what was seen and expected."""

    faults: npt.NDArray[np.int64]
    observed: list[str | None]
    expected: list[str | None]


def bar_faults(frame: pl.DataFrame, node: BarFault) -> pl.Series:
    """Values of `node` for each row of `frame`, which is one whole batch.

    `answer` "faults" gives Int64, never null; the others give String.
    """
    # Ratios of absurd amounts overflow to infinity, which is near nothing: as good an answer as any.
    with np.errstate(all="ignore"):
        found = [(rows[_ROW].to_numpy(), _judge(rows, node)) for rows in _per_key(_usable(frame, node), node.by)]
    if node.answer == "faults":
        bits = np.zeros(frame.height, np.int64)
        for at, findings in found:
            bits[at] = findings.faults
        return pl.Series(bits)
    texts: list[str | None] = [None] * frame.height
    for at, findings in found:
        for row, text in zip(at.tolist(), getattr(findings, node.answer), strict=True):
            texts[row] = text
    return pl.Series(texts, dtype=pl.String)


def _usable(frame: pl.DataFrame, node: BarFault) -> pl.DataFrame:
    """Inputs as doubles in order of key and time, without bars that have no price.

    What happened on a bar without a price (a holiday the vendor filled in) is moved to the next bar that has one.
    """
    names = ("open", "high", "low", "close", "adjusted", "dividend", "split", "gains")
    columns = [_double(getattr(node, name), scale).alias(name) for name, scale in zip(names, node.scales, strict=True)]
    day = pl.col(node.at.name)
    if frame.schema[node.at.name] == pl.Date:
        day = day.cast(pl.Int64) * _NS_PER_DAY
    work = (
        frame.select(*(pl.col(name).alias(f"_by{index}") for index, name in enumerate(node.by)), day.alias("at"),
                     _double(node.volume, 0).alias("volume"), *columns)
        .with_row_index(_ROW)
        .filter(pl.col("at").is_not_null())
        .sort(*(f"_by{index}" for index in range(len(node.by))), "at", _ROW)
    )  # fmt: skip
    keys = [f"_by{index}" for index in range(len(node.by))]
    priced = pl.col("close") >= PRICE_MIN
    carried = [_carried(name, priced, keys) for name in ("dividend", "gains")]
    return work.with_columns(*carried).filter(priced.fill_null(False))


def _double(column: Col | None, scale: int) -> pl.Expr:
    if column is None:
        return pl.lit(None, dtype=pl.Float64)
    value = pl.col(column.name).cast(pl.Float64)
    return pl.when(value.is_finite() & (value.abs() < AMOUNT_MAX)).then(value / 10.0**scale if scale else value)


def _carried(name: str, priced: pl.Expr, keys: list[str]) -> pl.Expr:
    """Sum of `name` over this bar and the bars without a price just before it."""
    sums = pl.col(name).fill_null(0.0).cum_sum()
    before = pl.when(priced).then(sums).forward_fill().shift(1).fill_null(0.0)
    paid = pl.when(priced).then(sums - before).otherwise(0.0)
    return (paid.over(keys) if keys else paid).round(9).alias(name)


def _per_key(work: pl.DataFrame, by: tuple[str, ...]) -> list[pl.DataFrame]:
    if not by or work.is_empty():
        return [work] if work.height else []
    return work.partition_by([f"_by{index}" for index in range(len(by))], maintain_order=True)


def _judge(rows: pl.DataFrame, node: BarFault) -> Findings:
    bars = _bars(rows, node)
    basis = price_basis(bars, node.unit_factor)
    faults = basis.unit * BarFault.OFF_UNIT + basis.split * BarFault.OFF_SPLIT
    dates: list[ExDate] = []
    if node.adjusted is not None and node.dividend is not None:
        dates = ex_dates(bars, basis.returns, unit_factor=node.unit_factor, material=node.material)
    error = factor_error(dates, rows.height)
    for date in dates:
        if date.amount_wrong:
            faults[[date.row, *([date.moved_to] if date.moved_to > 0 else [])]] |= BarFault.DIVIDEND
    faults[np.abs(error - 1.0) > FACTOR_ERROR_MAX] |= BarFault.FACTOR
    faults[reduced_closes(dates, bars)] |= BarFault.FACTOR
    if node.answer == "faults":
        return Findings(faults, [], [])
    reasons = BarReasons(bars, basis, dates, error)
    return Findings(faults, reasons.observed(faults), reasons.expected(faults))


def _bars(rows: pl.DataFrame, node: BarFault) -> Bars:
    def known(name: str, absent: float) -> Floats:
        return rows[name].fill_null(absent).fill_nan(absent).to_numpy().astype(np.float64)

    close, split = known("close", 0.0), known("split", 0.0)
    return Bars(
        # Midnight in the exchange's zone lies within half a day of midnight UTC of the same date.
        day=np.round(known("at", 0.0) / _NS_PER_DAY),
        open=known("open", 0.0),
        high=known("high", 0.0),
        low=known("low", 0.0),
        close=close,
        traded=known("volume", 0.0) > 0 if node.volume is not None else np.ones(len(close), np.bool_),
        adjusted=_adjusted(rows),
        dividend=known("dividend", 0.0),
        split=np.where(np.abs(np.log10(np.maximum(split, 1e-300))) < SPLIT_DIGITS_MAX, split, 0.0),
        gains=known("gains", 0.0),
    )


def _adjusted(rows: pl.DataFrame) -> Floats:
    """Adjusted closes; where one is not stated, the factor of the bar before stands."""
    factor = (pl.col("adjusted") / pl.col("close")).fill_nan(None)
    filled = factor.forward_fill().backward_fill().fill_null(1.0) * pl.col("close")
    return rows.select(filled).to_series().to_numpy().astype(np.float64)

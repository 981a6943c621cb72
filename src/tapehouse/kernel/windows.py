"""Windows per key in arrival order, with the state that lets a batch be judged slice by slice.

An ordered window (previous, carried, running maximum) needs of all earlier rows one value per key: the latest non-null
operand, or the largest. `WindowState` keeps it, so any slicing of a batch gives the same values. Batch windows (next,
rolling, seen before) need the whole batch in one frame and keep nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from tapehouse.contracts import expr as ast
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.errors import FeedError
from tapehouse.kernel.adjustments import bar_faults

_VALUE, _SEED = "_value", "_seed"
# Each distinct venue of a consolidated best costs a column; more than this is a wrong column, not a market.
ACROSS_MAX = 256

Fill = Literal["previous", "carried", "maximum"]
_FILLS: dict[type[ast.Expr], Fill] = {
    ast.Previous: "previous",
    ast.Carried: "carried",
    ast.RunningMax: "maximum",
}


@dataclass(slots=True)
class WindowState:
    """What one ordered window remembers between slices: key columns and `_seed`; `parts` hold one state per venue."""

    seeds: pl.DataFrame | None = None
    parts: dict[object, WindowState] = field(default_factory=dict)


def ordered(node: ast.Expr, frame: pl.DataFrame, operand: pl.Expr, state: WindowState) -> pl.Series:
    """Values of an ordered window over `frame`; advances `state` past its last row."""
    if isinstance(node, ast.CarriedBest):
        return _carried_best(node, frame, operand, state)
    by: tuple[str, ...] = getattr(node, "by", ())
    return _filled(_FILLS[type(node)], by, frame, operand, state)


def _filled(fill: Fill, by: tuple[str, ...], frame: pl.DataFrame, operand: pl.Expr, state: WindowState) -> pl.Series:
    work = frame.select(*by, operand.alias(_VALUE))
    if work.is_empty():
        return work[_VALUE]
    if all(_is_constant(work[name]) for name in by):
        return _filled_one_key(fill, by, work, state)
    if state.seeds is None:
        work = work.with_columns(pl.lit(None, dtype=work.schema[_VALUE]).alias(_SEED))
    else:
        work = work.join(state.seeds, on=by, how="left", nulls_equal=True, maintain_order="left")
    state.seeds = _advance(fill, by, work, state.seeds)
    filled = _fill(fill).over(by)
    if fill == "maximum":
        return work.select(pl.max_horizontal(filled, _SEED)).to_series()
    return work.select(pl.coalesce(filled, _SEED)).to_series()


def _fill(fill: Fill) -> pl.Expr:
    value = pl.col(_VALUE)
    if fill == "maximum":
        return value.cum_max().forward_fill()
    return value.forward_fill() if fill == "carried" else value.forward_fill().shift(1)


def _last(fill: Fill) -> pl.Expr:
    return pl.col(_VALUE).max() if fill == "maximum" else pl.col(_VALUE).drop_nulls().last()


def _is_constant(series: pl.Series) -> bool:
    """Whether all values are one: then grouping, many times the cost of this test, is not needed."""
    return bool(series.eq_missing(series[0]).all()) if len(series) else True


def _filled_one_key(fill: Fill, by: tuple[str, ...], work: pl.DataFrame, state: WindowState) -> pl.Series:
    seed = _seed_of(by, work, state.seeds)
    state.seeds = _advance_one_key(fill, by, work, state.seeds)
    filled = work.select(_fill(fill)).to_series()
    if seed is None:
        return filled
    constant = pl.lit(seed, dtype=work.schema[_VALUE])
    if fill == "maximum":
        return pl.select(pl.max_horizontal(filled, constant)).to_series()
    return filled.to_frame().select(pl.all().fill_null(constant)).to_series()


def _seed_of(by: tuple[str, ...], work: pl.DataFrame, seeds: pl.DataFrame | None) -> object:
    if seeds is None:
        return None
    found = work.head(1).select(by).join(seeds, on=by, how="inner", nulls_equal=True) if by else seeds
    return found[_SEED][0] if found.height else None


def _advance_one_key(
    fill: Fill, by: tuple[str, ...], work: pl.DataFrame, seeds: pl.DataFrame | None
) -> pl.DataFrame | None:
    latest = work.select(*(pl.col(name).first() for name in by), _last(fill).alias(_SEED))
    return _merge(fill, by, latest, seeds)


def _advance(fill: Fill, by: tuple[str, ...], work: pl.DataFrame, seeds: pl.DataFrame | None) -> pl.DataFrame | None:
    return _merge(fill, by, work.group_by(by, maintain_order=True).agg(_last(fill).alias(_SEED)), seeds)


def _merge(fill: Fill, by: tuple[str, ...], latest: pl.DataFrame, seeds: pl.DataFrame | None) -> pl.DataFrame | None:
    latest = latest.filter(pl.col(_SEED).is_not_null())
    if seeds is None:
        return latest if latest.height else None
    both = pl.concat([seeds, latest])
    best = pl.col(_SEED).max() if fill == "maximum" else pl.col(_SEED).last()
    return both.group_by(by, maintain_order=True).agg(best) if by else both.select(best)


def _carried_best(node: ast.CarriedBest, frame: pl.DataFrame, operand: pl.Expr, state: WindowState) -> pl.Series:
    met = frame.select(pl.col(node.across).unique(maintain_order=True)).to_series().drop_nulls().to_list()
    for value in met:
        state.parts.setdefault(value, WindowState())
    if len(state.parts) > ACROSS_MAX:
        raise FeedError(
            f"column {node.across!r} holds more than {ACROSS_MAX} distinct values in one batch",
            fix="name the venue column in the rule's `venue` parameter",
        )
    if not state.parts:
        return frame.select(pl.when(False).then(operand)).to_series()
    carried = [
        _filled("carried", node.by, frame, pl.when(pl.col(node.across) == value).then(operand), part).alias(str(index))
        for index, (value, part) in enumerate(state.parts.items())
    ]
    best = pl.max_horizontal if node.side == "max" else pl.min_horizontal
    return pl.DataFrame(carried).select(best(pl.all())).to_series()


def whole_batch(node: ast.Expr, frame: pl.DataFrame, operand: pl.Expr | None) -> pl.Series:
    """Values of a batch window; `frame` is the whole batch in arrival order."""
    if isinstance(node, BarFault):
        return bar_faults(frame, node)
    if isinstance(node, ast.SeenBefore):
        return frame.select(pl.struct(node.by).is_first_distinct().not_()).to_series()
    by: tuple[str, ...] = getattr(node, "by", ())
    if operand is None:
        raise TypeError(f"{type(node).__name__} has no operand")
    work = frame.select(*by, operand.alias(_VALUE))
    value = pl.col(_VALUE)
    window = value.backward_fill().shift(-1)
    if not isinstance(node, ast.Next):
        window = _rolling(node, value, of_doubles=work.schema[_VALUE] == pl.Float64)
    return work.select(window.over(by) if by else window).to_series()


def _rolling(node: ast.Expr, value: pl.Expr, *, of_doubles: bool) -> pl.Expr:
    if not isinstance(node, ast.Rolling):
        raise TypeError(f"{type(node).__name__} is not a batch window")
    doubled, wide = value.cast(pl.Float64), value.cast(pl.Float64 if of_doubles else pl.Int128)
    methods: dict[str, Callable[..., pl.Expr]] = {
        "median": doubled.rolling_median,
        "mean": doubled.rolling_mean,
        "sum": wide.rolling_sum,
        "min": value.rolling_min,
        "max": value.rolling_max,
    }
    return methods[node.statistic](window_size=node.rows, min_samples=1, center=True)

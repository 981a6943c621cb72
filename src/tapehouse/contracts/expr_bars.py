"""The rule language's node for daily bars: corporate actions tie rows together in ways no single window can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tapehouse.contracts.expr import Col, Expr, Scope


@dataclass(frozen=True, slots=True)
class BarFault(Expr):
    """Corporate-action faults of daily bars, found per `by` key over all bars of the batch in order of time.

    `faults` is an integer of bits: `OFF_UNIT` (a price is `unit_factor` times off), `OFF_SPLIT` (prices are not on the
    basis of a declared split), `DIVIDEND` (the dividend of this ex-date is wrong), `FACTOR` (the adjusted close rests
    on a wrong or missing dividend). `observed` and `expected` say the same in words, null on sound bars.

    `scales` are the decimals of open, high, low, close, adjusted, dividend, split and gains, in this order; a bar
    whose close is null or not positive is never at fault. `material` is the share of the price that an adjustment may
    be off by before it counts.
    """

    at: Col
    open: Col
    high: Col
    low: Col
    close: Col
    volume: Col | None
    adjusted: Col | None
    dividend: Col | None
    split: Col | None
    gains: Col | None
    by: tuple[str, ...]
    scales: tuple[int, ...]
    unit_factor: float
    material: float
    answer: Literal["faults", "observed", "expected"]

    OFF_UNIT: ClassVar[int] = 1
    OFF_SPLIT: ClassVar[int] = 2
    DIVIDEND: ClassVar[int] = 4
    FACTOR: ClassVar[int] = 8

    @property
    def own_scope(self) -> Scope:
        return Scope.BATCH

"""Rules on a whole batch: control totals, freshness, and row counts and volumes against the history of batches.

Pure: the clock and the history are arguments. A rule that has nothing to compare with (no history yet, no trailer)
yields a finding that is not broken and says so; it is never silently skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Any

from tapehouse.contracts.model import BatchRule, Column, Contract, Kind, Role, Severity
from tapehouse.contracts.rules.params import duration_ns, exact

_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """What is known of one batch once it is read. `sums` are canonical (scaled) per measure; `last_event_ns` is the
    latest readable event time, None if there was none; `stated` holds totals the batch states about itself, by the
    feed's names and as written.
    """

    rows: int
    sums: Mapping[str, int | float] = field(default_factory=dict)
    last_event_ns: int | None = None
    stated: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchFinding:
    """Judgement of one batch rule. `judged` is False where there was nothing to compare with (then not broken)."""

    code: str
    severity: Severity
    broken: bool
    observed: str
    bound: str
    judged: bool = True


@dataclass(frozen=True, slots=True)
class _Case:
    rule: BatchRule
    contract: Contract
    totals: BatchTotals
    history: Sequence[BatchTotals]
    landed_ns: int


def judge_batch(
    contract: Contract, totals: BatchTotals, history: Sequence[BatchTotals], landed_ns: int
) -> list[BatchFinding]:
    """One finding per batch rule of `contract`, in its order.

    `history` holds earlier published batches, oldest first; `landed_ns` is when the batch landed (UTC nanoseconds).
    """
    judges: dict[str, Callable[[_Case], BatchFinding]] = {
        "row_count_anomaly": _row_count,
        "volume_anomaly": _volume,
        "freshness": _freshness,
        "control_total": _control_total,
    }
    return [judges[rule.kind](_Case(rule, contract, totals, history, landed_ns)) for rule in contract.batch_rules]


def _finding(case: _Case, broken: bool, observed: str, bound: str, *, judged: bool = True) -> BatchFinding:
    return BatchFinding(case.rule.code, case.rule.severity, broken, observed, bound, judged)


def _row_count(case: _Case) -> BatchFinding:
    return _against_history(case, case.totals.rows, [batch.rows for batch in case.history], str)


def _volume(case: _Case) -> BatchFinding:
    name = case.rule.params.get("column") or _default_volume(case.contract)
    column = case.contract.column(name)
    past = [batch.sums[name] for batch in case.history if name in batch.sums]
    return _against_history(case, case.totals.sums.get(name, 0), past, lambda value: _written(value, column))


def _default_volume(contract: Contract) -> str:
    column = contract.role(Role.SIZE) or contract.role(Role.VOLUME)
    if column is None:
        raise KeyError("volume_anomaly needs a column")
    return column.name


def _against_history(
    case: _Case, value: float, past: Sequence[int | float], written: Callable[[Any], str]
) -> BatchFinding:
    """Against the median, which one odd batch in the history does not move."""
    params = case.rule.params
    recent = past[-int(params.get("window", 20)) :]
    needed = int(params.get("minHistory", 5))
    if len(recent) < needed:
        return _finding(
            case, False, written(value), f"not judged: {len(recent)} of {needed} batches of history", judged=False
        )
    usual = median(recent)
    low, high = usual * params.get("low", 0.5), usual * params.get("high", 2.0)
    bound = f"between {written(low)} and {written(high)} (median {written(usual)} of {len(recent)} batches)"
    return _finding(case, not low <= value <= high, written(value), bound)


def _freshness(case: _Case) -> BatchFinding:
    limit = duration_ns(case.rule.params["max"], "max")
    bound = f"latest event at most {case.rule.params['max']} before landing"
    if case.totals.last_event_ns is None:
        return _finding(case, True, "no event time", bound)
    age = case.landed_ns - case.totals.last_event_ns
    return _finding(case, age > limit, f"{_seconds(age)}s", bound)


def _control_total(case: _Case) -> BatchFinding:
    """All stated totals together: one finding that lists what differs."""
    params, totals = case.rule.params, case.totals
    wanted: list[tuple[str, Column | None, Any]] = []
    if "rows" in params:
        wanted.append(("rows", None, params["rows"]))
    if "rowsFrom" in params:
        wanted.append(("rows", None, totals.stated.get(params["rowsFrom"])))
    wanted += [(name, case.contract.column(name), value) for name, value in params.get("sums", {}).items()]
    wanted += [
        (name, case.contract.column(name), totals.stated.get(source))
        for name, source in params.get("sumsFrom", {}).items()
    ]
    seen: list[str] = []
    stated: list[str] = []
    differs = False
    for name, column, value in wanted:
        actual = totals.rows if column is None else totals.sums.get(name, 0)
        differs |= value is None or not _equal(actual, value, column)
        seen.append(f"{name}={actual if column is None else _written(actual, column)}")
        stated.append(f"{name}={'not stated in the batch' if value is None else value}")
    return _finding(case, differs, ", ".join(seen), ", ".join(stated))


def _equal(actual: float, stated: Any, column: Column | None) -> bool:
    """Exactly, at the column's scale; sums of doubles to 12 digits, as their last digits depend on the order."""
    try:
        if column is not None and column.kind == Kind.DOUBLE:
            return abs(actual - float(stated)) <= 1e-12 * max(abs(actual), abs(float(stated)))
        return actual == exact(stated, column.scale if column is not None and column.kind == Kind.DECIMAL else 0)
    except (ValueError, ArithmeticError):
        return False


def _written(value: float, column: Column) -> str:
    if column.kind == Kind.DECIMAL:
        return f"{Decimal(value).scaleb(-column.scale):.{column.scale}f}"
    return f"{value:g}" if isinstance(value, float) and not value.is_integer() else str(int(value))


def _seconds(duration: int) -> str:
    return f"{Decimal(duration) / _NS_PER_SECOND:f}"

"""Rules on a whole batch: against its own control totals, the clock of the run, or the history of earlier batches.

They have no expression per row; `kernel.batch_rules` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse.contracts.model import Column, Role
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleParameterError, RuleScope

_HISTORY: dict[str, Any] = {
    "low": {"type": "number", "minimum": 0, "default": 0.5},
    "high": {"type": "number", "exclusiveMinimum": 1, "default": 2.0},
    "window": {"type": "integer", "minimum": 1, "default": 20},
    "minHistory": {"type": "integer", "minimum": 1, "default": 5},
}
_ON_BATCH = Built(None)


def _check_band(params: Mapping[str, Any]) -> None:
    low = params.get("low", 0.5)
    if low >= 1:
        raise RuleParameterError("low", f"{low} would refuse a usual batch", allowed="a multiple of the median below 1")
    if params.get("minHistory", 5) > params.get("window", 20):
        raise RuleParameterError("minHistory", "is longer than `window`: the rule would never be judged")


def _row_count(_: RuleScope, __: Column | None, params: Mapping[str, Any]) -> Built:
    _check_band(params)
    return _ON_BATCH


def _volume(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    _check_band(params)
    column = p.the_column(scope, declared, params, Role.SIZE, Role.VOLUME)
    p.require_kind(column, *p.NUMERIC)
    if not column.measure:
        raise RuleParameterError("column", f"{column.name!r} is not summed: give it `tapehouse.measure: true`")
    return _ON_BATCH


def _freshness(_: RuleScope, __: Column | None, params: Mapping[str, Any]) -> Built:
    p.duration_ns(params["max"], "max")
    return _ON_BATCH


def _control_total(scope: RuleScope, _: Column | None, params: Mapping[str, Any]) -> Built:
    if not {"rows", "sums", "rowsFrom", "sumsFrom"} & set(params):
        raise RuleParameterError("rows", "nothing to check: give `rows`, `sums`, `rowsFrom` or `sumsFrom`")
    for parameter in ("sums", "sumsFrom"):
        for name, value in params.get(parameter, {}).items():
            column = p.named_column(scope, parameter, name)
            p.require_kind(column, *p.NUMERIC)
            if not column.measure:
                raise RuleParameterError(parameter, f"{name!r} is not summed: give it `tapehouse.measure: true`")
            if parameter == "sums":
                p.literal(column, value, parameter)
    return _ON_BATCH


KINDS = (
    RuleKind(
        "row_count_anomaly",
        "The batch has about as many rows as the median of the batches before it",
        p.schema(**_HISTORY),
        _row_count,
        "{rule: row_count_anomaly, low: 0.5, high: 2.0, window: 20}",
    ),
    RuleKind(
        "volume_anomaly",
        "The batch's sum of a measure is about the median of the batches before it",
        p.schema(column=p.NAME, **_HISTORY),
        _volume,
        "{rule: volume_anomaly, column: size, low: 0.2, high: 5}",
    ),
    RuleKind(
        "freshness",
        "The batch's latest event is recent when it lands",
        p.schema(("max",), max=p.DURATION),
        _freshness,
        "{rule: freshness, max: 1d}",
    ),
    RuleKind(
        "control_total",
        "Rows and sums equal stated totals, fixed or found in the batch (a trailer) under the given names",
        p.schema(
            rows={"type": "integer", "minimum": 0},
            sums={"type": "object", "additionalProperties": p.NUMBER},
            rowsFrom=p.NAME,
            sumsFrom={"type": "object", "additionalProperties": p.NAME},
        ),
        _control_total,
        "{rule: control_total, rowsFrom: record_count, sumsFrom: {amount: total_amount}}",
    ),
)

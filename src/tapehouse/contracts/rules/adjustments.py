"""Rules on corporate actions in daily bars: the unit of prices, splits, dividends and the adjusted close.

All four read one `BarFault` node, so declaring them together costs no more than declaring one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse.contracts.expr import Col, Expr, HasBits
from tapehouse.contracts.expr_bars import BarFault
from tapehouse.contracts.model import Column, Kind, Role
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleParameterError, RuleScope

UNIT_FACTOR = 100.0
MATERIAL = "0.5%"

# Inputs in the order of `BarFault.scales`: key of the parameter, role, and the column name taken by default.
_INPUTS: tuple[tuple[str, Role | None, str], ...] = (
    ("open", Role.OPEN, "open"),
    ("high", Role.HIGH, "high"),
    ("low", Role.LOW, "low"),
    ("close", Role.CLOSE, "close"),
    ("adjusted", None, "adj_close"),
    ("dividend", None, "dividend"),
    ("split", None, "split"),
    ("gains", None, "capital_gain"),
)
_PRICES = ("open", "high", "low", "close")


def _input(scope: RuleScope, params: Mapping[str, Any], key: str, role: Role | None, name: str) -> Column | None:
    if key in params:
        column: Column | None = p.named_column(scope, key, params[key])
    else:
        column = (scope.role(role) if role is not None else None) or scope.columns.get(name)
    if column is not None and column.kind not in p.NUMERIC:
        raise RuleParameterError(key, f"column {column.name!r} is a {column.kind}", allowed=", ".join(p.NUMERIC))
    return column


def _inputs(scope: RuleScope, params: Mapping[str, Any], needed: tuple[str, ...]) -> dict[str, Column | None]:
    found = {key: _input(scope, params, key, role, name) for key, role, name in _INPUTS}
    for key, role, name in _INPUTS:
        if key in needed and found[key] is None:
            hint = f"give a column the role {role.value!r}" if role is not None else f"call a column {name!r}"
            raise RuleParameterError(key, f"`{key}` is needed here: name a column, or {hint}")
    found["volume"] = _input(scope, params, "volume", Role.VOLUME, "volume")
    return found


def _node(scope: RuleScope, params: Mapping[str, Any], columns: Mapping[str, Column | None], answer: Any) -> BarFault:
    def col(key: str) -> Col | None:
        column = columns[key]
        return Col(column.name) if column is not None else None

    def price(key: str) -> Col:
        column = columns[key]
        if column is None:
            raise RuleParameterError(key, f"`{key}` is needed here")
        return Col(column.name)

    at = p.the_column(scope, None, params, Role.EVENT_TIME, parameter="at")
    if at.kind not in (Kind.TIMESTAMP, Kind.DATE):
        raise RuleParameterError("at", f"column {at.name!r} is a {at.kind}", allowed="timestamp, date")
    volume = columns["volume"]
    if volume is not None and volume.kind == Kind.DECIMAL and volume.scale:
        volume = None
    read = [columns[key] for key, _, _ in _INPUTS]
    return BarFault(
        at=Col(at.name),
        open=price("open"),
        high=price("high"),
        low=price("low"),
        close=price("close"),
        volume=col("volume"),
        adjusted=col("adjusted"),
        dividend=col("dividend"),
        split=col("split"),
        gains=col("gains"),
        by=p.keys(scope, params, Role.SYMBOL),
        scales=tuple(column.scale if column is not None and column.kind == Kind.DECIMAL else 0 for column in read),
        unit_factor=float(params.get("unitFactor", UNIT_FACTOR)),
        material=float(p.share(params.get("material", MATERIAL), "material")),
        answer=answer,
    )


def _built(scope: RuleScope, params: Mapping[str, Any], fault: int, needed: tuple[str, ...]) -> Built:
    columns = _inputs(scope, params, (*_PRICES, *needed))
    broken: Expr = HasBits(_node(scope, params, columns, "faults"), fault)
    return Built(broken, _node(scope, params, columns, "observed"), _node(scope, params, columns, "expected"))


def _price_unit(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    return _built(scope, params, BarFault.OFF_UNIT, ())


def _split_adjusted(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    return _built(scope, params, BarFault.OFF_SPLIT, ("split",))


def _dividend_amount(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    return _built(scope, params, BarFault.DIVIDEND, ("adjusted", "dividend"))


def _dividend_adjusted(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    return _built(scope, params, BarFault.FACTOR, ("adjusted", "dividend"))


_SCHEMA = p.schema(
    at=p.NAME,
    by=p.NAMES,
    volume=p.NAME,
    unitFactor={"type": "number", "exclusiveMinimum": 10, "default": UNIT_FACTOR},
    material={**p.SHARE, "default": MATERIAL},
    open=p.NAME,
    high=p.NAME,
    low=p.NAME,
    close=p.NAME,
    adjusted=p.NAME,
    dividend=p.NAME,
    split=p.NAME,
    gains=p.NAME,
)

KINDS = (
    RuleKind(
        "price_unit",
        "Prices are in the unit of the latest traded bar, not a hundredfold or a hundredth of it",
        _SCHEMA,
        _price_unit,
        "{rule: price_unit, unitFactor: 100}",
    ),
    RuleKind(
        "split_adjusted",
        "Prices before a declared split are restated for it, once",
        _SCHEMA,
        _split_adjusted,
        "{rule: split_adjusted, split: stock_splits}",
    ),
    RuleKind(
        "dividend_amount",
        "A dividend agrees with the price's fall on its ex-date, with its neighbours and with the adjusted close",
        _SCHEMA,
        _dividend_amount,
        "{rule: dividend_amount, dividend: dividends, adjusted: adj_close}",
    ),
    RuleKind(
        "dividend_adjusted",
        "The adjusted close is the close adjusted for the later dividends, each once and by the right amount",
        _SCHEMA,
        _dividend_adjusted,
        "{rule: dividend_adjusted, dividend: dividends, adjusted: adj_close, material: 0.5%}",
    ),
)

"""Rules on a price against its tick, a reference, its predecessor or its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Column, Kind, Role
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleParameterError, RuleScope


def _scale(column: Column) -> int:
    return column.scale if column.kind == Kind.DECIMAL else 0


def _from_reference(scope: RuleScope, params: Mapping[str, Any]) -> tuple[ast.Expr, Kind, int]:
    spec = params["reference"]
    table = p.table_named(scope, spec["table"], "reference.table")
    node = p.lookup(scope, table, spec["column"], spec.get("by"), "reference.column")
    kind, scale = p.reference_scale(scope, table, spec["column"])
    if kind not in p.NUMERIC:
        raise RuleParameterError("reference.column", f"{spec['column']!r} is a {kind}, not a number")
    return node, kind, scale


def _tick_size(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params, Role.PRICE)
    p.require_price(column)
    p.require_kind(column, Kind.DECIMAL, Kind.INTEGER)
    if ("tick" in params) == ("reference" in params):
        raise RuleParameterError("tick", "give either `tick` or `reference`")
    price: ast.Expr = ast.Col(column.name)
    if "tick" in params:
        tick: ast.Expr = p.literal(column, params["tick"], "tick")
        if tick.value <= 0:  # type: ignore[attr-defined]
            raise RuleParameterError("tick", f"{params['tick']} is not a tick size", allowed="a number above 0")
        left, bound = price, tick
    else:
        bound, kind, scale = _from_reference(scope, params)
        if kind == Kind.DOUBLE:
            raise RuleParameterError("reference.column", "a tick size must be exact: give it a decimal type")
        target = max(scale, _scale(column))
        left, tick = p.rescaled(price, _scale(column), target), p.rescaled(bound, scale, target)
    broken: ast.Expr = ast.Compare("!=", ast.Arith("%", left, tick), ast.Lit(0))
    if "atLeast" in params:
        floor = p.literal(column, params["atLeast"], "atLeast")
        broken = ast.All((ast.Compare(">=", price, floor), broken))
    return Built(
        broken,
        price,
        ast.Text((ast.Lit("a multiple of "), bound)) if "tick" not in params else f"a multiple of {params['tick']}",
    )


def _price_band(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params, Role.PRICE)
    p.require_price(column)
    allowed = p.share(params["max"], "max")
    price: ast.Expr = ast.Col(column.name)
    if "reference" in params:
        if params.get("previous", False):
            raise RuleParameterError("previous", "give either `reference` or `previous`")
        anchor, kind, scale = _from_reference(scope, params)
        label = " of the reference price "
    else:
        skip = p.condition(scope, params, "ignoreWhen")
        sound = ast.IfElse(ast.Compare(">", price, p.literal(column, 0, "max")), price, ast.Null())
        anchor = ast.Previous(p.unless(skip, sound), p.keys(scope, params, Role.SYMBOL))
        kind, scale, label = column.kind, _scale(column), " of the previous price "
    if Kind.DOUBLE in (kind, column.kind):
        # One of the two is only known to 15 digits, so both are taken as written.
        left: ast.Expr = ast.ToDouble(price)
        right: ast.Expr = ast.ToDouble(anchor)
    else:
        target = max(scale, _scale(column))
        left, right = p.rescaled(price, _scale(column), target), p.rescaled(anchor, scale, target)
    away = ast.Arith("*", ast.Abs(ast.Arith("-", left, right)), ast.Lit(allowed.denominator))
    broken = ast.Compare(">", away, ast.Arith("*", ast.Abs(right), ast.Lit(allowed.numerator)))
    return Built(broken, price, ast.Text((ast.Lit(f"within {params['max']}{label}"), anchor)))


def _unit_jump(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params, Role.CLOSE, Role.PRICE)
    p.require_kind(column, *p.NUMERIC)
    rows: int = params.get("rows", 21)
    if rows % 2 == 0:
        raise RuleParameterError("rows", f"{rows} rows have no middle", allowed="an odd number")
    factor, spread = float(params.get("factor", 100)), float(params.get("spread", 2))
    if not 1 < spread < factor:
        raise RuleParameterError(
            "spread", f"{spread} does not tell a jump from no jump", allowed=f"between 1 and {factor}"
        )
    against = params.get("against", "median")
    written = ast.ToDouble(ast.Col(column.name))
    value = ast.IfElse(ast.Compare(">", written, ast.Lit(0.0)), written, ast.Null())
    usual = ast.Rolling(against, value, rows, p.keys(scope, params, Role.SYMBOL))
    ratio = ast.Arith("/", value, usual)
    above = _between(ratio, factor / spread, factor * spread)
    below = _between(ratio, 1 / (factor * spread), spread / factor)
    broken = {"median": ast.AnyOf((above, below)), "max": below, "min": above}[against]
    bound = ast.Text((ast.Lit(f"not {params.get('factor', 100)} times off the {against} of {rows} rows, "), usual))
    return Built(broken, ast.Col(column.name), bound)


def _between(value: ast.Expr, low: float, high: float) -> ast.Expr:
    return ast.All((ast.Compare(">=", value, ast.Lit(low)), ast.Compare("<=", value, ast.Lit(high))))


KINDS = (
    RuleKind(
        "tick_size",
        "The price is a multiple of the tick, which is fixed or from a reference table",
        p.schema(column=p.NAME, tick=p.NUMBER, reference=p.REFERENCE, atLeast=p.NUMBER),
        _tick_size,
        '{rule: tick_size, tick: "0.01", atLeast: "1.00"}',
    ),
    RuleKind(
        "price_band",
        "The price is near a reference price, or near the previous positive price of the same key",
        p.schema(
            ("max",),
            column=p.NAME,
            max=p.SHARE,
            reference=p.REFERENCE,
            previous={"type": "boolean", "default": False},
            by=p.NAMES,
            ignoreWhen=p.NAME,
        ),
        _price_band,
        '{rule: price_band, reference: {table: symbols, column: ref_price}, max: "20%"}',
    ),
    RuleKind(
        "unit_jump",
        "The value is not about 100 times off its neighbours, as when a currency's minor unit is taken for the major",
        p.schema(
            column=p.NAME,
            by=p.NAMES,
            rows={"type": "integer", "minimum": 3, "default": 21},
            factor={"type": "number", "exclusiveMinimum": 1, "default": 100},
            spread={"type": "number", "exclusiveMinimum": 1, "default": 2},
            against={"enum": ["median", "max", "min"], "default": "median"},
        ),
        _unit_jump,
        "{rule: unit_jump, factor: 100, rows: 21}",
    ),
)

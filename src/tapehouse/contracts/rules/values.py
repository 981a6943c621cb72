"""Rules on a value alone: range, set, pattern; and on the four prices of a bar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Column, Kind, Role
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleParameterError, RuleScope

# What other dialects know and the engine's (RE2-like, linear time) does not.
_UNSUPPORTED = re.compile(r"\(\?[=!]|\(\?<[=!]|\\[1-9]|\(\?P=|\(\?>|\(\?\(")


def _range(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params)
    p.require_ordered(column)
    broken: list[ast.Expr] = []
    bounds: list[ast.Expr] = []
    for end, inside, outside in (("min", ">", "<"), ("max", "<", ">")):
        if end not in params:
            continue
        limit = p.literal(column, params[end], end)
        exclusive = bool(params.get(f"{end}Exclusive", False))
        operator = f"{outside}=" if exclusive else outside
        broken.append(ast.Compare(operator, ast.Col(column.name), limit))  # type: ignore[arg-type]
        sign = inside if exclusive else f"{inside}="
        bounds.append(ast.Lit(f"{' and ' if bounds else ''}{sign} {params[end]}"))
    if not broken:
        raise RuleParameterError("min", "a range needs `min`, `max` or both")
    if "min" in params and "max" in params:
        low, high = (p.literal(column, params[end], end).value for end in ("min", "max"))
        if low > high:  # type: ignore[operator]
            raise RuleParameterError("min", f"no value is at least {params['min']} and at most {params['max']}")
    return Built(
        broken[0] if len(broken) == 1 else ast.AnyOf(tuple(broken)), ast.Col(column.name), ast.Text(tuple(bounds))
    )


def _set(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params)
    values = tuple(p.literal(column, value, "values").value for value in params["values"])
    outside: ast.Expr = ast.Not(ast.InSet(ast.Col(column.name), values))
    if not params.get("allowNull", True):
        absent = ast.All((ast.IsNull(ast.Col(column.name)), ast.Not(ast.ParseFailed(column.name))))
        outside = ast.AnyOf((absent, outside))
    shown = ", ".join(str(value) for value in params["values"][:20])
    more = f" and {len(values) - 20} more" if len(values) > 20 else ""
    return Built(outside, ast.Col(column.name), f"one of {shown}{more}")


def _regex(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params)
    p.require_kind(column, Kind.STRING)
    pattern: str = params["pattern"]
    unsupported = _UNSUPPORTED.search(pattern)
    if unsupported:
        raise RuleParameterError(
            "pattern",
            f"{unsupported[0]!r} is not supported",
            allowed="patterns without look-around and back-references",
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise RuleParameterError("pattern", f"{pattern!r} is not a regular expression: {error}") from error
    return Built(ast.Not(ast.Matches(ast.Col(column.name), pattern)), ast.Col(column.name), f"matching {pattern}")


def _ohlc(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    opened, high, low, close = (
        p.the_column(scope, declared, params, role, parameter=role.value)
        for role in (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE)
    )
    for column in (opened, high, low, close):
        p.require_price(column)
    pairs = [(low, opened), (low, close), (low, high), (opened, high), (close, high)]
    broken = ast.AnyOf(tuple(ast.Compare(">", *p.aligned(lower, upper)) for lower, upper in pairs))
    parts: list[ast.Expr] = []
    for column in (opened, high, low, close):
        parts += [ast.Lit(f"{', ' if parts else ''}{column.name}="), ast.Col(column.name)]
    return Built(broken, ast.Text(tuple(parts)), "low <= open, close <= high")


KINDS = (
    RuleKind(
        "range",
        "The value lies between two bounds",
        p.schema(
            column=p.NAME,
            min=p.NUMBER,
            max=p.NUMBER,
            minExclusive={"type": "boolean", "default": False},
            maxExclusive={"type": "boolean", "default": False},
        ),
        _range,
        "{rule: range, min: 0, minExclusive: true}",
    ),
    RuleKind(
        "set",
        "The value is one of a list",
        p.schema(
            ("values",),
            column=p.NAME,
            values={"type": "array", "minItems": 1},
            allowNull={"type": "boolean", "default": True},
        ),
        _set,
        "{rule: set, values: [XNAS, XNYS, ARCX]}",
    ),
    RuleKind(
        "regex",
        "The whole text matches a pattern",
        p.schema(("pattern",), column=p.NAME, pattern=p.NAME),
        _regex,
        "{rule: regex, pattern: '[A-Z]{1,5}'}",
    ),
    RuleKind(
        "ohlc",
        "The bar's low is not above its open and close, and these are not above its high",
        p.schema(open=p.NAME, high=p.NAME, low=p.NAME, close=p.NAME),
        _ohlc,
        "{rule: ohlc}",
    ),
)

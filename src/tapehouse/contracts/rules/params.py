"""Parameters of rules to exact values: columns, literals scaled to their column, durations, shares."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Column, Kind, ReferenceTable, Role
from tapehouse.contracts.rules.base import RuleParameterError, RuleScope
from tapehouse.contracts.units import Unit

NUMERIC = (Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE)
_ORDERED = (*NUMERIC, Kind.TIMESTAMP, Kind.DATE)
_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h|d)")

# Fragments of JSON Schema that several kinds share.
NAME = {"type": "string", "minLength": 1}
NAMES = {"type": "array", "items": NAME}
NUMBER = {"type": ["number", "string"]}
DURATION = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ns|us|ms|s|m|h|d)$"}
SHARE = {"oneOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}, {"type": "number", "exclusiveMinimum": 0}]}
REFERENCE = {
    "type": "object",
    "properties": {"table": NAME, "column": NAME, "by": NAMES},
    "required": ["table", "column"],
    "additionalProperties": False,
}


def schema(required: Sequence[str] = (), **properties: object) -> dict[str, Any]:
    """JSON Schema of an `implementation` with these keys and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def guess(wanted: str, names: Iterable[str]) -> str:
    """A question naming the most similar of `names`; empty if none is near."""
    near = difflib.get_close_matches(wanted, list(names), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def named_column(scope: RuleScope, parameter: str, name: str) -> Column:
    """The contract's column `name`."""
    if name not in scope.columns:
        raise RuleParameterError(
            parameter,
            f"the contract has no column {name!r}",
            allowed=", ".join(scope.columns),
            guess=guess(name, scope.columns),
        )
    return scope.columns[name]


def the_column(
    scope: RuleScope, declared: Column | None, params: Mapping[str, Any], *roles: Role, parameter: str = "column"
) -> Column:
    """The column a rule is about: the parameter's, else the one it is declared on, else the first with a role."""
    if parameter in params:
        return named_column(scope, parameter, params[parameter])
    if declared is not None and parameter == "column":
        return declared
    found = next((column for role in roles if (column := scope.role(role))), None)
    if found is None:
        hint = f", or give a column the role {roles[0].value!r}" if roles else ""
        raise RuleParameterError(parameter, f"`{parameter}` is needed here: name a column{hint}")
    return found


def keys(scope: RuleScope, params: Mapping[str, Any], *default: Role, parameter: str = "by") -> tuple[str, ...]:
    """Columns a window runs over; by default those that have the given roles."""
    if parameter in params:
        return tuple(named_column(scope, parameter, name).name for name in params[parameter])
    return tuple(column.name for role in default if (column := scope.role(role)))


def require_kind(column: Column, *kinds: Kind) -> None:
    """Refuse a column of another kind."""
    if column.kind not in kinds:
        allowed = ", ".join(kinds)
        raise RuleParameterError("column", f"column {column.name!r} is of type {column.kind}", allowed=allowed)


def require_ordered(column: Column) -> None:
    """Refuse a column whose values have no order or distance."""
    require_kind(column, *_ORDERED)


def require_price(column: Column) -> None:
    """Refuse a column that measures something other than a price."""
    require_kind(column, *NUMERIC)
    if column.unit not in (Unit.PRICE, Unit.NONE, Unit.ANY):
        raise RuleParameterError(
            "column",
            f"column {column.name!r} holds a {column.unit}, not a price",
            allowed="columns with `tapehouse.unit: price`",
        )


def literal(column: Column, value: Any, parameter: str) -> ast.Lit:
    """`value` in the column's canonical form; refused where that would round it."""
    try:
        return ast.Lit(_canonical(column, value), column.unit)
    except (ValueError, InvalidOperation) as error:
        scale = f" with at most {column.scale} decimals" if column.kind == Kind.DECIMAL else ""
        raise RuleParameterError(
            parameter, f"{value!r} is not a value of column {column.name!r}", allowed=f"a {column.kind}{scale}"
        ) from error


def _canonical(column: Column, value: Any) -> ast.Scalar:
    if column.kind == Kind.STRING:
        if not isinstance(value, str):
            raise ValueError("text must be quoted")
        return value
    if column.kind == Kind.BOOLEAN:
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value
    if isinstance(value, bool):
        raise ValueError("a truth value is not a number")
    if column.kind == Kind.DATE:
        return dt.date.fromisoformat(str(value)).isoformat()
    if column.kind == Kind.TIMESTAMP:
        return value if isinstance(value, int) else _instant(str(value))
    if column.kind == Kind.DOUBLE:
        return float(value)
    return exact(value, column.scale if column.kind == Kind.DECIMAL else 0)


def exact(value: Any, scale: int) -> int:
    """`value` x 10^scale; ValueError where that is not an integer. A YAML float counts as it is written."""
    scaled = Decimal(str(value)).scaleb(scale)
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError("too many decimals")
    return int(scaled)


def _instant(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def duration_ns(text: Any, parameter: str) -> int:
    """Nanoseconds of `250ms`, `1.5h`, `2d`; units ns, us, ms, s, m, h, d."""
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise RuleParameterError(parameter, f"{text!r} is not a duration", allowed="such as 250ms, 30s, 5m, 1h, 2d")
    return int(Decimal(match[1]) * _NS[match[2]])


def share(value: Any, parameter: str) -> Fraction:
    """`20%` or 0.2 as an exact fraction."""
    text = str(value).strip()
    try:
        fraction = Fraction(text.removesuffix("%").strip())
    except (ValueError, ZeroDivisionError) as error:
        raise RuleParameterError(parameter, f"{value!r} is not a share", allowed="such as 20% or 0.2") from error
    result = fraction / 100 if text.endswith("%") else fraction
    if result <= 0:
        raise RuleParameterError(parameter, f"{value!r} leaves no room", allowed="a share above 0")
    return result


def condition(scope: RuleScope, params: Mapping[str, Any], parameter: str) -> ast.Expr | None:
    """The expression given as text, false where it is null; None if the parameter is absent."""
    if parameter not in params:
        return None
    return ast.Coalesce((parsed(scope, params[parameter], parameter), ast.Lit(False)))


def parsed(scope: RuleScope, text: str, parameter: str, *, condition: bool = True) -> ast.Expr:
    """The expression tree of `text`: a condition, or a value of any kind."""
    from tapehouse.contracts.expr_lex import ExpressionError
    from tapehouse.contracts.expr_parse import parse_expression

    try:
        return parse_expression(text, scope, condition=condition)
    except ExpressionError as error:
        where = f"{error.message}, at character {error.offset + 1} of {text!r}"
        raise RuleParameterError(parameter, where, allowed=error.allowed, guess=error.guess) from error


def unless(skip: ast.Expr | None, value: ast.Expr) -> ast.Expr:
    """`value`, or nothing where `skip` holds."""
    return value if skip is None else ast.IfElse(skip, ast.Null(), value)


# ---- reference tables --------------------------------------------------------------------------------------------


def table_named(scope: RuleScope, name: str, parameter: str) -> ReferenceTable:
    """The contract's reference table `name`."""
    if name not in scope.references:
        raise RuleParameterError(
            parameter,
            f"the contract has no reference table {name!r}",
            allowed=", ".join(scope.references) or "tables declared in tapehouse.references",
            guess=guess(name, scope.references),
        )
    return scope.references[name]


def lookup(
    scope: RuleScope, table: ReferenceTable, column: str, by: Sequence[str] | None, parameter: str
) -> ast.Lookup:
    """A lookup by the contract columns `by`, by default those named like the table's keys or playing the symbol."""
    if column not in table.columns and column not in table.keys:
        raise RuleParameterError(
            parameter,
            f"reference table {table.name!r} has no column {column!r}",
            allowed=", ".join([*table.keys, *table.columns]),
            guess=guess(column, table.columns),
        )
    columns = tuple(by) if by is not None else tuple(_key_column(scope, key, table, parameter) for key in table.keys)
    if len(columns) != len(table.keys):
        raise RuleParameterError(parameter, f"table {table.name!r} has the keys {', '.join(table.keys)}: name as many")
    for name in columns:
        named_column(scope, parameter, name)
    return ast.Lookup(table.name, column, columns, table.keys)


def _key_column(scope: RuleScope, key: str, table: ReferenceTable, parameter: str) -> str:
    if key in scope.columns:
        return key
    symbol = scope.role(Role.SYMBOL)
    if symbol is not None and len(table.keys) == 1:
        return symbol.name
    raise RuleParameterError(parameter, f"no column is named like the key {key!r} of {table.name!r}: give `by`")


def reference_scale(scope: RuleScope, table: ReferenceTable, column: str) -> tuple[Kind, int]:
    """Kind and decimals of a reference column."""
    from tapehouse.contracts.expr_types import lookup_type

    found = lookup_type(scope, table.name, column)
    return found.kind, found.scale


def rescaled(node: ast.Expr, scale: int, target: int) -> ast.Expr:
    """A value with `scale` decimals, as one with `target` decimals (not fewer)."""
    return node if scale == target else ast.Arith("*", node, ast.Lit(10 ** (target - scale)))


def aligned(left: Column, right: Column) -> tuple[ast.Expr, ast.Expr]:
    """Two columns at the larger of their scales, so that they compare exactly."""
    scales = [column.scale if column.kind == Kind.DECIMAL else 0 for column in (left, right)]
    if Kind.DOUBLE in (left.kind, right.kind):
        return ast.ToDouble(ast.Col(left.name)), ast.ToDouble(ast.Col(right.name))
    target = max(scales)
    return rescaled(ast.Col(left.name), scales[0], target), rescaled(ast.Col(right.name), scales[1], target)

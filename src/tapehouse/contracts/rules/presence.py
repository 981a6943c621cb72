"""Rules on whether a value is there, readable, unique and known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Column, Role
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleParameterError, RuleScope


def _valid(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params)
    failed = ast.ParseFailed(column.name)
    if not params.get("positive", False):
        return Built(failed, ast.Col(column.name), f"a {column.kind} as {column.grammar}")
    p.require_ordered(column)
    not_positive = ast.Compare("<=", ast.Col(column.name), p.literal(column, 0, "positive"))
    return Built(
        ast.AnyOf((failed, not_positive)), ast.Col(column.name), f"a {column.kind} as {column.grammar}, above 0"
    )


def _required(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params)
    # A value that could not be read is null too, but it was there: that is the `valid` rule's fault to report.
    absent = ast.All((ast.IsNull(ast.Col(column.name)), ast.Not(ast.ParseFailed(column.name))))
    return Built(absent, ast.Col(column.name), "a value")


def _unique(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    names = p.keys(scope, params, parameter="columns") or (p.the_column(scope, declared, params).name,)
    present = tuple(ast.Not(ast.IsNull(ast.Col(name))) for name in names)
    parts: list[ast.Expr] = []
    for name in names:
        parts += [ast.Lit(f"{', ' if parts else ''}{name}="), ast.Col(name)]
    return Built(ast.All((*present, ast.SeenBefore(names))), ast.Text(tuple(parts)), "once in a batch")


def _known(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    table = p.table_named(scope, params["table"], "table")
    by = params.get("by")
    if by is None and declared is not None and len(table.keys) == 1:
        by = [declared.name]
    found = p.lookup(scope, table, table.keys[0], by, "by")
    needed = found.by
    if table.valid_from:
        event = scope.role(Role.EVENT_TIME)
        if event is None:
            raise RuleParameterError("table", f"table {table.name!r} has versions, but no column is the event time")
        needed = (*needed, event.name)
    # A null or unreadable key is reported by the rules on that column.
    present = tuple(ast.Not(ast.IsNull(ast.Col(name))) for name in needed)
    observed = ast.Col(found.by[0]) if len(found.by) == 1 else None
    return Built(ast.All((*present, ast.IsNull(found))), observed, f"in reference table {table.name}")


KINDS = (
    RuleKind(
        "valid",
        "The value is written as the contract says, and optionally above zero",
        p.schema(column=p.NAME, positive={"type": "boolean", "default": False}),
        _valid,
        "{rule: valid, positive: true}",
    ),
    RuleKind("required", "There is a value", p.schema(column=p.NAME), _required, "{rule: required}"),
    RuleKind(
        "not_null",
        "There is a value (another name of `required`)",
        p.schema(column=p.NAME),
        _required,
        "{rule: not_null}",
    ),
    RuleKind(
        "unique",
        "No two rows of a batch have the same values; rows with a null in them are not compared",
        p.schema(column=p.NAME, columns={**p.NAMES, "minItems": 1}),
        _unique,
        "{rule: unique, columns: [venue, trade_id]}",
    ),
    RuleKind(
        "known",
        "The key is in a reference table, as of the row's event time",
        p.schema(("table",), table=p.NAME, by={**p.NAMES, "minItems": 1}),
        _known,
        "{rule: known, table: symbols}",
    ),
)

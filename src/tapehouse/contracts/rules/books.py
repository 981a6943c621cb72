"""Crossed and locked books, with side-update semantics.

A feed that updates one side a row says nothing about the other side: its sentinel became null when the row was read,
and the last known value stands. What "last known" spans depends on the feed. `across: venue` (the default) is for a
feed of the consolidated best: whoever sets it, the latest bid and the latest ask of the symbol stand. `across: best` is
for a feed in which each venue quotes its own book: the best over the venues' latest quotes stands. `across: none` looks
at each venue's own book alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Column, Kind, Role
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleScope


def _book(
    operator: Literal[">", "=="], sign: str, scope: RuleScope, _: Column | None, params: Mapping[str, Any]
) -> Built:
    bid = p.the_column(scope, None, params, Role.BID, parameter="bid")
    ask = p.the_column(scope, None, params, Role.ASK, parameter="ask")
    p.require_price(bid)
    p.require_price(ask)
    skip = p.condition(scope, params, "ignoreWhen")
    by = p.keys(scope, params, Role.SYMBOL)
    across = params.get("across", "venue")
    venue = "" if across == "venue" else p.the_column(scope, None, params, Role.VENUE, parameter="venue").name
    standing = [
        _standing(p.unless(skip, side), by, across, venue, best)
        for side, best in zip((ast.Col(bid.name), ast.Col(ask.name)), ("max", "min"), strict=True)
    ]
    scales = [column.scale if column.kind == Kind.DECIMAL else 0 for column in (bid, ask)]
    left, right = (p.rescaled(node, scale, max(scales)) for node, scale in zip(standing, scales, strict=True))
    observed = ast.Text((ast.Lit("bid "), standing[0], ast.Lit(", ask "), standing[1]))
    return Built(ast.Compare(operator, left, right), observed, f"bid {sign} ask")


def _standing(side: ast.Expr, by: tuple[str, ...], across: str, venue: str, best: str) -> ast.Expr:
    if across == "best":
        return ast.CarriedBest(side, by, venue, "max" if best == "max" else "min")
    return ast.Carried(side, by if across == "venue" else (*by, venue))


_SCHEMA = p.schema(
    bid=p.NAME,
    ask=p.NAME,
    by=p.NAMES,
    across={"enum": ["venue", "best", "none"], "default": "venue"},
    venue=p.NAME,
    ignoreWhen=p.NAME,
)

KINDS = (
    RuleKind(
        "crossed_book",
        "The standing bid is not above the standing ask",
        _SCHEMA,
        partial(_book, ">", "<="),
        "{rule: crossed_book, by: [symbol], across: venue}",
    ),
    RuleKind(
        "locked_book",
        "The standing bid does not equal the standing ask",
        _SCHEMA,
        partial(_book, "==", "!="),
        "{rule: locked_book, by: [symbol], across: venue}",
    ),
)

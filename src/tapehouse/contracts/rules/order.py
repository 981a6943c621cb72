"""Rules on the order of arrival: monotonic values and gaps in sequence numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Column, Kind, Role
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleScope


def _monotonic(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params)
    p.require_ordered(column)
    value = ast.Col(column.name)
    before = ast.Previous(value, p.keys(scope, params))
    wrong = "<" if params.get("direction", "increasing") == "increasing" else ">"
    strict = bool(params.get("strict", False))
    broken = ast.Compare(f"{wrong}=" if strict else wrong, value, before)  # type: ignore[arg-type]
    sign = {"<": ">", ">": "<"}[wrong] + ("" if strict else "=")
    return Built(broken, value, ast.Text((ast.Lit(f"{sign} "), before)))


def _sequence_gap(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params, Role.SEQUENCE)
    p.require_kind(column, Kind.INTEGER)
    channel = p.keys(scope, params, Role.CHANNEL, parameter="channel")
    step: int = params.get("maxStep", 1)
    value = p.unless(p.condition(scope, params, "ignoreWhen"), ast.Col(column.name))
    before = ast.Previous(value, channel)
    gap: ast.Expr = ast.Compare(">", value, ast.Arith("+", before, ast.Lit(step)))
    # A number at or below the previous one is a repeat or a restart of the channel, not a gap.
    restart = p.condition(scope, params, "resetWhen")
    if restart is not None:
        gap = ast.All((ast.Not(restart), gap))
    return Built(gap, ast.Col(column.name), ast.Text((ast.Lit(f"at most {step} above "), before)))


KINDS = (
    RuleKind(
        "monotonic",
        "The value never falls (or never rises) from one row of a key to the next in arrival order",
        p.schema(
            column=p.NAME,
            by=p.NAMES,
            strict={"type": "boolean", "default": False},
            direction={"enum": ["increasing", "decreasing"], "default": "increasing"},
        ),
        _monotonic,
        "{rule: monotonic, by: [venue]}",
    ),
    RuleKind(
        "sequence_gap",
        "No number of a channel's sequence is skipped; snapshots can be ignored, and resets start anew",
        p.schema(
            column=p.NAME,
            channel=p.NAMES,
            resetWhen=p.NAME,
            ignoreWhen=p.NAME,
            maxStep={"type": "integer", "minimum": 1, "default": 1},
        ),
        _sequence_gap,
        "{rule: sequence_gap, channel: [channel_id], ignoreWhen: 'has_bits(flags, 32)', resetWhen: \"action == 'R'\"}",
    ),
)

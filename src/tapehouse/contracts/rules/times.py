"""Rules on when: sessions, clocks, lateness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Column, Kind, Role
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleParameterError, RuleScope
from tapehouse.contracts.units import Unit


def _session(scope: RuleScope, declared: Column | None, params: Mapping[str, Any]) -> Built:
    column = p.the_column(scope, declared, params, Role.EVENT_TIME)
    p.require_kind(column, Kind.TIMESTAMP)
    calendar = params["calendar"]
    if calendar not in scope.calendars:
        raise RuleParameterError(
            "calendar",
            f"the contract has no calendar {calendar!r}",
            allowed=", ".join(scope.calendars) or "calendars declared in tapehouse.calendars",
            guess=p.guess(calendar, scope.calendars),
        )
    inside = ast.InSession(ast.Col(column.name), calendar)
    return Built(ast.Not(inside), ast.Col(column.name), f"in a session of {calendar}")


def _both(scope: RuleScope, params: Mapping[str, Any]) -> tuple[ast.Expr, ast.Expr]:
    event = p.the_column(scope, None, params, Role.EVENT_TIME, parameter="event")
    receive = p.the_column(scope, None, params, Role.RECEIVE_TIME, parameter="receive")
    for column in (event, receive):
        p.require_kind(column, Kind.TIMESTAMP)
    return ast.Col(event.name), ast.Col(receive.name)


def _clock_skew(scope: RuleScope, _: Column | None, params: Mapping[str, Any]) -> Built:
    event, receive = _both(scope, params)
    tolerance = p.duration_ns(params.get("tolerance", "0s"), "tolerance")
    latest = ast.Arith("+", receive, ast.Lit(tolerance, Unit.DURATION)) if tolerance else receive
    allowed = f" less {params['tolerance']}" if tolerance else ""
    return Built(ast.Compare("<", latest, event), receive, ast.Text((ast.Lit("not before "), event, ast.Lit(allowed))))


def _lateness(scope: RuleScope, _: Column | None, params: Mapping[str, Any]) -> Built:
    event, receive = _both(scope, params)
    limit = ast.Lit(p.duration_ns(params["max"], "max"), Unit.DURATION)
    late = ast.Arith("-", receive, event)
    return Built(ast.Compare(">", late, limit), late, f"at most {params['max']} after the event")


KINDS = (
    RuleKind(
        "session",
        "The event lies in a trading session: from its open, to before its close",
        p.schema(("calendar",), column=p.NAME, calendar=p.NAME),
        _session,
        "{rule: session, calendar: us_equities}",
    ),
    RuleKind(
        "clock_skew",
        "The row was not received before its event",
        p.schema(event=p.NAME, receive=p.NAME, tolerance=p.DURATION),
        _clock_skew,
        "{rule: clock_skew, tolerance: 1ms}",
    ),
    RuleKind(
        "lateness",
        "The row was received soon after its event",
        p.schema(("max",), event=p.NAME, receive=p.NAME, max=p.DURATION),
        _lateness,
        "{rule: lateness, max: 1h}",
    ),
)

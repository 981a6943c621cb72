"""A rule written as an expression, for what no kind says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapehouse.contracts import expr as ast
from tapehouse.contracts.model import Column
from tapehouse.contracts.rules import params as p
from tapehouse.contracts.rules.base import Built, RuleKind, RuleScope


def _expression(scope: RuleScope, _: Column | None, params: Mapping[str, Any]) -> Built:
    broken = p.parsed(scope, params["broken"], "broken")
    observed = ast.Col(p.named_column(scope, "observed", params["observed"]).name) if "observed" in params else None
    return Built(broken, observed, params.get("bound", f"not ({params['broken']})"))


KINDS = (
    RuleKind(
        "expression",
        "The expression is not true; a reason shows the column `observed` (default: all it reads) and the text `bound`",
        p.schema(("broken",), broken=p.NAME, observed=p.NAME, bound=p.NAME),
        _expression,
        '{rule: expression, broken: "ts_recv < ts_event"}',
    ),
)
